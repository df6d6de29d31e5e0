"""The live picture of a run on a terminal. ``rich`` is imported when the first one is made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from nodeyard.domain import events as ev
from nodeyard.domain.history import HistoryRecord
from nodeyard.observability.drawing import clean
from nodeyard.observability.meter import Meter, Reading
from nodeyard.observability.progress import TOLD, Lenient, told
from nodeyard.observability.wording import milliseconds, phase_text, probe_text, seconds

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live
    from rich.text import Text

KEPT: frozenset[type[ev.Event]] = TOLD - {
    ev.PhaseStarted, ev.NodeProbed, ev.NodeReady, ev.StepStarted, ev.InventoryMerged
}  # fmt: skip
"""Events whose line stays above the picture; the others are in the picture while they matter."""
ROWS = 12
"""Nodes that the picture names one by one."""
PER_SECOND = 5


@dataclass
class Picture:
    """What the live picture shows, kept by events. ``nodes`` maps a node to its state and the detail beside it."""

    scenario: str = ""
    phase: str = ""
    number: int | None = None
    step: str = ""
    nodes: dict[str, tuple[str, str]] = field(default_factory=dict)
    faults: dict[tuple[str, str | None], str] = field(default_factory=dict)

    def see(self, event: ev.Event) -> None:
        """Take an event in; those that do not change the picture are passed over."""
        if isinstance(event, ev.RunStarted):
            self.scenario = f"{event.scenario} ({event.run}, seed {event.seed})"
        elif isinstance(event, ev.PhaseStarted):
            self.phase, self.number, self.step = phase_text(event.phase), event.number, ""
        elif isinstance(event, ev.StepStarted):
            self.step = f"step {event.index + 1}: {event.label}"
        elif isinstance(event, ev.FaultInjected):
            self.faults[event.fault, event.node] = f"{event.fault} on {event.node or 'the network'}"
        elif isinstance(event, ev.FaultHealed):
            self.faults.pop((event.fault, event.node), None)
        elif event.node is not None:
            self._see_node(event.node, event)

    def _see_node(self, node: str, event: ev.Event) -> None:
        before = self.nodes.get(node, ("", ""))
        if isinstance(event, ev.NodeProvisioned):
            self.nodes[node] = ("planned", "")
        elif isinstance(event, ev.NodeDiscovered):
            self.nodes[node] = ("found", event.locator)
        elif isinstance(event, ev.NodeStarted):
            self.nodes[node] = ("started", event.locator)
        elif isinstance(event, ev.NodeProbed):
            self.nodes[node] = (before[0] or "found", probe_text(event))
        elif isinstance(event, ev.NodeReady):
            self.nodes[node] = ("ready", event.detail)
        elif isinstance(event, ev.NodeExited):
            self.nodes[node] = ("stopped" if event.expected else "exited", event.status)
        elif isinstance(event, ev.OperationStarted):
            self.nodes[node] = (before[0], f"{event.operation} ...")
        elif isinstance(event, ev.OperationEnded):
            state = AFTER.get(event.operation, before[0]) if event.outcome == "done" else before[0]
            self.nodes[node] = (state, event.reason)
        elif isinstance(event, ev.ResourceRemoved):
            self.nodes[node] = ("removed", "")


AFTER: Mapping[str, str] = {"pause": "paused", "resume": "ready", "stop": "stopped", "kill": "stopped"}
"""The state of a node after an operation on it ended."""
COLOURS: Mapping[str, str] = {"ready": "green", "exited": "red", "started": "yellow", "found": "yellow",
                              "paused": "magenta"}  # fmt: skip


class LiveProgress:
    """A picture that changes in place, with the lines that matter above it.

    It never hides the cursor, uses no other screen and leaves ``sys.stderr`` alone: even after a SIGKILL there is
    nothing to restore but the picture itself. ``remaining`` are seconds until the scenario's deadline.

    A thread of rich draws it; time is read from ``time.monotonic`` because a clock of the run may belong to its loop.
    """

    def __init__(self, stream: TextIO, *, remaining: float | None = None, width: int | None = None) -> None:
        from rich.live import Live

        self._began = monotonic()
        self._until = self._began + remaining if remaining is not None else None
        self._picture = Picture()
        self._meter = Meter()
        self._lag = 0.0
        self._lock = Lock()
        self._plain = Lenient(stream)
        console = _console(self._plain, width)
        self._live: Live | None = Live(
            self, console=console, refresh_per_second=PER_SECOND, transient=True,
            redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        self._live.start()

    def see(self, event: ev.Event) -> None:
        with self._lock:
            self._picture.see(event)
        if type(event) in KEPT:
            self.line(f"[{monotonic() - self._began:8.3f}s] {told(event)}")

    def record(self, record: HistoryRecord) -> None:
        """Take an operation in. Its times count from the run's own beginning, which was a little after ours."""
        self._lag = monotonic() - self._began - record.at
        self._meter.record(record)

    def line(self, text: str) -> None:
        if self._live is None:
            self._plain.write(clean(text) + "\n")
            self._plain.flush()
            return
        from rich.text import Text

        self._live.console.print(Text(clean(text)), soft_wrap=True)

    def close(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def __enter__(self) -> LiveProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __rich__(self) -> RenderableType:
        """The picture as it is now: also what stands below a line that is printed between two refreshes."""
        now = monotonic()
        reading = self._meter.read(now - self._began - self._lag)
        with self._lock:
            return picture_block(
                self._picture, now - self._began, self._until - now if self._until is not None else None, reading
            )


def _console(stream: Lenient, width: int | None) -> Console:
    """A console that leaves the cursor visible."""
    from rich.console import Console

    class Steady(Console):
        def show_cursor(self, show: bool = True) -> bool:
            return False

    return Steady(file=stream, force_terminal=True, width=width, highlight=False, markup=False, emoji=False)  # type: ignore[arg-type]


def _flat(text: str) -> str:
    return clean(" ".join(text.split()))


def picture_block(
    picture: Picture, elapsed: float, remaining: float | None, reading: Reading | None = None
) -> RenderableType:
    """The picture as a rich block: where the run is, its traffic and faults, and how the nodes are."""
    from rich.console import Group
    from rich.text import Text

    where = f"{picture.number}/9 {picture.phase}" if picture.number is not None else picture.phase
    time = seconds(elapsed) + (f", {seconds(max(0.0, remaining))} left" if remaining is not None else "")
    head = Text.assemble((_flat(where) or "starting", "bold"), f"  {time}", overflow="ellipsis", no_wrap=True)
    blocks: list[RenderableType] = [head]
    if picture.step:
        blocks.append(Text(f"  {_flat(picture.step)}", overflow="ellipsis", no_wrap=True))
    if reading is not None:
        blocks.append(Text(f"  traffic: {traffic_text(reading)}", overflow="ellipsis", no_wrap=True))
    blocks += [Text(f"  fault: {_flat(fault)}", style="magenta", no_wrap=True) for fault in picture.faults.values()]
    if picture.nodes:
        blocks.append(_counts(picture))
        blocks += _rows(picture)
    return Group(*blocks)


def traffic_text(reading: Reading) -> str:
    """The reading in one line, what matters most first."""
    words = [f"{reading.rate:,.0f}/s"]
    if reading.p50 is not None and reading.p99 is not None:
        words.append(f"p50 {milliseconds(reading.p50)}, p99 {milliseconds(reading.p99)}")
    words.append(f"{reading.ok:,} ok")
    words += [f"{count:,} {name}" for name, count in (("fail", reading.fail), ("info", reading.info)) if count]
    return "  ".join((*words, f"{reading.open} under way"))


def _counts(picture: Picture) -> Text:
    from rich.text import Text

    counts = Counter(state or "known" for state, _ in picture.nodes.values())
    words = [(f"{number} {state}", COLOURS.get(state, "")) for state, number in sorted(counts.items())]
    spaced = [part for pair in words for part in (pair, "  ")]
    return Text.assemble("  nodes: ", *spaced, no_wrap=True, overflow="ellipsis")


def _rows(picture: Picture) -> list[Text]:
    """The nodes that somebody would want to see: laggards first; ready ones only while there is room."""
    from rich.text import Text

    ordered = sorted(picture.nodes.items(), key=lambda item: item[1][0] == "ready")
    widest = max((len(name) for name, _ in ordered[:ROWS]), default=0)
    rows = [
        Text.assemble(
            f"  {_flat(name):<{min(widest, 24)}}  ", (f"{state or 'known':<8}", COLOURS.get(state, "")),
            f"  {_flat(detail)}", no_wrap=True, overflow="ellipsis",
        )
        for name, (state, detail) in ordered[:ROWS]
    ]  # fmt: skip
    if len(ordered) > ROWS:
        rows.append(Text(f"  and {len(ordered) - ROWS} more", style="dim"))
    return rows
