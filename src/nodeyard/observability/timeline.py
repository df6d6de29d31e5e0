"""Where each bar of the report's timeline stands. Pure geometry, in the units of the drawing (pixels at full width)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nodeyard.domain import events as ev
from nodeyard.observability.story import Moment, Span, StepStory, Story
from nodeyard.observability.wording import seconds

WIDTH = 1060.0
LEFT = 132.0
RIGHT = 10.0
LANE = 22.0
NODE_LANE = 18.0
MOST_NODES = 200
"""Nodes on one timeline; all of them are in the inventory below it."""
CHARACTER = 6.3
"""About the width of a character of the labels."""
CHECK_DOT = 5.5
NODE_DOT = 3.5
LOG_DOT = 2.5
MARKED: frozenset[type[ev.Event]] = frozenset(
    {ev.NodeJoined, ev.OperationEnded, ev.OperationDenied, ev.NodeExited, ev.IdentityChanged, ev.GrantsRevoked,
     ev.ErrorRecorded, ev.CheckEvaluated}
)  # fmt: skip
"""Events that get a dot on the lane of their node; the other ones change its colour or stand in its list."""
DOT_STYLES = ("dim", "good", "", "warn", "bad")
"""The later ones are drawn over the earlier ones."""


@dataclass(frozen=True)
class Bar:
    """One rectangle; ``label`` is empty where it would not fit, ``title`` shows on hover."""

    x: float
    y: float
    width: float
    height: float
    style: str
    label: str
    title: str


@dataclass(frozen=True)
class Lane:
    """A row with a name at its left."""

    y: float
    height: float
    label: str
    title: str
    heading: bool = False


@dataclass(frozen=True)
class Tick:
    """A line of the time axis."""

    x: float
    label: str


@dataclass(frozen=True)
class Dot:
    """A check at the moment of its evaluation, or something that happened to a node."""

    x: float
    y: float
    radius: float
    style: str
    title: str


@dataclass(frozen=True)
class Timeline:
    """Everything on one time axis."""

    width: float
    height: float
    top: float
    lanes: tuple[Lane, ...]
    bars: tuple[Bar, ...]
    dots: tuple[Dot, ...]
    ticks: tuple[Tick, ...]
    left_out: int


class _Sheet:
    """Collects lanes and bars from the top down."""

    def __init__(self, length: float) -> None:
        self.scale = (WIDTH - LEFT - RIGHT) / length
        self.y = 24.0
        self.lanes: list[Lane] = []
        self.bars: list[Bar] = []
        self.dots: list[Dot] = []

    def x(self, at: float) -> float:
        return LEFT + at * self.scale

    def lane(self, label: str, title: str, height: float, *, heading: bool = False) -> float:
        self.lanes.append(Lane(self.y, height, _fitting(label, LEFT - 10), title, heading))
        self.y += height
        return self.y - height

    def spans(self, spans: Sequence[Span], y: float, height: float, *, labelled: bool) -> None:
        for span in spans:
            end = span.end if span.end is not None else span.start
            width = max(1.5, (end - span.start) * self.scale)
            x = min(self.x(span.start), WIDTH - RIGHT - width)
            label = _fitting(span.label, width - 8) if labelled else ""
            title = f"{span.detail or span.label} ({seconds(span.start)} to {seconds(end)})"
            self.bars.append(Bar(x, y + 2, width, height - 4, span.style, label, title))

    def node_dots(self, moments: Sequence[Moment], y: float) -> None:
        marked = [moment for moment in moments if type(moment.event) in MARKED]
        for moment in sorted(marked, key=lambda m: _weight(m.style)):
            title = f"{moment.text} ({seconds(moment.at)})"
            self.dots.append(Dot(self.x(moment.at), y, NODE_DOT, moment.style or "dim", title))

    def log_errors(self, lines: Sequence[tuple[float, str]], y: float) -> None:
        for at, text in lines:
            self.dots.append(Dot(self.x(at), y, LOG_DOT, "log", f"log: {text} ({seconds(at)})"))


def _weight(style: str) -> int:
    return DOT_STYLES.index(style) if style in DOT_STYLES else len(DOT_STYLES)


def _step_span(step: StepStory, length: float) -> Span:
    end = step.at + step.after if step.after is not None else length
    detail = f"step {step.number} {step.label}: {step.outcome or 'not ended'}"
    return Span(step.at, f"{step.number} {step.label}", step.style, detail, min(end, length))


def _fitting(label: str, width: float) -> str:
    """As much of a label as fits; nothing where too little would be left to read."""
    room = int(width / CHARACTER)
    if len(label) <= room:
        return label
    return f"{label[: room - 1]}…" if room >= 4 else ""


def timeline(story: Story) -> Timeline:
    """The timeline of a run."""
    length = max(story.length, 0.001)
    sheet = _Sheet(length)
    if story.phases:
        sheet.spans(story.phases, sheet.lane("phases", "what the run was doing", LANE), LANE, labelled=True)
    for number, row in enumerate(_rows([_step_span(step, length) for step in story.steps])):
        sheet.spans(row, sheet.lane("" if number else "steps", "the scenario's steps", LANE), LANE, labelled=True)
    for number, row in enumerate(_rows(story.faults)):
        sheet.spans(row, sheet.lane("" if number else "faults", "faults in effect", LANE), LANE, labelled=True)
    if story.checks:
        y = sheet.lane("checks", "when each check was decided", LANE) + LANE / 2
        styled = [({"pass": "good", "fail": "bad"}.get(c.verdict, "warn"), at, c) for at, c in story.checks]
        for style, at, check in sorted(styled, key=lambda item: _weight(item[0])):
            title = f"{check.check}: {check.verdict}: {check.reason}"
            sheet.dots.append(Dot(sheet.x(at), y, CHECK_DOT, style, title))
    sheet.y += 6
    shown = [node for node in story.nodes.values() if node.states]
    for node in shown[:MOST_NODES]:
        y = sheet.lane(node.id, f"{node.id}: {node.state}", NODE_LANE)
        sheet.spans(node.states, y, NODE_LANE, labelled=False)
        sheet.node_dots(node.moments, y + NODE_LANE / 2)
        sheet.log_errors(node.log_errors, y + NODE_LANE - 4)
    marks = tuple(Tick(sheet.x(at), seconds(at)) for at in ticks(length))
    left_out = max(0, len(shown) - MOST_NODES)
    return Timeline(WIDTH, sheet.y + 6, 20, tuple(sheet.lanes), tuple(sheet.bars), tuple(sheet.dots), marks, left_out)


def _rows(spans: Sequence[Span]) -> list[list[Span]]:
    """Spans that overlap stand in different rows."""
    rows: list[list[Span]] = []
    for span in sorted(spans, key=lambda s: s.start):
        free = next((row for row in rows if (row[-1].end or row[-1].start) <= span.start), None)
        if free is None:
            rows.append([span])
        else:
            free.append(span)
    return rows


def ticks(length: float) -> list[float]:
    """At most ten round times on an axis of this many seconds."""
    steps = [unit * factor for unit in (0.001, 0.01, 0.1, 1) for factor in (1, 2, 5)]
    steps += [10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600]
    step = next((s for s in steps if length / s <= 10), length / 10)
    return [step * number for number in range(int(length / step) + 1)]
