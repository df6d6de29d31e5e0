"""The fault ``partition``: two sides of a network that do not hear each other, or one of which does not.

Rules stand at the nodes of one side alone, so that only these must permit it. The tester reaches both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from nodeyard.domain.capability import Capability, authorize
from nodeyard.domain.network_rules import Effect, NetworkRule, Way
from nodeyard.domain.quantity import NodeName
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import FaultOptions
from nodeyard.domain.selectors import Selector, SelectorField, SelectorKind
from nodeyard.faults.links import SMALL, Link, LinksGuard, share
from nodeyard.ports.node_control import Echo
from nodeyard.runtime.context import StepContext
from nodeyard.runtime.node import Node
from nodeyard.runtime.steps.protocols import Proof

WAYS = {"both": (Way.IN, Way.OUT), "in": (Way.IN,), "out": (Way.OUT,)}
PACKETS, PATIENCE = 5, 0.5
"""Packets that are sent over each link to look, and seconds to wait for them."""


class PartitionOptions(FaultOptions):
    """Who is cut off: the nodes of ``target``, filled up to a minority or majority, or the nodes of ``groups``."""

    target: SelectorField | None = Field(default=None, description="the nodes of one side; all others are the other")
    side: Literal["alone", "minority", "majority"] = Field(
        default="alone", description="who is with the target: nobody, or as many others as make a minority or majority"
    )
    groups: tuple[Annotated[tuple[NodeName, ...], Field(min_length=1)], ...] = Field(
        default=(), description="instead of 'target': nodes by name; only nodes of one group hear each other"
    )
    direction: Literal["both", "in", "out"] = Field(
        default="both", description="which packets are lost: in are those to the target's side, out those from it"
    )

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> PartitionOptions:
        if (self.target is None) == (not self.groups):
            raise ValueError("a partition has either a 'target' or 'groups'")
        names = [name for group in self.groups for name in group]
        if self.groups and (len(self.groups) < 2 or len(set(names)) < len(names)):
            raise ValueError("'groups' are at least two lists of nodes, and no node is in two of them")
        if self.groups and (self.side != "alone" or self.direction != "both"):
            raise ValueError("'side' and 'direction' go with 'target'; groups are cut from each other both ways")
        return self

    @property
    def label(self) -> str:
        sides = " | ".join(" ".join(group) for group in self.groups)
        return self.name or (f"{self.use} {sides}" if sides else f"{self.use} {self.target}")

    @property
    def cut_off(self) -> Selector:
        """The nodes at which the rules stand: all groups but the largest."""
        if self.target is not None:
            return self.target
        largest = max(self.groups, key=len)
        return Selector(SelectorKind.NAMES, tuple(n for group in self.groups if group is not largest for n in group))


class Cut(LinksGuard):
    """One injection of ``partition`` with a target."""

    recovery: ClassVar[bool] = True

    def __init__(self, options: PartitionOptions, nodes: Sequence[Node], context: StepContext) -> None:
        super().__init__(options.use, nodes, context)
        self._options = options
        if options.side != "alone":
            self.nodes = self._filled(options.side)

    def _filled(self, side: str) -> tuple[Node, ...]:
        """The target, and random others that may be cut off, up to the size of the side."""
        members = self._members()
        majority = len(members) // 2 + 1
        size = majority if side == "majority" else len(members) - majority
        chosen = {node.id for node in self.nodes}
        free = [n for n in members if n.id not in chosen and authorize(n.handle, Capability.NETWORK).allowed]
        more = self.context.random.sample(free, max(0, min(size - len(chosen), len(free))))
        return (*self.nodes, *more)

    def _members(self) -> list[Node]:
        kinds = {node.handle.kind for node in self.nodes}
        return [node for node in self.context.network if node.handle.kind in kinds]

    async def other_side(self) -> Sequence[Node]:
        ours = {node.id for node in self.nodes}
        return [node for node in self._members() if node.id not in ours]

    def rules(self, addresses: tuple[str, ...]) -> Sequence[NetworkRule]:
        return (NetworkRule(Effect.CUT, addresses, ways=WAYS[self._options.direction]),)

    async def look(self, link: Link) -> Echo:
        return await link.node.network.echo(link.address, count=PACKETS, size=SMALL, within=PATIENCE)

    def worked(self, before: Echo, now: Echo) -> Proof:
        return Proof(now.sent > 0 and not now.times, share(now))

    def passed(self, before: Echo, now: Echo) -> Proof:
        return Proof(bool(now.times), share(now))


class Groups(Cut):
    """One injection of ``partition`` with groups: each node hears those of its own group alone."""

    async def inject(self) -> None:
        network, group_of = self.context.network, self._group_of()
        apart = {
            node: [name for name, group in group_of.items() if group != group_of[node.id]]
            for node in self.nodes
        }  # fmt: skip
        addresses = {name: await network[name].network.address() for name in group_of}
        self.links = tuple(Link(node, name, addresses[name]) for node, names in apart.items() for name in names)
        self.before = await self._looked()

        async def shape(node: Node) -> None:
            await node.network.shape(self._name, self.rules(tuple(addresses[name] for name in apart[node])))

        await self.each(shape)

    def _group_of(self) -> dict[str, int]:
        network = self.context.network
        return {network[name].id: number for number, group in enumerate(self._options.groups) for name in group}


class Partition:
    """Cut nodes off from the others."""

    word: ClassVar[str] = "partition"
    summary: ClassVar[str] = "cut nodes off from the others, one way or both ways"
    options: ClassVar[type[FaultOptions]] = PartitionOptions
    disables: ClassVar[bool] = True
    lasts: ClassVar[bool] = True

    def requires(self, options: PartitionOptions) -> tuple[Requirement, ...]:
        cut = Requirement(options.cut_off, Capability.NETWORK, effects=(Effect.CUT,))
        named = Selector(SelectorKind.NAMES, tuple(name for group in options.groups for name in group))
        return (cut, Requirement(named)) if options.groups else (cut,)

    def guard(self, options: PartitionOptions, nodes: Sequence[Node], context: StepContext) -> Cut:
        return (Groups if options.groups else Cut)(options, nodes, context)
