"""Client protocols: what a workload or step may ask of a node, whatever its kind.

All methods are coroutines and take ``timeout`` in seconds. They raise ``NodeTimeout`` when the outcome is not known
(*info*), ``NodeUnreachable`` when nothing was sent, and ``NodeRefused`` when the node said no (*fail*).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol, runtime_checkable

from nodeyard.domain.identity import NetworkFacts


class Rung(IntEnum):
    """The readiness ladder. A probe reports the highest rung that it reached."""

    NOTHING = 0
    ALIVE = 1
    PORT_OPEN = 2
    API_ANSWERS = 3
    PEERS = 4
    NETWORK_AGREED = 5
    HEIGHT = 6

    @property
    def label(self) -> str:
        return self.name.lower().replace("_", " ")


@dataclass(frozen=True)
class Probe:
    """One look at a node. ``ready`` means that its kind's ladder is climbed; ``detail`` is its answer or error.

    ``fatal`` is proof that it can never become ready (another network): the wait ends at once.
    """

    ready: bool
    rung: Rung
    detail: str
    fatal: str | None = None


@dataclass(frozen=True)
class Identification:
    """Who a node says it is, and what network it is in."""

    peer_id: str | None
    network: NetworkFacts
    role: str | None = None
    height: int | None = None


class NodeClient(Protocol):
    """The least that every kind's client can do. It holds no connection of its own that needs closing."""

    async def probe(self, *, timeout: float) -> Probe:
        """Look once. Never raises for a node that is down: that is a rung."""

    async def identify(self, *, timeout: float) -> Identification:
        """Ask who it is. Raises a ``ProviderError`` when it does not answer or answers nonsense."""


@dataclass(frozen=True)
class Value:
    """What a read returned: ``None`` for a key that is not there. ``revision`` orders values of one store."""

    value: str | None
    revision: int | None = None


@runtime_checkable
class KeyValue(Protocol):
    """A map from text to text that can be read and written."""

    async def get(self, key: str, *, timeout: float, local: bool = False) -> Value:
        """Read. ``local`` asks this node alone, without agreement, where the kind can."""

    async def put(self, key: str, value: str, *, timeout: float) -> int | None:
        """Write; returns the revision where the store has one."""


@runtime_checkable
class CompareAndSet(Protocol):
    """A map that can also write on a condition, in one step that nothing comes between."""

    async def compare_and_set(self, key: str, expected: str | None, value: str, *, timeout: float) -> bool:
        """Write only if the value is ``expected`` (``None``: absent); returns whether it was written."""


@runtime_checkable
class ReportsHeight(Protocol):
    """A node whose history has a length: blocks, a log's index, a revision."""

    async def height(self, *, timeout: float) -> int:
        """The present height, never decreasing on a healthy node."""


@runtime_checkable
class ReportsRole(Protocol):
    """A node that knows whether it leads."""

    async def role(self, *, timeout: float) -> str | None:
        """``leader``, ``follower``, another word of the kind, or ``None`` when it does not know."""


@runtime_checkable
class StateDigest(Protocol):
    """A node that can summarise its own state, so that copies can be compared."""

    async def digest(self, *, timeout: float) -> Mapping[str, str]:
        """Text values that are equal on nodes with equal state, read from this node alone."""


@dataclass(frozen=True)
class Block:
    """One block: its height, its hash, and the hash of the state that it commits to where the chain has one.

    ``content`` is a digest of what the node serves as this block, where a client takes one: a node may tell the right
    hash and serve something else.
    """

    height: int
    hash: str
    state: str | None = None
    content: str | None = None


@runtime_checkable
class ChainReader(Protocol):
    """A chain of blocks."""

    async def height(self, *, timeout: float) -> int: ...

    async def block(self, height: int, *, timeout: float) -> Block: ...


@runtime_checkable
class KeepsRevisions(Protocol):
    """A store that still knows what it held at earlier revisions; each node is asked for its own copy alone."""

    async def revision(self, *, timeout: float) -> int:
        """The latest revision that this node has."""

    async def state_at(self, revision: int, *, timeout: float) -> str:
        """A digest of all that the store held at a revision; equal on nodes that held the same.

        Raises ``NodeRefused`` for a revision that the node does not have, or not any more.
        """


@runtime_checkable
class ListsTx(Protocol):
    """A chain whose blocks name their transactions."""

    async def transactions(self, height: int, *, timeout: float) -> tuple[str, ...]:
        """The ids of the transactions in the block of that height, in its order."""


@runtime_checkable
class AcceptsTx(Protocol):
    """A node that takes transactions in."""

    async def submit(self, tx: bytes, *, timeout: float) -> str:
        """Hand in a transaction; returns its id."""


@runtime_checkable
class TxSubmit(AcceptsTx, Protocol):
    """A node that takes transactions in, and knows what became of them."""

    async def included(self, tx_id: str, *, timeout: float) -> int | None:
        """The height that includes it, or ``None``."""


@runtime_checkable
class ReportsMetrics(Protocol):
    """A node that counts what it does."""

    async def metrics(self, *, timeout: float) -> str:
        """Its metrics in the text format of Prometheus."""


@runtime_checkable
class CountsPeers(Protocol):
    """A node that knows how many peers it has, if not who they are."""

    async def peer_count(self, *, timeout: float) -> int:
        """How many other nodes it is connected to."""


@runtime_checkable
class PeerView(Protocol):
    """A node that knows its peers."""

    async def peers(self, *, timeout: float) -> tuple[str, ...]:
        """Peer ids of the other nodes that this one knows as members or holds connections to."""
