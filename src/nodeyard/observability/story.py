"""A journal told as a story: what happened when to whom, as values that a report can draw. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nodeyard.domain import events as ev
from nodeyard.domain.verdict import ErrorRecord
from nodeyard.observability.facts import NodeFacts, gathered, published_facts
from nodeyard.observability.journal import DAMAGED, JournalRecord
from nodeyard.observability.traffic import Traffic, traffic_of
from nodeyard.observability.wording import phase_text, sentence

AFTER: Mapping[str, str] = {"pause": "paused", "resume": "ready", "stop": "stopped", "kill": "stopped"}
"""The state of a node after such an operation was done."""
OUTCOMES: Mapping[str, str] = {"done": "good", "failed": "bad", "error": "bad", "skipped": "dim"}
STYLES: Mapping[type[ev.Event], str] = {
    ev.ErrorRecorded: "bad",
    ev.CleanupFailed: "bad",
    ev.OperationDenied: "bad",
    ev.NodeReady: "good",
    ev.ReadinessReached: "good",
    ev.DiscoveryPartial: "warn",
    ev.IdentityChanged: "warn",
    ev.GrantsRevoked: "warn",
    ev.ConflictOverridden: "warn",
    ev.ReaperReplaced: "warn",
    ev.CounterexampleFound: "bad",
    ev.LogErrorsFound: "warn",
    ev.FaultInjected: "fault",
    ev.FaultProven: "fault",
    ev.FaultHealed: "fault",
}
WARNINGS: frozenset[type[ev.Event]] = frozenset(
    {ev.DiscoveryPartial, ev.IdentityChanged, ev.GrantsRevoked, ev.ConflictOverridden, ev.OperationDenied,
     ev.ReaperReplaced, ev.CleanupFailed}
)  # fmt: skip
"""Events that a reader of a report should know of, whatever the verdict."""


@dataclass
class Span:
    """Something that lasted: ``start`` and ``end`` in seconds of the run; ``end`` is ``None`` while it goes on."""

    start: float
    label: str
    style: str
    detail: str = ""
    end: float | None = None


@dataclass(frozen=True)
class Moment:
    """Something that happened at once. ``event`` is missing where this version does not know it."""

    at: float
    name: str
    node: str | None
    text: str
    style: str = ""
    event: ev.Event | None = None


@dataclass
class StepStory:
    """One step; ``outcome`` is empty while it goes on, or where the journal stops before its end."""

    number: int
    label: str
    at: float
    outcome: str = ""
    after: float | None = None
    reason: str = ""

    @property
    def style(self) -> str:
        return OUTCOMES.get(self.outcome, "warn") if self.outcome else "running"


@dataclass(frozen=True)
class Removal:
    """Something that cleanup removed, or could not remove: then ``reason`` says why."""

    at: float
    resource: str
    locator: str
    node: str | None
    reason: str = ""


@dataclass
class NodeStory:
    """One node: its states, what happened to it, its last log lines if it ended by itself, and its inventory row."""

    id: str
    states: list[Span] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    last_lines: tuple[str, ...] = ()
    log_errors: tuple[tuple[float, str], ...] = ()
    facts: NodeFacts = NodeFacts()

    @property
    def state(self) -> str:
        return self.states[-1].label if self.states else "known"

    def enter(self, state: str, at: float, detail: str = "") -> None:
        """From now on it is in this state; entering the present state again changes nothing."""
        if self.states and self.states[-1].end is None:
            if self.states[-1].label == state:
                return
            self.states[-1].end = at
        self.states.append(Span(at, state, state, detail))

    def leave(self, at: float) -> None:
        """It is gone."""
        if self.states and self.states[-1].end is None:
            self.states[-1].end = at


@dataclass
class Story:
    """One run. ``ended`` is ``None`` when the journal has no end: killed, or going on."""

    started: ev.RunStarted | None = None
    began: str = ""
    ended: ev.RunEnded | None = None
    detached: ev.RunDetached | None = None
    mode: str = ""
    length: float = 0.0
    phases: list[Span] = field(default_factory=list)
    steps: list[StepStory] = field(default_factory=list)
    faults: list[Span] = field(default_factory=list)
    nodes: dict[str, NodeStory] = field(default_factory=dict)
    checks: list[tuple[float, ev.CheckEvaluated]] = field(default_factory=list)
    errors: list[ErrorRecord] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    warnings: list[Moment] = field(default_factory=list)
    removed: list[Removal] = field(default_factory=list)
    remaining: list[Removal] = field(default_factory=list)
    cleanup: ev.CleanupStarted | None = None
    files: list[str] = field(default_factory=list)
    readiness: ev.ReadinessReached | None = None
    traffic: Traffic | None = None
    counterexamples: list[ev.CounterexampleFound] = field(default_factory=list)
    revision: int = 0
    damaged: int = 0


def tell(records: Sequence[JournalRecord]) -> Story:
    """The story of a journal, in the order of its lines."""
    story = Story()
    for record in records:
        if record.event == DAMAGED:
            story.damaged += 1
            continue
        story.length = max(story.length, record.elapsed)
        event = record.typed
        text = sentence(event) if event is not None else _raw(record)
        moment = Moment(record.elapsed, record.event, record.node, text, _style(event), event)
        story.moments.append(moment)
        if type(event) in WARNINGS:
            story.warnings.append(moment)
        if event is None:
            continue
        _run(story, event, record)
        _spans(story, event, record.elapsed)
        _cleanup(story, event, record.elapsed)
        if event.node is not None:
            _node(story.nodes.setdefault(event.node, NodeStory(event.node)), event, moment)
    _close(story)
    return story


def _raw(record: JournalRecord) -> str:
    data = ", ".join(f"{name} {value}" for name, value in record.data.items())
    return f"{record.event}: {data}" if data else record.event


def _style(event: ev.Event | None) -> str:
    if isinstance(event, ev.NodeExited):
        return "dim" if event.expected else "bad"
    if isinstance(event, ev.CheckEvaluated | ev.RunEnded):
        return {"pass": "good", "fail": "bad"}.get(event.verdict, "warn")
    if isinstance(event, ev.StepEnded | ev.OperationEnded):
        return OUTCOMES.get(event.outcome, "warn")
    return STYLES.get(type(event), "") if event is not None else ""


def _run(story: Story, event: ev.Event, record: JournalRecord) -> None:
    """What an event says of the run as a whole."""
    if isinstance(event, ev.RunStarted):
        story.started = event
        story.began = record.time.strftime("%Y-%m-%d %H:%M:%S UTC") if record.time is not None else ""
    elif isinstance(event, ev.SpecResolved):
        story.mode = event.mode
    elif isinstance(event, ev.RunEnded):
        story.ended = event
    elif isinstance(event, ev.RunDetached):
        story.detached = event
    elif isinstance(event, ev.CheckEvaluated):
        story.checks.append((record.elapsed, event))
    elif isinstance(event, ev.ErrorRecorded):
        story.errors.append(ErrorRecord(event.layer, event.code, event.node, event.message, event.hint))
    elif isinstance(event, ev.HistorySummarised):
        story.traffic = traffic_of(event.summary) or story.traffic
    elif isinstance(event, ev.CounterexampleFound):
        story.counterexamples.append(event)
    elif isinstance(event, ev.EvidenceSaved):
        story.files += [file for file in event.files if file not in story.files]
    elif isinstance(event, ev.ReadinessReached):
        story.readiness = story.readiness or event
    elif isinstance(event, ev.InventoryMerged):
        story.revision = event.revision
    elif isinstance(event, ev.InventoryPublished):
        story.revision = event.revision
        for document in event.nodes:
            node = str(document.get("id", ""))
            story.nodes.setdefault(node, NodeStory(node)).facts = published_facts(document)


def _spans(story: Story, event: ev.Event, at: float) -> None:
    """What began or ended on the run's own lanes."""
    if isinstance(event, ev.PhaseStarted):
        _end(story.phases, at)
        number = f"{event.number} " if event.number is not None else ""
        story.phases.append(Span(at, f"{number}{event.phase}", f"phase-{event.phase}", phase_text(event.phase)))
    elif isinstance(event, ev.StepStarted):
        story.steps.append(StepStory(event.index + 1, event.label, at))
    elif isinstance(event, ev.StepEnded):
        _step_ended(story, event, at)
    elif isinstance(event, ev.FaultInjected):
        story.faults.append(Span(at, _fault(event), "fault", sentence(event)))
    elif isinstance(event, ev.FaultProven | ev.FaultHealed):
        span = next((s for s in reversed(story.faults) if s.label == _fault(event) and s.end is None), None)
        if span is not None:
            span.detail += f"; {sentence(event)}"
            span.end = at if isinstance(event, ev.FaultHealed) else None


