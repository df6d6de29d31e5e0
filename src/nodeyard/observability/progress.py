"""What people see while a run goes on: one line per change, or a live picture on a terminal (``live``).

Both are observers. They write to the stream that they are handed (the command line hands in stderr) and nowhere else.
"""

from __future__ import annotations

import re
from io import TextIOBase
from types import TracebackType
from typing import Protocol, TextIO

from nodeyard._aio.clock import Clock
from nodeyard.domain import events as ev
from nodeyard.observability.drawing import clean
from nodeyard.observability.wording import sentence

TOLD: frozenset[type[ev.Event]] = frozenset(
    {ev.RunStarted, ev.PhaseStarted, ev.ProgramWanted, ev.ProgramMade, ev.DiscoveryPartial, ev.IdentityChanged,
     ev.GrantsRevoked, ev.InventoryMerged,
     ev.ConflictOverridden, ev.NodeJoined, ev.NetworkAdopted, ev.NodeProbed, ev.NodeReady, ev.ReadinessReached,
     ev.StepStarted, ev.StepEnded, ev.WorkloadEnded, ev.OperationDenied, ev.FaultInjected, ev.FaultProven,
     ev.FaultHealed, ev.NodeExited, ev.CheckEvaluated, ev.CleanupFailed, ev.ErrorRecorded, ev.ReaperReplaced,
     ev.RunDetached}
)  # fmt: skip
"""Events that get a plain line. The others are in the journal."""
FIGURE = re.compile(r"\b\d+(\.\d+)?\b")


class Progress(Protocol):
    """An observer with an end. Use it as a context manager, so that the terminal is restored whatever ends the run."""

    def see(self, event: ev.Event) -> None: ...

    def line(self, text: str) -> None:
        """Say something beside the picture."""

    def close(self) -> None:
        """Leave the terminal as it was; idempotent."""

    def __enter__(self) -> Progress: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def progress(stream: TextIO, *, terminal: bool, clock: Clock, deadline: float | None = None) -> Progress:
    """The progress for a stream. ``deadline`` is a time of ``clock``, for the time that remains."""
    if not terminal:
        return PlainProgress(stream, clock=clock)
    from nodeyard.observability.live import LiveProgress

    return LiveProgress(stream, remaining=deadline - clock.now() if deadline is not None else None)


class Lenient(TextIOBase):
    """A stream whose reader may go away: from the first failure on it takes everything and writes nothing.

    The run goes on then, and its journal is complete.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream: TextIO | None = stream
        self._encoding = getattr(stream, "encoding", None) or "utf-8"

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return self._stream is not None and self._stream.isatty()

    def write(self, text: str, /) -> int:
        if self._stream is not None:
            try:
                self._stream.write(text.encode(self._encoding, "replace").decode(self._encoding))
            except (OSError, ValueError):
                self._stream = None
        return len(text)

    def flush(self) -> None:
        if self._stream is not None:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._stream = None


class PlainProgress:
    """One line per change, each with the seconds since the first event."""

    def __init__(self, stream: TextIO, *, clock: Clock) -> None:
        self._stream = Lenient(stream)
        self._clock = clock
        self._zero: float | None = None
        self._last: dict[str | None, tuple[str, str]] = {}

    def see(self, event: ev.Event) -> None:
        now = self._clock.now()
        self._zero = now if self._zero is None else self._zero
        if type(event) in TOLD and self._is_news(event):
            self.line(f"[{now - self._zero:8.3f}s] {told(event)}")

    def line(self, text: str) -> None:
        self._stream.write(clean(text) + "\n")
        self._stream.flush()

    def close(self) -> None:
        self._last.clear()

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _is_news(self, event: ev.Event) -> bool:
        """A probe that found what the one before found is no news, nor are figures that only grow."""
        if not isinstance(event, ev.NodeProbed):
            return True
        seen = (event.rung, FIGURE.sub("#", event.detail))
        if self._last.get(event.node) == seen:
            return False
        self._last[event.node] = seen
        return True


def told(event: ev.Event) -> str:
    """An event as one line: the node first, details of several lines joined."""
    text = sentence(event)
    if isinstance(event, ev.PhaseStarted) and event.number is not None:
        text = f"{event.number}/9 {text}"
    return " ".join((f"{event.node} {text}" if event.node is not None else text).splitlines())
