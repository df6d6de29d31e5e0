"""Everything that a run tells: one frozen record per event. Observers turn them into journal, table and report.

An event's name in the journal is its class name in kebab case. Fields are JSON values or enums, never secrets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nodeyard.domain.bootstrap_events import *  # noqa: F403 - this module is the one door to all events
from nodeyard.domain.event import Event as Event


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
    """Every event, those of bootstrap first."""
    return tuple(Event.__subclasses__())
