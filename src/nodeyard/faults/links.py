"""What the faults on a network share: who is on the other side, packets that are sent to look, rules and their end.

Must not live here: any effect, and how rules are put in force (``CanShapeNetwork``).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from nodeyard._aio.tasks import side_by_side
from nodeyard.domain.network_rules import NetworkRule
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.runtime import RuntimeFailure
from nodeyard.faults.guards import NodesGuard
from nodeyard.ports.node_control import Echo
from nodeyard.runtime.context import StepContext
from nodeyard.runtime.node import Node
from nodeyard.runtime.steps.protocols import Proof

SMALL = 56
"""Bytes of data in a packet that is sent to look."""


@dataclass(frozen=True)
class Link:
    """A node, and another one with the address at which the first sees it."""

    node: Node
    peer: str
    address: str

    def __str__(self) -> str:
        return f"{self.node.id} to {self.peer}"


class LinksGuard(NodesGuard):
    """Rules at the nodes of a fault, on their packets with the nodes of the other side.

    Packets are sent over each link before, while and after the rules are in force; a link that carried nothing before
    proves nothing.
    """

    recovery: ClassVar[bool] = False
    """Whether nodes may need time to be ready again."""

    def __init__(self, word: str, nodes: Sequence[Node], context: StepContext) -> None:
        super().__init__(nodes, context)
        self._name = f"{word}-{context.random.getrandbits(48):012x}"
        self.links: tuple[Link, ...] = ()
        self.before: dict[Link, Echo] = {}

    @abstractmethod
    async def other_side(self) -> Sequence[Node]:
        """The nodes whose packets with ours are concerned."""

    @abstractmethod
    def rules(self, addresses: tuple[str, ...]) -> Sequence[NetworkRule]:
        """The rules at each of our nodes."""

    @abstractmethod
    async def look(self, link: Link) -> Echo:
        """Send packets over a link."""

    @abstractmethod
    def worked(self, before: Echo, now: Echo) -> Proof:
        """Whether packets show the effect."""

    @abstractmethod
    def passed(self, before: Echo, now: Echo) -> Proof:
        """Whether packets show that it is over."""

    async def inject(self) -> None:
        others = await self.other_side()
        addresses = {node.id: await node.network.address() for node in others}
        if not addresses:
            raise RuntimeFailure("there is no node on the other side", hint="choose fewer nodes with 'target:'")
        self.links = tuple(Link(node, peer, address) for node in self.nodes for peer, address in addresses.items())
        self.before = await self._looked()
        rules = self.rules(tuple(dict.fromkeys(addresses.values())))
        await self.each(lambda node: node.network.shape(self._name, rules))

    async def prove(self) -> Proof:
        missing = [node.id for node in self.nodes if not await node.network.shaped(self._name)]
        if missing:
            return Proof(False, f"no rule is in force at {', '.join(missing)}")
        return await self._compared(self.worked)

    async def undo(self) -> None:
        await self.each(lambda node: node.network.unshape(self._name))

    async def prove_healed(self) -> Proof:
        left = [f"{node.id}: {rule}" for node in self.nodes for rule in await node.network.shaped(self._name)]
        if left:
            return Proof(False, f"rules are still in force: {'; '.join(left)}")
        seen = await self._compared(self.passed)
        if not seen.proven or not self.recovery:
            return seen
        back = await self.back()
        return Proof(back.proven, f"{seen.evidence}; {back.evidence}", in_time=back.in_time)

    async def _looked(self) -> dict[Link, Echo]:
        answers = await side_by_side(self.look, self.links, at_once=8)
        found: dict[Link, Echo] = {}
        for link, answer in zip(self.links, answers, strict=True):
            if isinstance(answer, Echo):
                found[link] = answer
            elif not isinstance(answer, NodeyardError):
                raise answer
            else:
                found[link] = Echo(0, (), 0.0, 0)
        return found

    async def _compared(self, judge: Callable[[Echo, Echo], Proof]) -> Proof:
        """What packets show now, on every link that carried some before."""
        live = {link: echo for link, echo in self.before.items() if echo.times}
        if not live:
            return Proof(not self.links, "no packet came through before either")
        now = await self._looked()
        verdicts = {link: judge(live[link], now[link]) for link in live}
        wrong = [f"{link}: {proof.evidence}" for link, proof in verdicts.items() if not proof.proven]
        lines = wrong or [f"{link}: {proof.evidence}" for link, proof in verdicts.items()]
        more = f" and {len(lines) - 6} more links" if len(lines) > 6 else ""
        return Proof(not wrong, "; ".join(lines[:6]) + more)


def median(echo: Echo) -> float:
    """The median round trip in seconds. Raises ``IndexError`` where nothing came back."""
    return sorted(echo.times)[len(echo.times) // 2]


def share(echo: Echo) -> str:
    return f"{len(echo.times)} of {echo.sent} packets came back"
