"""One sentence per event, as progress lines and the report say it. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from nodeyard.domain import events as ev
from nodeyard.domain.node_client import Rung

EventT = TypeVar("EventT", bound=ev.Event)
Sentence = Callable[[Any], str]


def _merged(e: ev.InventoryMerged) -> str:
    count = "1 node" if e.nodes == 1 else f"{e.nodes} nodes"
    return f"{count}: {e.owned} owned, {e.borrowed} borrowed (revision {e.revision})"


def seconds(value: float) -> str:
    """A length of time as people say it: ``40 ms``, ``1.25 s``, ``2 min 5 s``."""
    if value < 0.9995:
        return f"{value * 1000:.0f} ms"
    if value < 59.995:
        return f"{value:.3g} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def sentence(event: ev.Event) -> str:
    """What happened, without the node's name; an empty text for events that are only for the journal."""
    say = _SENTENCES.get(type(event))
    return say(event) if say is not None else ""


PHASES = {
    "resolve": "reading what the scenario needs",
    "plan": "reserving names, folders and ports",
    "discover": "looking for nodes",
    "normalise": "asking nodes who they are",
    "merge": "merging everything into one inventory",
    "start": "starting nodes",
    "readiness": "waiting for readiness",
    "preflight": "checking what the steps may do",
    "hand-off": "the network is up",
    "steps": "running the steps",
    "expectations": "checking the expectations",
    "evidence": "saving evidence",
    "cleanup": "taking the network down",
}


def phase_text(phase: str) -> str:
    """A phase in plain words; a phase that this version does not know by its own name."""
    return PHASES.get(phase, phase)


RUNGS = {Rung.NOTHING.label: "no sign of life"}
"""Rungs whose own name would not be understood in a sentence."""


def milliseconds(value: float) -> str:
    """A latency of so many seconds in three digits that count."""
    return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"


def probe_text(event: ev.NodeProbed) -> str:
    """How far a node is up the readiness ladder, and its last answer or error."""
    return f"{RUNGS.get(event.rung, event.rung)}: {event.detail}"


def _tail(text: str) -> str:
    return f": {text}" if text else ""


def _denied(event: ev.OperationDenied) -> str:
    return f"{event.operation} denied: {event.reason}"


def _exited(event: ev.NodeExited) -> str:
    last = event.last_lines[-1] if event.last_lines and not event.expected else ""
    return f"ended{' as asked' if event.expected else ' by itself'} ({event.status}){_tail(last)}"


def _step(event: ev.StepEnded) -> str:
    return f"step {event.index + 1} {event.label}: {event.outcome} after {seconds(event.after)}{_tail(event.reason)}"


def _operation(event: ev.OperationEnded) -> str:
    return f"{event.operation}: {event.outcome} after {seconds(event.after)}{_tail(event.reason)}"


def _identified(event: ev.NodeIdentified) -> str:
    facts = {"peer": event.peer_id, "network": event.network, "role": event.role, "version": event.api}
    return "is " + ", ".join(f"{k} {v}" for k, v in facts.items() if v) if any(facts.values()) else "says nothing"


def _discovered(event: ev.NodeDiscovered) -> str:
    return f"found in {event.origin} source '{event.source}' ({', '.join(event.endpoints.values()) or event.locator})"


def _traffic(event: ev.TrafficStarted) -> str:
    parts = {"traffic": event.workloads, "faults": event.faults, "always": event.always}
    said = [f"{name} {', '.join(words)}" for name, words in parts.items() if words]
    lasts = "until done" if event.lasts is None else f"for {seconds(event.lasts)}"
    return f"{lasts}: {'; '.join(said)}"


def _workload(event: ev.WorkloadEnded) -> str:
    more = {"late": event.late, "dropped": event.dropped}
    counts = f"{event.ok} ok, {event.fail} fail, {event.info} info"
    counts += "".join(f", {count} {name}" for name, count in more.items() if count)
    return f"workload {event.workload} {event.outcome} after {seconds(event.after)}: {counts}{_tail(event.reason)}"


