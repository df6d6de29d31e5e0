"""Whole runs as lists of events with their times, for tests of everything that is made from a journal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from nodeyard.domain import events as ev
from nodeyard.domain.node_handle import OriginClass
from nodeyard.domain.node_inventory import NodeInventory, merge
from nodeyard.domain.verdict import Check, ErrorRecord, RunVerdict, Verdict
from nodeyard.errors.base import ExitStatus
from nodeyard.observability.files import inventory_event
from nodeyard.observability.journal import Journal, JournalRecord, read_journal

from .samples import HandClock, sighting

Timed = tuple[float, ev.Event]
HTML = "<script>alert('x')</script> & \"quoted\" </pre>"


def network(count: int) -> NodeInventory:
    own = [sighting(f"n{i}", port=21000 + i, peer=f"8e9e05c5216469{i:02x}") for i in range(count)]
    far = sighting("outside", port=2379, cls=OriginClass.EXTERNAL, source="external", peer="91bc3c398fb3c146")
    return merge([*own, far])


def begin(count: int) -> list[Timed]:
    names = [f"n{i}" for i in range(count)]
    told: list[Timed] = [
        (0.0, ev.RunStarted(run="kv-20300102-1a2b", scenario="kv-under-restart", seed=7, version="0.1.0",
                            host="builder-3", pid=4711, repeat="nodeyard run kv.yaml --seed 7",
                            why="nodeyard inspect kv-20300102-1a2b")),
        (0.0, ev.PhaseStarted(phase="resolve", number=1)),
        (0.01, ev.SpecResolved(mode="managed", kinds=("etcd",), binaries={"etcd": "/opt/etcd"})),
        (0.02, ev.PhaseStarted(phase="plan", number=2)),
        *((0.03, ev.NodeProvisioned(node=n, source="local", addresses={"client": "127.0.0.1:21000"})) for n in names),
        (0.05, ev.PhaseStarted(phase="discover", number=3)),
        (0.06, ev.NodeDiscovered(node="outside", origin="external", source="external", locator="external[0]",
                                 endpoints={"client": "http://127.0.0.1:2379"})),
        (0.07, ev.PhaseStarted(phase="start", number=6)),
        *((0.1 + 0.01 * i, ev.NodeStarted(node=n, locator=f"pid {5000 + i}")) for i, n in enumerate(names)),
        (0.3, ev.PhaseStarted(phase="readiness", number=7)),
        (0.4, ev.NodeProbed(node="n1", rung="port open", detail="no answer from /health", attempt=3)),
        *((1.2 + 0.05 * i, ev.NodeReady(node=n, after=1.1, detail="height 4")) for i, n in enumerate(names)),
        (1.5 + 0.05 * count, ev.ReadinessReached(policy="all", ready=count, declared=count, after=1.3)),
        (1.6 + 0.05 * count, inventory_event(network(count))),
    ]  # fmt: skip
    return told


def failing(count: int = 3) -> list[Timed]:
    """A run with a restart, a fault, a node that dies, a failed check, and hostile texts."""
    at = 2.0 + 0.05 * count
    return [
        *begin(count),
        (at, ev.PhaseStarted(phase="steps")),
        (at, ev.StepStarted(index=0, step="put", label="put 40 keys")),
        (at + 2, ev.StepEnded(index=0, step="put", label="put 40 keys", outcome="done", after=2.0)),
        (at + 2, ev.StepStarted(index=1, step="restart", label="restart n1")),
        (at + 2, ev.OperationStarted(node="n1", operation="restart")),
        (at + 2.4, ev.NodeExited(node="n1", status="exit status 0", expected=True)),
        (at + 2.5, ev.NodeStarted(node="n1", locator="pid 6001")),
        (at + 3.6, ev.NodeReady(node="n1", after=1.1, detail="height 61")),
        (at + 3.6, ev.OperationEnded(node="n1", operation="restart", outcome="done", after=1.6)),
        (at + 3.7, ev.StepEnded(index=1, step="restart", label="restart n1", outcome="done", after=1.7)),
        (at + 3.8, ev.StepStarted(index=2, step="run", label="traffic with a pause")),
        (at + 4.5, ev.FaultInjected(node="n0", fault="pause")),
        (at + 4.5, ev.OperationEnded(node="n0", operation="pause", outcome="done", after=0.01)),
        (at + 4.6, ev.FaultProven(node="n0", fault="pause", evidence="no answer within 500 ms")),
        (at + 7.5, ev.OperationEnded(node="n0", operation="resume", outcome="done", after=0.01)),
        (at + 7.6, ev.FaultHealed(node="n0", fault="pause", evidence="answers again")),
        (at + 8.1, ev.NodeExited(node="n2", status="killed by SIGABRT", expected=False,
                                 last_lines=("panic: index out of range", HTML, "goroutine 1 [running]:"))),
        (at + 8.3, ev.StepEnded(index=2, step="run", label="traffic with a pause", outcome="failed", after=4.5,
                                reason="n2 ended by itself")),
        (at + 8.4, ev.PhaseStarted(phase="expectations")),
        (at + 8.5, ev.CheckEvaluated(check="converged", verdict="unknown", reason="n2 does not answer")),
        (at + 8.6, ev.CheckEvaluated(check="no-crash", verdict="fail", reason="n2 ended by itself: killed by SIGABRT",
                                     evidence=("panic: index out of range", HTML))),
        (at + 8.6, ev.CheckEvaluated(check="height-advances", verdict="pass", reason="from 61 to 88 within 2 s")),
        (at + 8.65, ev.ErrorRecorded(node="n2", layer="node", code="node-unreachable",
                                     message=f"nothing accepts connections at http://127.0.0.1:21002\n{HTML}",
                                     hint="see the node's log: nodeyard logs kv-20300102-1a2b n2")),
        (at + 8.7, ev.PhaseStarted(phase="evidence")),
        (at + 8.8, ev.EvidenceSaved(files=("nodes/n2/diagnostics.txt", "nodes/n2/stderr.log"))),
        (at + 8.9, ev.PhaseStarted(phase="cleanup")),
        (at + 8.9, ev.CleanupStarted(resources=count)),
        *((at + 9.0, ev.ResourceRemoved(node=f"n{i}", resource="process", locator=f"pid {5000 + i}"))
          for i in range(count)),
        (at + 9.2, ev.RunEnded(verdict="fail", exit_status=1, after=at + 9.2)),
    ]  # fmt: skip


def passing(count: int = 3) -> list[Timed]:
    return [
        *begin(count),
        (3.0, ev.StepStarted(index=0, step="put", label="put")),
        (3.1, ev.StepEnded(index=0, step="put", label="put", outcome="done", after=0.1)),
        (3.2, ev.CheckEvaluated(check="converged", verdict="pass", reason="all alike")),
        (3.5, ev.RunEnded(verdict="pass", exit_status=0, after=3.5)),
    ]


def never_ready() -> list[Timed]:
    """A run that infrastructure ended."""
    return [
        *begin(3)[:14],
        (0.9, ev.NodeExited(node="n1", status="exit status 2", expected=False, last_lines=("bind: address in use",))),
        (0.9, ev.ErrorRecorded(node="n1", layer="bootstrap", code="node-exited",
                               message="ended before it was ready: exit status 2\nbind: address in use",
                               hint="another process holds its port")),
        (1.0, ev.RunEnded(verdict="unknown", exit_status=7, after=1.0)),
    ]  # fmt: skip


def records(told: Iterable[Timed], folder: Path) -> tuple[JournalRecord, ...]:
    """The events as a journal gives them back."""
    path, clock = folder / "journal.jsonl", HandClock()
    journal = Journal(path, clock=clock)
    for at, event in told:
        clock.seconds = 100.0 + at
        journal.see(event)
    journal.close()
    return read_journal(path)


def as_records(told: Iterable[Timed]) -> Iterator[JournalRecord]:
    """The same without a file, for tests with many examples."""
    for seq, (at, event) in enumerate(told):
        data = {name: value for name, value in event.record().items() if name != "node"}
        yield JournalRecord(seq, HandClock().utc(), at, event.name, event.node, data, event)


def outcome_of(told: Sequence[Timed], ended_by: ExitStatus | None = None) -> RunVerdict:
    events = [event for _, event in told]
    return RunVerdict(
        "kv-20300102-1a2b",
        7,
        tuple(
            Check(e.check, Verdict(e.verdict), e.reason, e.evidence) for e in events if isinstance(e, ev.CheckEvaluated)
        ),
        tuple(
            ErrorRecord(e.layer, e.code, e.node, e.message, e.hint) for e in events if isinstance(e, ev.ErrorRecorded)
        ),
        ended_by,
    )
