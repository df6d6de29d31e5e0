"""What is known of a node when something failed, and how it is kept: before cleanup, bounded in size and time.

Handed values and ports only. Nothing here raises but cancellation: what could not be learned or written is itself
noted, because evidence that is missing without a word misleads.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nodeyard._aio.tasks import side_by_side
from nodeyard.domain.capability import Capability, authorize
from nodeyard.domain.node_client import Probe
from nodeyard.domain.node_handle import NodeHandle, Origin
from nodeyard.errors.base import NodeyardError
from nodeyard.observability.files import node_folder, write_text
from nodeyard.observability.redaction import Redactor
from nodeyard.ports.node_control import HasDiagnostics, HasLogs, NodeControl, NodeState

PER_NODE = 5.0
"""Seconds that one node's evidence may take: it is asked when it is most likely not to answer."""
TAIL_LINES = 50
"""Log lines inside ``diagnostics.txt``."""
LOG_BYTES = 8 * 1024 * 1024
"""Most of a fetched log that is kept: its end."""
FETCHED = "fetched.log"
"""The file of a node's output that its backend kept elsewhere."""
READ_BYTES = 256 * 1024
"""How much of the end of a log file is read for the tail."""


@dataclass(frozen=True)
class Subject:
    """A node to be diagnosed. ``control_of`` gives the control of one of its origins; ``probe`` is the last look at it.

    ``log_files`` are files that hold its output already. ``answer`` is a last answer or error beyond the probe's.
    """

    handle: NodeHandle
    control_of: Callable[[Origin], NodeControl] | None = None
    probe: Probe | None = None
    log_files: Sequence[Path] = ()
    answer: str = ""


@dataclass(frozen=True)
class NodeDiagnostics:
    """What was learned of one node; its ``str`` is the text for people. ``notes`` say what could not be learned."""

    node: str
    kind: str
    ownership: str
    state: str = "unknown"
    status: str = ""
    locator: str = ""
    rung: str = ""
    answer: str = ""
    identity: str = ""
    endpoints: Mapping[str, str] = field(default_factory=dict)
    network: str = ""
    origins: tuple[str, ...] = ()
    last_lines: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        facts = {
            "kind": self.kind,
            "ownership": self.ownership,
            "origins": "; ".join(self.origins),
            "state": self.state,
            "ended": self.status,
            "where": self.locator,
            "readiness": self.rung,
            "last answer": self.answer,
            "identity": self.identity,
            "network": self.network,
            "endpoints": ", ".join(f"{port} {url}" for port, url in self.endpoints.items()),
        }
        lines = [f"node {self.node}", *(f"  {name + ':':<13}{value}" for name, value in facts.items() if value)]
        lines += [f"  note:        {note}" for note in self.notes]
        if self.last_lines:
            lines += [f"  last {len(self.last_lines)} log lines:", *(f"    | {line}" for line in self.last_lines)]
        return "\n".join(lines) + "\n"


async def diagnose(subject: Subject, *, within: float = PER_NODE, tail: int = TAIL_LINES) -> NodeDiagnostics:
    """Learn what can be learned of a node in ``within`` seconds."""
    notes: list[str] = []
    state = NodeState("unknown")
    lines: tuple[str, ...] = ()
    try:
        async with asyncio.timeout(within):
            state = await _state(subject, notes)
            lines = await _last_lines(subject, tail, notes)
    except TimeoutError:
        notes.append(f"asking took more than {within:g} s and was given up")
    handle, probe = subject.handle, subject.probe
    fatal = f" (fatal: {probe.fatal})" if probe is not None and probe.fatal else ""
    return NodeDiagnostics(
        node=handle.id,
        kind=handle.kind,
        ownership=handle.ownership.value,
        state=state.state,
        status=state.status,
        locator=state.locator,
        rung=probe.rung.label if probe is not None else "",
        answer="; ".join(part for part in (probe.detail + fatal if probe is not None else "", subject.answer) if part),
        identity=f"{handle.identity.key}{_aliases(handle)}",
        endpoints=dict(handle.endpoints),
        network=handle.network.id or "",
        origins=tuple(f"{o.origin} {o.source} ({o.locator})" for o in handle.origins),
        last_lines=lines,
        notes=tuple(notes),
    )


def _aliases(handle: NodeHandle) -> str:
    return f" (also {', '.join(handle.identity.aliases)})" if handle.identity.aliases else ""


async def _state(subject: Subject, notes: list[str]) -> NodeState:
    """The first state that a control of the node knows."""
    if subject.control_of is None:
        return NodeState("unknown")
    for origin in subject.handle.origins:
        try:
            state = await subject.control_of(origin).state()
        except Exception as error:  # noqa: BLE001 - what could not be learned is a note
            notes.append(f"{origin.source} does not tell the state: {_brief(error)}")
            continue
        if state.state != "unknown":
            return state
    return NodeState("unknown")


async def _last_lines(subject: Subject, tail: int, notes: list[str]) -> tuple[str, ...]:
    if subject.log_files:
        return _tail_of_files(subject.log_files, tail, notes)
    logs = _log_source(subject, notes)
    if logs is None:
        return ()
    try:
        return tuple((await logs.logs(tail=tail))[-tail:])
    except Exception as error:  # noqa: BLE001 - what could not be learned is a note
        notes.append(f"its logs cannot be read: {_brief(error)}")
        return ()