_SENTENCES: dict[type[ev.Event], Sentence] = {
    ev.RunStarted: lambda e: f"run {e.run} of '{e.scenario}', seed {e.seed}",
    ev.SpecResolved: lambda e: f"{e.mode} network of {', '.join(e.kinds)}",
    ev.PhaseStarted: lambda e: phase_text(e.phase),
    ev.ReaperReady: lambda e: f"a reaper watches (pid {e.pid})",
    ev.ReaperReplaced: lambda e: f"a new reaper watches (pid {e.pid}): {e.reason}",
    ev.ProgramWanted: lambda e: f"getting {e.program}, once for all runs: {e.source}",
    ev.ProgramMade: lambda e: f"{e.program} is there after {seconds(e.after)}",
    ev.NodeProvisioned: lambda e: f"reserved {', '.join(f'{k} {v}' for k, v in e.addresses.items())} by {e.source}",
    ev.NodeDiscovered: _discovered,
    ev.DiscoveryPartial: lambda e: (
        f"source '{e.source}': {e.found} of {e.expected} nodes{_tail('; '.join(e.problems))}"
    ),
    ev.NodeIdentified: _identified,
    ev.IdentityChanged: lambda e: f"identity changed from {e.before} to {e.after} ({e.reason})",
    ev.GrantsRevoked: lambda e: f"lost the grants of source '{e.source}': {e.reason}",
    ev.InventoryMerged: _merged,
    ev.ConflictOverridden: lambda e: f"{e.conflict} decided by {e.preference}{_tail('; '.join(e.facts))}",
    ev.SeedsChosen: lambda e: f"joins through {', '.join(e.seeds) or 'nobody'}",
    ev.NodeStarted: lambda e: f"started ({e.locator})",
    ev.NodeJoined: lambda e: f"joined as member {e.member} through {e.through}",
    ev.NetworkAdopted: lambda e: f"managed nodes enter network {e.network}, as {' and '.join(e.through)} tell it",
    ev.NodeProbed: lambda e: f"{probe_text(e)} (try {e.attempt})",
    ev.NodeReady: lambda e: f"ready after {seconds(e.after)}{_tail(e.detail)}",
    ev.ReadinessReached: lambda e: (
        f"{e.ready} of {e.declared} nodes ready after {seconds(e.after)} (policy {e.policy})"
    ),
    ev.PreflightPassed: lambda e: f"preflight passed: {e.checks} planned operations are permitted",
    ev.StepStarted: lambda e: f"step {e.index + 1} {e.label}",
    ev.StepEnded: _step,
    ev.TrafficStarted: _traffic,
    ev.TrafficEnded: lambda e: f"{e.label}: {e.outcome} after {seconds(e.after)}{_tail(e.reason)}",
    ev.WorkloadStarted: lambda e: f"workload {e.workload} began",
    ev.WorkloadEnded: _workload,
    ev.OperationStarted: lambda e: f"{e.operation} ...",
    ev.OperationEnded: _operation,
    ev.OperationDenied: _denied,
    ev.FaultInjected: lambda e: f"fault {e.fault} injected{_tail(e.detail)}",
    ev.FaultProven: lambda e: f"fault {e.fault} proven: {e.evidence}",
    ev.FaultHealed: lambda e: f"fault {e.fault} healed: {e.evidence}",
    ev.NodeExited: _exited,
    ev.CheckEvaluated: lambda e: f"check {e.check}: {e.verdict}{_tail(e.reason)}",
    ev.CounterexampleFound: lambda e: (
        f"check {e.check}: {len(e.calls)} operations{f' on {e.key}' if e.key is not None else ''} have no explanation"
    ),
    ev.HistorySummarised: lambda e: f"{e.operations} operations recorded",
    ev.LogErrorsFound: lambda e: f"{len(e.lines) + e.left_out} log lines tell of errors",
    ev.EvidenceSaved: lambda e: f"{len(e.files)} files of evidence saved",
    ev.CleanupStarted: lambda e: f"removing {e.resources} resources",
    ev.ResourceRemoved: lambda e: f"removed {e.resource} {e.locator}",
    ev.CleanupFailed: lambda e: f"could not remove {e.resource} {e.locator}: {e.reason}",
    ev.ErrorRecorded: lambda e: f"error {e.layer}/{e.code}: {e.message}",
    ev.RunDetached: lambda e: f"left running for {seconds(e.ttl)} under its reaper (pid {e.reaper})",
    ev.RunEnded: lambda e: f"verdict {e.verdict}, exit status {e.exit_status}, after {seconds(e.after)}",
}
