"""Everything that a run tells: one frozen record per event. Observers turn them into journal, table and report.

An event's name in the journal is its class name in kebab case. Fields are JSON values or enums, never secrets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar


@dataclass(frozen=True, kw_only=True)
class Event:
    """The base of all events. ``node`` is the id of the node that it is about, if it is about one."""

    node: str | None = None
    name: ClassVar[str] = "event"

    def __init_subclass__(cls) -> None:
        cls.name = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", cls.__name__).lower()

    def record(self) -> dict[str, Any]:
        """The event's own fields, as JSON values."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass(frozen=True, kw_only=True)
class RunStarted(Event):
    """``repeat`` is the command that repeats this run with its seed, ``why`` the one that shows why it failed."""

    run: str
    scenario: str
    seed: int
    version: str
    host: str
    pid: int
    repeat: str = ""
    why: str = ""


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


@dataclass(frozen=True, kw_only=True)
class StepStarted(Event):
    index: int
    step: str
    label: str


@dataclass(frozen=True, kw_only=True)
class StepEnded(Event):
    index: int
    step: str
    label: str
    outcome: str
    after: float
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class TrafficStarted(Event):
    """A phase of traffic and faults began. ``lasts`` is its length in seconds, where it was given one."""

    label: str
    workloads: tuple[str, ...]
    faults: tuple[str, ...]
    always: tuple[str, ...]
    lasts: float | None = None


@dataclass(frozen=True, kw_only=True)
class TrafficEnded(Event):
    """``outcome``: ``time`` (its length has passed), ``done`` (all workloads are done), ``failed`` (a check that must
    hold throughout), ``error`` (a workload or a fault could not go on) or ``cancelled``.
    """

    label: str
    outcome: str
    after: float
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class WorkloadStarted(Event):
    """``workload`` is its label, which begins the name of each of its clients in the history."""

    workload: str
    use: str


@dataclass(frozen=True, kw_only=True)
class WorkloadEnded(Event):
    """What came of a workload's operations. ``late`` began after they were due, ``dropped`` were never sent (and are
    among ``fail``); ``outcome`` is ``done``, ``failed`` or ``cancelled``.
    """

    workload: str
    outcome: str
    after: float
    ok: int
    fail: int
    info: int
    late: int = 0
    dropped: int = 0
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class OperationStarted(Event):
    operation: str


@dataclass(frozen=True, kw_only=True)
class OperationEnded(Event):
    operation: str
    outcome: str
    after: float
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class OperationDenied(Event):
    operation: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class FaultInjected(Event):
    fault: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class FaultProven(Event):
    fault: str
    evidence: str


@dataclass(frozen=True, kw_only=True)
class FaultHealed(Event):
    fault: str
    evidence: str


@dataclass(frozen=True, kw_only=True)
class NodeExited(Event):
    """A node ended. ``expected`` when an operation of this run asked for it."""

    status: str
    expected: bool
    last_lines: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CheckEvaluated(Event):
    check: str
    verdict: str
    reason: str
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CounterexampleFound(Event):
    """The fewest operations that a check cannot explain, for a drawing. ``calls`` are JSON objects with ``client``,
    ``node``, ``op``, ``key``, ``value``, ``invoked``, ``completed`` (seconds since the run began; ``None``: never),
    ``outcome`` and ``result``. ``explained`` says in words why there is no order of them.
    """

    check: str
    key: str | None
    calls: tuple[Mapping[str, Any], ...]
    explained: str = ""


@dataclass(frozen=True, kw_only=True)
class HistorySummarised(Event):
    """The history in bins of time, so that a report needs the journal alone. ``summary`` is that of the report."""

    operations: int
    summary: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class LogErrorsFound(Event):
    """Lines of a node's log that tell of an error; ``at`` has when each was written, in seconds since the run began.

    ``left_out`` counts further ones.
    """

    at: tuple[float, ...]
    lines: tuple[str, ...]
    left_out: int = 0


@dataclass(frozen=True, kw_only=True)
class EvidenceSaved(Event):
    files: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class CleanupStarted(Event):
    resources: int


@dataclass(frozen=True, kw_only=True)
class ResourceRemoved(Event):
    resource: str
    locator: str


@dataclass(frozen=True, kw_only=True)
class CleanupFailed(Event):
    resource: str
    locator: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ErrorRecorded(Event):
    layer: str
    code: str
    message: str
    hint: str | None = None


@dataclass(frozen=True, kw_only=True)
class RunDetached(Event):
    """``up`` handed the network to its reaper, which takes it down after ``ttl`` seconds."""

    ttl: float
    reaper: int


@dataclass(frozen=True, kw_only=True)
class RunEnded(Event):
    verdict: str
    exit_status: int
    after: float


def event_types() -> tuple[type[Event], ...]:
    """Every event of this module, in the order of the page."""
    return tuple(Event.__subclasses__())