def _log_source(subject: Subject, notes: list[str]) -> HasLogs | None:
    """Who may give this node's logs: a borrowed node's are read only where its source grants it."""
    decision = authorize(subject.handle, Capability.LOGS)
    if not decision.allowed or decision.origin is None or subject.control_of is None:
        notes.append(f"no logs: {decision.reason}" if not decision.allowed else "no logs: it has no control")
        return None
    control = subject.control_of(decision.origin)
    if isinstance(control, HasLogs):
        return control
    notes.append(f"no logs: source '{decision.origin.source}' has none")
    return None


def _tail_of_files(files: Sequence[Path], tail: int, notes: list[str]) -> tuple[str, ...]:
    lines: deque[str] = deque(maxlen=tail)
    for path in files:
        try:
            with path.open("rb") as file:
                file.seek(0, 2)
                file.seek(max(0, file.tell() - READ_BYTES))
                lines.extend(file.read().decode("utf-8", "replace").splitlines())
        except OSError as error:
            notes.append(f"{path.name} cannot be read: {error.strerror or error}")
    return tuple(lines)


def _brief(error: Exception) -> str:
    return error.message if isinstance(error, NodeyardError) else f"{type(error).__name__}: {error}"


def kept_logs(folder: Path, subject: Subject) -> tuple[Path, ...]:
    """The files that hold a node's output once its evidence was saved."""
    return (*subject.log_files, folder / "nodes" / node_folder(subject.handle.id) / FETCHED)


async def save_evidence(
    folder: Path,
    subjects: Sequence[Subject],
    *,
    redactor: Redactor | None = None,
    within: float = 30.0,
    per_node: float = PER_NODE,
) -> tuple[str, ...]:
    """Write ``nodes/NAME/diagnostics.txt``, ``nodes/NAME/fetched.log`` where the output is not in a file already, and
    what the node's backend has to say in files of its own.

    Returns the files of evidence, new ones and logs that were there, relative to ``folder`` where they are below it.
    What could not be written or learned in time stands in ``evidence-problems.txt`` where even that can be written.
    """
    hide = redactor or Redactor()
    problems: list[str] = []
    saved: list[str] = []

    async def one(subject: Subject) -> None:
        found = await diagnose(subject, within=per_node)
        target = folder / "nodes" / node_folder(subject.handle.id)
        _write(target / "diagnostics.txt", hide.text(str(found)), folder, saved, problems)
        if subject.log_files:
            saved.extend(_relative(path, folder) for path in subject.log_files if path.exists())
        elif found.last_lines:
            text = await _whole_log(subject, per_node, problems)
            _write(target / FETCHED, hide.text(text), folder, saved, problems)
        for name, text in (await _backend_files(subject, per_node, problems)).items():
            _write(target / name, hide.text(text), folder, saved, problems)

    try:
        async with asyncio.timeout(within):
            outcomes = await side_by_side(one, subjects, at_once=32)
        problems += [
            f"{subject.handle.id}: {_brief(outcome)}"
            for subject, outcome in zip(subjects, outcomes, strict=True)
            if isinstance(outcome, Exception)
        ]
    except TimeoutError:
        problems.append(f"saving evidence took more than {within:g} s; some nodes have none")
    if problems:
        text = hide.text("".join(f"{problem}\n" for problem in problems))
        _write(folder / "evidence-problems.txt", text, folder, saved, problems)
    return tuple(sorted(set(saved)))


def _write(path: Path, text: str, folder: Path, saved: list[str], problems: list[str]) -> None:
    try:
        write_text(path, text)
    except NodeyardError as error:
        problems.append(error.message)
        return
    saved.append(_relative(path, folder))


def _relative(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


async def _backend_files(subject: Subject, within: float, problems: list[str]) -> Mapping[str, str]:
    """What the backend knows beside the output; of a borrowed node only where its source grants its logs."""
    decision = authorize(subject.handle, Capability.LOGS)
    if not decision.allowed or decision.origin is None or subject.control_of is None:
        return {}
    control = subject.control_of(decision.origin)
    if not isinstance(control, HasDiagnostics):
        return {}
    try:
        async with asyncio.timeout(within):
            return await control.diagnostics()
    except Exception as error:  # noqa: BLE001 - what could not be learned is a note
        problems.append(f"{subject.handle.id}: its backend tells nothing: {_brief(error)}")
        return {}


async def _whole_log(subject: Subject, within: float, problems: list[str]) -> str:
    """All of a node's output, or its end where that is long."""
    logs = _log_source(subject, problems)
    if logs is None:
        return ""
    try:
        async with asyncio.timeout(within):
            lines = await logs.logs()
    except Exception as error:  # noqa: BLE001 - what could not be learned is a note
        problems.append(f"{subject.handle.id}: its log was not fetched: {_brief(error)}")
        return ""
    kept: deque[str] = deque()
    size = 0
    for line in reversed(lines):
        size += len(line) + 1
        if size > LOG_BYTES:
            kept.appendleft(f"(the first {len(lines) - len(kept)} lines are left out)")
            break
        kept.appendleft(line)
    return "".join(f"{line}\n" for line in kept)