def _step_ended(story: Story, event: ev.StepEnded, at: float) -> None:
    step = next((s for s in reversed(story.steps) if s.number == event.index + 1 and not s.outcome), None)
    if step is None:  # skipped: it never started
        step = StepStory(event.index + 1, event.label, at)
        story.steps.append(step)
    step.outcome, step.after, step.reason = event.outcome, event.after, event.reason


def _cleanup(story: Story, event: ev.Event, at: float) -> None:
    """What was taken down. What a later attempt removed does not remain."""
    if isinstance(event, ev.CleanupStarted):
        story.cleanup = story.cleanup or event
    elif isinstance(event, ev.ResourceRemoved):
        gone = Removal(at, event.resource, event.locator, event.node)
        story.removed.append(gone)
        story.remaining = [r for r in story.remaining if (r.resource, r.node) != (gone.resource, gone.node)]
    elif isinstance(event, ev.CleanupFailed):
        story.remaining.append(Removal(at, event.resource, event.locator, event.node, event.reason))


def _fault(event: ev.FaultInjected | ev.FaultProven | ev.FaultHealed) -> str:
    return f"{event.fault} {event.node}" if event.node is not None else event.fault


def _end(spans: list[Span], at: float) -> None:
    if spans and spans[-1].end is None:
        spans[-1].end = at


