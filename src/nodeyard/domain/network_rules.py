"""What may happen to the packets between a node and certain others, as values. Pure.

A provider applies rules inside of the node's own network namespace, so they name the others by their addresses, and
nobody else is touched: the tester reaches the node as before.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Effect(StrEnum):
    """What happens to packets. ``cut``: all are lost; ``loss``: a share is lost; ``delay``; ``bandwidth``: a limit."""

    CUT = "cut"
    LOSS = "loss"
    DELAY = "delay"
    BANDWIDTH = "bandwidth"


class Way(StrEnum):
    """Which packets: those that come in from the others, or those that go out to them."""

    IN = "in"
    OUT = "out"


@dataclass(frozen=True)
class NetworkRule:
    """One effect on the packets between a node and ``peers``, IPv4 addresses of other nodes.

    ``amount`` is a share between 0 and 1 for ``loss``, seconds for ``delay``, bits per second for ``bandwidth``. A cut
    goes the ways of ``ways``; loss takes packets that come in, a limit those that go out, and a delay makes each round
    trip longer by ``amount``, whichever way it is done.
    """

    effect: Effect
    peers: tuple[str, ...]
    amount: float = 0.0
    ways: tuple[Way, ...] = (Way.IN, Way.OUT)

    def __str__(self) -> str:
        what = {
            Effect.CUT: f"cut {'and '.join(self.ways)}",
            Effect.LOSS: f"loss {self.amount:.0%}",
            Effect.DELAY: f"delay {self.amount * 1000:g} ms",
            Effect.BANDWIDTH: f"limit {self.amount / 1000:g} kbit/s",
        }
        return f"{what[self.effect]} with {', '.join(self.peers)}"


__all__ = ["Effect", "NetworkRule", "Way"]
