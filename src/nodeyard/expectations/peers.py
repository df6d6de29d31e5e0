"""The expectation ``peers``: every selected node knows the other nodes, or so many of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nodeyard.domain.capability import Capability
from nodeyard.domain.node_client import CountsPeers, PeerView
from nodeyard.domain.node_handle import NodeHandle
from nodeyard.domain.quantity import PositiveDuration
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import CheckOptions
from nodeyard.domain.selectors import ALL, SelectorField
from nodeyard.domain.verdict import Check, Verdict
from nodeyard.expectations._asking import Answers, ask_all, cut, names, nothing_selected, request_timeout
from nodeyard.runtime.context import StepContext
from nodeyard.runtime.node import Node


class PeersOptions(CheckOptions):
    """Which nodes, and whom each must know."""

    use: Literal["peers"]
    target: SelectorField = ALL
    min: Annotated[int, Field(ge=1)] | Literal["all"] = Field(
        default="all",
        description="how many peers each must have at the least; all: every other selected node of its kind",
    )
    within: PositiveDuration = Field(default=10.0, description="how long it may take to come true")


class Peers:
    """Every selected node knows the others."""

    word: ClassVar[str] = "peers"
    summary: ClassVar[str] = "every selected node knows the other ones, or so many peers"
    options: ClassVar[type[CheckOptions]] = PeersOptions
    from_record: ClassVar[bool] = False

    def requires(self, options: PeersOptions) -> tuple[Requirement, ...]:
        protocol = PeerView if options.min == "all" else (PeerView, CountsPeers)
        return (Requirement(options.target, Capability.QUERY, protocol),)

    async def check(self, options: PeersOptions, context: StepContext) -> Check:
        timeout = request_timeout(options.within)

        async def look() -> Check:
            nodes = (await context.find(options.target)).nodes
            if not nodes:
                return nothing_selected(options.label, options.target)
            if options.min != "all":
                counts = await ask_all(nodes, lambda node: _count(node, timeout))
                return judged_count(options.label, options.min, counts)
            known = await ask_all(nodes, lambda node: node.client(PeerView).peers(timeout=timeout))
            return judged_all(options.label, [node.handle for node in nodes], known)

        return await context.poll_check(options.label, look, within=options.within)


async def _count(node: Node, timeout: float) -> int:
    if node.speaks(PeerView):
        return len(await node.client(PeerView).peers(timeout=timeout))
    return await node.client(CountsPeers).peer_count(timeout=timeout)


def judged_count(name: str, least: int, answers: Answers[int]) -> Check:
    """Whether each node has enough peers. One that has too few decides, whoever is silent. Pure."""
    few = [node for node, count in answers.said.items() if count < least]
    lines = cut([*(f"{node}: {count} peers" for node, count in answers.said.items()), *answers.silence])
    if few:
        return Check(name, Verdict.FAIL, f"{names(few)} has fewer than {least} peers", lines)
    if answers.silent:
        return Check(name, Verdict.UNKNOWN, f"no peers told by {names(tuple(answers.silent))}", lines)
    return Check(name, Verdict.PASS, f"{len(answers.said)} nodes have {least} peers or more", lines)


def judged_all(name: str, handles: Iterable[NodeHandle], answers: Answers[tuple[str, ...]]) -> Check:
    """Whether each node knows every other one of its kind by its peer id. Pure."""
    ids: Mapping[str, tuple[str, str | None]] = {h.id: (h.kind, h.identity.peer_id) for h in handles}
    lines: list[str] = []
    alone: list[str] = []
    lacking: list[str] = []
    nameless = sorted(node for node, (_, peer) in ids.items() if peer is None)
    for node, peers in answers.said.items():
        kind = ids[node][0]
        others = {other: peer for other, (its, peer) in ids.items() if its == kind and other != node}
        missing = sorted(other for other, peer in others.items() if peer is not None and peer not in peers)
        if not others:
            alone.append(node)
        if missing:
            lacking.append(node)
        lines.append(f"{node}: {len(peers)} peers" + (f", does not know {', '.join(missing)}" if missing else ""))
    shown = cut([*lines, *answers.silence])
    if lacking:
        return Check(name, Verdict.FAIL, f"{names(lacking)} does not know every other node", shown)
    if answers.silent or nameless:
        who = names(tuple(answers.silent) or nameless)
        return Check(
            name, Verdict.UNKNOWN, f"no peers told by {who}" if answers.silent else f"{who} has no peer id", shown
        )
    if len(alone) == len(answers.said):
        return Check(name, Verdict.VACUOUS, "one node of a kind has no other to know", shown)
    return Check(name, Verdict.PASS, f"{len(answers.said)} nodes know each other", shown)