def _node(node: NodeStory, event: ev.Event, moment: Moment) -> None:
    """What an event says of a node."""
    node.moments.append(moment)
    node.facts = gathered(node.facts, event)
    at, text = moment.at, moment.text
    if isinstance(event, ev.NodeProvisioned):
        node.enter("planned", at, text)
    elif isinstance(event, ev.NodeDiscovered) and not node.states:
        node.enter("found", at, text)
    elif isinstance(event, ev.NodeStarted):
        node.enter("started", at, text)
    elif isinstance(event, ev.NodeReady):
        node.enter("ready", at, text)
    elif isinstance(event, ev.NodeExited):
        node.enter("stopped" if event.expected else "exited", at, text)
        node.last_lines = event.last_lines or node.last_lines
    elif isinstance(event, ev.LogErrorsFound):
        node.log_errors = tuple(zip(event.at, event.lines, strict=False))
    elif isinstance(event, ev.OperationEnded) and event.outcome == "done" and event.operation in AFTER:
        node.enter(AFTER[event.operation], at, text)
    elif isinstance(event, ev.ResourceRemoved):
        node.leave(at)


def _close(story: Story) -> None:
    """Whatever has no end of its own ended with the journal. Nodes that were only mentioned are no nodes."""
    spans = (*story.phases, *story.faults, *(s for n in story.nodes.values() for s in n.states))
    for span in spans:
        span.end = max(span.start, span.end if span.end is not None else story.length)
    _join_names(story)
    known = {name for name, node in story.nodes.items() if node.facts != NodeFacts() or node.states}
    story.nodes = {name: node for name, node in story.nodes.items() if name in known}


def _join_names(story: Story) -> None:
    """What was told of a node under a name from before the merge belongs to the node of the inventory."""
    for node in [n for n in story.nodes.values() if n.facts.published]:
        for name in node.facts.names:
            other = story.nodes.get(name)
            if other is None or other is node or other.facts.published:
                continue
            del story.nodes[name]
            node.moments = sorted((*node.moments, *other.moments), key=lambda moment: moment.at)
            node.states = node.states or other.states
            node.last_lines = node.last_lines or other.last_lines
