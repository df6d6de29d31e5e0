"""The faults ``delay``, ``loss`` and ``bandwidth``: a network that works, and works badly."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from math import ceil
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from nodeyard.domain.capability import Capability
from nodeyard.domain.network_rules import Effect, NetworkRule
from nodeyard.domain.quantity import PositiveDuration
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import FaultOptions
from nodeyard.domain.selectors import SelectorField
from nodeyard.faults.links import SMALL, Link, LinksGuard, median, share
from nodeyard.faults.options import TargetedFault
from nodeyard.ports.node_control import Echo
from nodeyard.runtime.context import StepContext
from nodeyard.runtime.node import Node
from nodeyard.runtime.steps.protocols import Proof

PATIENCE = 0.5
"""Seconds to wait for packets, beside the delay itself."""
FULL = 1400
"""Bytes of data in a packet that measures a rate: nearly all that a link takes at once."""
RATE = re.compile(r"(\d+(?:\.\d+)?)\s*(k|m|g)?bit(?:/s)?", re.IGNORECASE)
UNITS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}


def parse_rate(value: Any) -> float:
    """Bits per second from a text such as ``10mbit``. Raises ``ValueError``."""
    if isinstance(value, float | int) and not isinstance(value, bool) and value > 0:
        return float(value)
    found = RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None or not float(found[1]):
        raise ValueError("a rate is a number with a unit: 500kbit, 10mbit, 1gbit")
    return float(found[1]) * UNITS[(found[2] or "").lower()]


def format_rate(rate: float) -> str:
    """A spelling that ``parse_rate`` reads back exactly, in the largest unit that leaves a whole number."""
    for unit in ("g", "m", "k"):
        if rate % UNITS[unit] == 0:
            return f"{rate / UNITS[unit]:.0f}{unit}bit"
    return f"{Decimal(repr(rate)).normalize():f}bit"


Rate = Annotated[
    float,
    BeforeValidator(parse_rate),
    PlainSerializer(format_rate, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?\s*[kKmMgG]?bit(/s)?$", "description": "a rate"}),
]


class LinkOptions(TargetedFault):
    """Whose packets, and with whom."""

    peers: SelectorField | None = Field(default=None, description="only packets with these nodes; default: all others")


class DelayOptions(LinkOptions):
    """How much longer each round trip takes."""

    delay: PositiveDuration = Field(description="how much longer each round trip to another node takes")


class LossOptions(LinkOptions):
    """Which share of packets is lost."""

    loss: Annotated[float, Field(gt=0, lt=1)] = Field(description="which share of the packets from others is lost")


class BandwidthOptions(LinkOptions):
    """How much goes out."""

    rate: Rate = Field(description="how much may go out to all others together, as in 500kbit or 10mbit")


class Impaired(LinksGuard):
    """One injection of one of these faults."""

    def __init__(self, options: LinkOptions, nodes: Sequence[Node], context: StepContext) -> None:
        super().__init__(options.use, nodes, context)
        self._peers = options.peers

    async def other_side(self) -> Sequence[Node]:
        ours = {node.id for node in self.nodes}
        if self._peers is not None:
            found = await self.context.find(self._peers)
            return [node for node in found.nodes if node.id not in ours]
        kinds = {node.handle.kind for node in self.nodes}
        return [node for node in self.context.network if node.handle.kind in kinds and node.id not in ours]


class Delayed(Impaired):
    """One injection of ``delay``. Packets between nodes of the target are not concerned."""

    def __init__(self, options: DelayOptions, nodes: Sequence[Node], context: StepContext) -> None:
        super().__init__(options, nodes, context)
        self._delay = options.delay

    def rules(self, addresses: tuple[str, ...]) -> Sequence[NetworkRule]:
        return (NetworkRule(Effect.DELAY, addresses, self._delay),)

    async def look(self, link: Link) -> Echo:
        return await link.node.network.echo(link.address, count=7, size=SMALL, within=self._delay + PATIENCE)

    def worked(self, before: Echo, now: Echo) -> Proof:
        if not now.times:
            return Proof(False, share(now))
        took, was = median(now), median(before)
        return Proof(took >= was + 0.8 * self._delay, f"a round trip takes {took * 1e3:.1f} ms, before {was * 1e3:.1f}")

    def passed(self, before: Echo, now: Echo) -> Proof:
        if not now.times:
            return Proof(False, share(now))
        took, was = median(now), median(before)
        return Proof(took < was + 0.5 * self._delay, f"a round trip takes {took * 1e3:.1f} ms")


class Losing(Impaired):
    """One injection of ``loss``."""

    def __init__(self, options: LossOptions, nodes: Sequence[Node], context: StepContext) -> None:
        super().__init__(options, nodes, context)
        self._loss = options.loss
        self._count = min(4000, max(200, ceil(60 / options.loss)))

    def rules(self, addresses: tuple[str, ...]) -> Sequence[NetworkRule]:
        return (NetworkRule(Effect.LOSS, addresses, self._loss),)

    async def look(self, link: Link) -> Echo:
        return await link.node.network.echo(link.address, count=self._count, size=SMALL, within=1.0)

    def worked(self, before: Echo, now: Echo) -> Proof:
        """Half of what is asked for is far more than chance takes from so many packets."""
        return Proof(now.sent > 0 and 1 - now.answered >= self._loss / 2, share(now))

    def passed(self, before: Echo, now: Echo) -> Proof:
        return Proof(1 - now.answered < self._loss / 2, share(now))


class Limited(Impaired):
    """One injection of ``bandwidth``."""

    def __init__(self, options: BandwidthOptions, nodes: Sequence[Node], context: StepContext) -> None:
        super().__init__(options, nodes, context)
        self._rate = options.rate
        self._count = int(min(4000, max(20, options.rate * 0.5 / (8 * FULL))))

    def rules(self, addresses: tuple[str, ...]) -> Sequence[NetworkRule]:
        return (NetworkRule(Effect.BANDWIDTH, addresses, self._rate),)

    async def look(self, link: Link) -> Echo:
        needed = self._count * FULL * 8 / self._rate
        return await link.node.network.echo(link.address, count=self._count, size=FULL, within=2 * needed + 1.0)

    def worked(self, before: Echo, now: Echo) -> Proof:
        found, was = rate_of(now), rate_of(before)
        seen = f"{found / 1e3:.0f} kbit/s go out, before {was / 1e3:.0f}"
        return Proof(bool(now.times) and found <= 1.25 * self._rate < was, seen)

    def passed(self, before: Echo, now: Echo) -> Proof:
        found = rate_of(now)
        return Proof(found > 1.25 * self._rate, f"{found / 1e3:.0f} kbit/s go out")


def rate_of(echo: Echo) -> float:
    """Bits per second of what came back."""
    return len(echo.times) * echo.size * 8 / echo.span if echo.span > 0 else 0.0


class Delay:
    """Let packets of nodes take longer."""

    word: ClassVar[str] = "delay"
    summary: ClassVar[str] = "let packets between nodes and the others take longer"
    options: ClassVar[type[FaultOptions]] = DelayOptions
    disables: ClassVar[bool] = False
    lasts: ClassVar[bool] = True

    def requires(self, options: DelayOptions) -> tuple[Requirement, ...]:
        return _needs(options, Effect.DELAY)

    def guard(self, options: DelayOptions, nodes: Sequence[Node], context: StepContext) -> Delayed:
        return Delayed(options, nodes, context)


class Loss:
    """Lose a share of the packets that nodes get from others."""

    word: ClassVar[str] = "loss"
    summary: ClassVar[str] = "lose a share of the packets that nodes get from the others"
    options: ClassVar[type[FaultOptions]] = LossOptions
    disables: ClassVar[bool] = False
    lasts: ClassVar[bool] = True

    def requires(self, options: LossOptions) -> tuple[Requirement, ...]:
        return _needs(options, Effect.LOSS)

    def guard(self, options: LossOptions, nodes: Sequence[Node], context: StepContext) -> Losing:
        return Losing(options, nodes, context)


class Bandwidth:
    """Limit what goes out of nodes to others."""

    word: ClassVar[str] = "bandwidth"
    summary: ClassVar[str] = "limit how much nodes send to the others"
    options: ClassVar[type[FaultOptions]] = BandwidthOptions
    disables: ClassVar[bool] = False
    lasts: ClassVar[bool] = True

    def requires(self, options: BandwidthOptions) -> tuple[Requirement, ...]:
        return _needs(options, Effect.BANDWIDTH)

    def guard(self, options: BandwidthOptions, nodes: Sequence[Node], context: StepContext) -> Limited:
        return Limited(options, nodes, context)


def _needs(options: LinkOptions, effect: Effect) -> tuple[Requirement, ...]:
    target = options.needs(Capability.NETWORK, effects=(effect,))
    return (target,) if options.peers is None else (target, Requirement(options.peers))
