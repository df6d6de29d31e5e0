"""The expectation ``agreement``: at each height or revision, all selected nodes have the same block or values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nodeyard._aio import poll
from nodeyard._aio.tasks import side_by_side
from nodeyard.domain.capability import Capability
from nodeyard.domain.node_client import Block, ChainReader, KeepsRevisions
from nodeyard.domain.quantity import PositiveDuration
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import CheckOptions
from nodeyard.domain.selectors import ALL, SelectorField
from nodeyard.domain.verdict import Check, Verdict
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import NodeRefused
from nodeyard.expectations._asking import ask_all, cut, names, nothing_selected
from nodeyard.runtime.context import StepContext
from nodeyard.runtime.node import Node

READ_TIMEOUT = 5.0
"""Seconds for one block. A node answers in milliseconds, many questions at once in more."""
AT_ONCE = 64
SAMPLES = 20
"""Revisions of a store that are compared: each takes a read of all its keys."""
SHOWN = 16
"""Characters of a hash in evidence."""

Chain = Mapping[int, Block]


class AgreementOptions(CheckOptions):
    """Which nodes, how far back, and how long it may take."""

    use: Literal["agreement"]
    target: SelectorField = ALL
    blocks: Annotated[int, Field(ge=1)] = Field(
        default=1000, description="how many of the latest heights to compare; of a store's revisions, a sample of them"
    )
    within: PositiveDuration = Field(default=60.0, description="how long it may take to come true")


class Agreement:
    """At each height or revision, all selected nodes have the same block or values."""

    word: ClassVar[str] = "agreement"
    summary: ClassVar[str] = "at each height or revision, all selected nodes have the same block or values"
    options: ClassVar[type[CheckOptions]] = AgreementOptions
    from_record: ClassVar[bool] = False

    def requires(self, options: AgreementOptions) -> tuple[Requirement, ...]:
        return (Requirement(options.target, Capability.QUERY, (ChainReader, KeepsRevisions)),)

    async def check(self, options: AgreementOptions, context: StepContext) -> Check:
        chains: defaultdict[str, dict[int, Block]] = defaultdict(dict)

        async def look() -> poll.Done[Check] | Check:
            nodes = (await context.find(options.target)).nodes
            if not nodes:
                return nothing_selected(options.label, options.target)
            kinds = {node.id: node.handle.kind for node in nodes}
            silent = await read_chains(nodes, kinds, chains, options.blocks)
            check = judged(options.label, kinds, {node.id: chains[node.id] for node in nodes}, silent)
            return poll.Done(check) if check.verdict is Verdict.FAIL else check

        return await context.poll_check(options.label, look, within=options.within)


async def read_chains(
    nodes: Sequence[Node], kinds: Mapping[str, str], chains: Mapping[str, dict[int, Block]], most: int
) -> Mapping[str, str]:
    """Read into ``chains`` every block that can be compared and was not read yet; returns who was silent, and why.

    A height that a node does not have (any more) is left out. The values of a store at a revision stand as a block.
    """
    heights = await ask_all(nodes, _height)
    silent = dict(heights.silent)
    stores = frozenset(node.handle.kind for node in nodes if not node.speaks(ChainReader))
    wanted = spans(heights.said, kinds, most, sampled=stores)
    missing = [
        (node, height)
        for node in nodes
        for height in wanted.get(node.id, ())
        if height not in chains[node.id] and node.id not in silent
    ]

    async def read(pair: tuple[Node, int]) -> Block:
        node, height = pair
        if node.speaks(ChainReader):
            return await node.client(ChainReader).block(height, timeout=READ_TIMEOUT)
        return Block(height, await node.client(KeepsRevisions).state_at(height, timeout=READ_TIMEOUT))

    for (node, height), block in zip(missing, await side_by_side(read, missing, at_once=AT_ONCE), strict=True):
        if isinstance(block, Block):
            chains[node.id][height] = block
        elif not isinstance(block, NodeyardError):
            raise block
        elif not isinstance(block, NodeRefused):
            silent[node.id] = block.message
    return silent


async def _height(node: Node) -> int:
    if node.speaks(ChainReader):
        return await node.client(ChainReader).height(timeout=READ_TIMEOUT)
    return await node.client(KeepsRevisions).revision(timeout=READ_TIMEOUT)


def spans(
    heights: Mapping[str, int], kinds: Mapping[str, str], most: int, *, sampled: Collection[str] = ()
) -> Mapping[str, range]:
    """The heights to read from each node: those that at least two nodes of its kind have, the latest ``most``. Pure.

    Of ``sampled`` kinds, at most ``SAMPLES`` of them, as far apart from each other, down from the highest.
    """
    by_kind: defaultdict[str, list[int]] = defaultdict(list)
    for node, height in heights.items():
        by_kind[kinds[node]].append(height)
    tops = {kind: sorted(found)[-2] for kind, found in by_kind.items() if len(found) > 1}
    found: dict[str, range] = {}
    for node, height in heights.items():
        top = tops.get(kinds[node])
        if top is None:
            continue
        step = max(1, -(-min(most, top) // SAMPLES)) if kinds[node] in sampled else 1
        first = max(1, top - most + 1)
        low = top - (top - first) // step * step
        found[node] = range(low, min(top, height) + 1, step)
    return found


@dataclass(frozen=True)
class Split:
    """A height at which nodes differ. ``deviating`` are those outside the largest group; all, where none is largest."""

    height: int
    groups: tuple[tuple[Block, tuple[str, ...]], ...]
    deviating: tuple[str, ...]

    def __str__(self) -> str:
        told = (
            f"{names(nodes)} {'has' if len(nodes) == 1 else 'have'} {written(block)}" for block, nodes in self.groups
        )
        return f"height {self.height}: {'; '.join(told)}"


def judged(name: str, kinds: Mapping[str, str], chains: Mapping[str, Chain], silent: Mapping[str, str]) -> Check:
    """Whether no two nodes of a kind differ at a height. Pure.

    A difference is a failure, whoever is silent. A node that could be compared at no height leaves the rest unknown.
    """
    groups = [[node for node in chains if kinds[node] == kind] for kind in dict.fromkeys(kinds.values())]
    splits = [split for group in groups for split in find_splits({node: chains[node] for node in group})]
    silence = [f"{node}: {why}" for node, why in silent.items()]
    if splits:
        return Check(name, Verdict.FAIL, _difference(splits, len(chains)), cut([*map(str, splits), *silence]))
    compared = {node: shared_heights(node, {n: chains[n] for n in group}) for group in groups for node in group}
    lines = [f"{node}: {told_range(heights)}" for node, heights in compared.items()]
    if silent:
        return Check(name, Verdict.UNKNOWN, f"no chain from {names(tuple(silent))}", cut([*silence, *lines]))
    if all(len(group) < 2 for group in groups):
        return Check(name, Verdict.VACUOUS, "one node of a kind has no other to be compared with", cut(lines))
    alone = [node for group in groups if len(group) > 1 for node in group if not compared[node]]
    if alone:
        return Check(name, Verdict.UNKNOWN, f"{names(alone)} shares no height with another node", cut(lines))
    count = len(set().union(*compared.values()))
    return Check(name, Verdict.PASS, f"{len(compared)} nodes agree at {count} heights", cut(lines))


def find_splits(chains: Mapping[str, Chain]) -> list[Split]:
    """Every height at which these nodes do not all have the same block, lowest first."""
    at: defaultdict[int, defaultdict[Block, list[str]]] = defaultdict(lambda: defaultdict(list))
    for node, chain in chains.items():
        for height, block in chain.items():
            at[height][block].append(node)
    return [_split(height, blocks) for height, blocks in sorted(at.items()) if len(blocks) > 1]


def _split(height: int, blocks: Mapping[Block, Sequence[str]]) -> Split:
    groups = sorted(((block, tuple(nodes)) for block, nodes in blocks.items()), key=lambda group: len(group[1]))
    largest = len(groups[-1][1])
    fewer = [node for _, nodes in groups if len(nodes) < largest for node in nodes]
    tied = sum(len(nodes) == largest for _, nodes in groups) > 1
    everyone = [node for _, nodes in groups for node in nodes]
    return Split(height, tuple(groups), tuple(everyone if tied else fewer))


def _difference(splits: Sequence[Split], nodes: int) -> str:
    who = tuple(dict.fromkeys(node for split in splits for node in split.deviating))
    where = f"height {splits[0].height}" if len(splits) == 1 else f"{len(splits)} heights from {splits[0].height} on"
    if len(who) == nodes:
        return f"{names(who)} differ from each other at {where}"
    return f"{names(who)} {'differs' if len(who) == 1 else 'differ'} from the others at {where}"


def shared_heights(node: str, chains: Mapping[str, Chain]) -> frozenset[int]:
    """The heights at which a node has a block and another one too."""
    others = set().union(*(chain.keys() for other, chain in chains.items() if other != node))
    return frozenset(chains[node].keys() & others)


def told_range(heights: frozenset[int]) -> str:
    """Heights for a line of evidence."""
    return (
        f"compared at {len(heights)} heights, {min(heights)} to {max(heights)}" if heights else "compared at no height"
    )


def written(block: Block) -> str:
    """A block as evidence shows it."""
    state = f", state {block.state[:SHOWN]}" if block.state else ""
    content = f", content {block.content[:SHOWN]}" if block.content else ""
    return f"block {block.hash[:SHOWN]}{state}{content}"
