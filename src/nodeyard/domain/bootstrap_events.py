"""What the nine bootstrap steps tell, and whoever finds or identifies nodes again later. Used through ``events``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nodeyard.domain.event import Event


@dataclass(frozen=True, kw_only=True)
class SpecResolved(Event):
    mode: str
    kinds: tuple[str, ...]
    binaries: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PhaseStarted(Event):
    """One of the nine bootstrap steps, or ``steps``, ``expectations``, ``evidence``, ``cleanup``."""

    phase: str
    number: int | None = None


@dataclass(frozen=True, kw_only=True)
class ReaperReady(Event):
    pid: int


@dataclass(frozen=True, kw_only=True)
class ReaperReplaced(Event):
    pid: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class ProgramWanted(Event):
    """A program is not on this machine yet and is being made; ``source`` says how."""

    program: str
    source: str


@dataclass(frozen=True, kw_only=True)
class ProgramMade(Event):
    """A program that was wanted is in the user's cache now."""

    program: str
    path: str
    after: float


@dataclass(frozen=True, kw_only=True)
class NodeProvisioned(Event):
    source: str
    addresses: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class NodeDiscovered(Event):
    origin: str
    source: str
    locator: str
    endpoints: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DiscoveryPartial(Event):
    source: str
    expected: int
    found: int
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class NodeIdentified(Event):
    peer_id: str | None
    network: str | None
    role: str | None = None
    api: str | None = None


@dataclass(frozen=True, kw_only=True)
class IdentityChanged(Event):
    before: str | None
    after: str | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class GrantsRevoked(Event):
    source: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class InventoryMerged(Event):
    revision: int
    nodes: int
    owned: int
    borrowed: int


@dataclass(frozen=True, kw_only=True)
class InventoryPublished(Event):
    """The inventory as ``inventory.json`` states it, told at hand-off and at the end, so that a report needs no file.

    ``nodes`` are JSON objects in the form of that file's ``nodes``.
    """

    revision: int
    nodes: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, kw_only=True)
class ConflictOverridden(Event):
    conflict: str
    preference: str
    facts: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SeedsChosen(Event):
    seeds: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class NodeStarted(Event):
    locator: str
    argv: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class NodeJoined(Event):
    """A managed node became a member of a borrowed network."""

    member: str
    through: str


@dataclass(frozen=True, kw_only=True)
class NetworkAdopted(Event):
    """Managed nodes take over the network of borrowed ones; ``through`` are those that its genesis was read from."""

    network: str
    genesis: str | None
    through: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class NodeProbed(Event):
    """A probe's answer differs from the one before; unchanged answers are not told."""

    rung: str
    detail: str
    attempt: int


@dataclass(frozen=True, kw_only=True)
class NodeReady(Event):
    after: float
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class ReadinessReached(Event):
    policy: str
    ready: int
    declared: int
    after: float


@dataclass(frozen=True, kw_only=True)
class PreflightPassed(Event):
    checks: int
