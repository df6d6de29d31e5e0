"""Taking turns, medians, and the table."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent
WORKER_TIME = 180.0
"""Seconds that one side of one pair may take."""
ENDING = 30.0
"""Seconds that a side gets to take down what it started, once it was told to end."""


@dataclass(frozen=True)
class Setup:
    """How to measure: a folder of our own, and how much."""

    folder: Path
    tiny: bool = False
    pairs: int | None = None
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def size(self, full: int, tiny: int) -> int:
        return tiny if self.tiny else full

    def count(self, full: int) -> int:
        """How many pairs; ``full`` is what a target asks for."""
        return self.pairs or (1 if self.tiny else full)

    def new_folder(self) -> Path:
        folder = self.folder / str(next(self._numbers))
        folder.mkdir()
        return folder


@dataclass(frozen=True)
class Row:
    """One figure. ``bare`` is what the lower bound took, where there is one; then the figure is a ratio."""

    bench: str
    what: str
    ours: float
    bare: float | None = None
    limit: float | None = None
    unit: str = "s"
    samples: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def figure(self) -> float:
        return self.ours / self.bare if self.bare else self.ours

    @property
    def met(self) -> bool | None:
        """``None`` where nothing is demanded."""
        return None if self.limit is None else self.figure <= self.limit


def ratio(
    bench: str, what: str, ours: Sequence[float], bare: Sequence[float], limit: float | None, **other: Any
) -> Row:
    """The row of two sides that were measured in turns."""
    return Row(bench, what, median(ours), median(bare), limit, samples={"ours": ours, "bare": bare}, **other)


def single(bench: str, what: str, values: Sequence[float], limit: float | None, *, unit: str) -> Row:
    """The row of a figure that has no lower bound."""
    return Row(bench, what, median(values), None, limit, unit, {"ours": values})


def in_turns(count: int, *sides: Callable[[], T]) -> list[list[T]]:
    """What each side gave in each round. The order turns round every time, so that no side is always the first."""
    given: list[list[T]] = [[] for _ in sides]
    for number in range(count):
        order = list(enumerate(sides))
        for position, side in order if number % 2 == 0 else reversed(order):
            given[position].append(side())
    return given


def worker(side: str, folder: Path, **arguments: Any) -> dict[str, float]:
    """Run one side in a fresh process; see ``bench.worker``. Raises ``RuntimeError`` when it fails."""
    errors = folder / "stderr"
    asked = json.dumps({"folder": str(folder), **arguments})
    with errors.open("wb") as stderr:
        argv = [sys.executable, "-m", "bench.worker", side, asked, repr(time.monotonic())]
        with running(argv, stderr=stderr) as process:
            out, _ = process.communicate(timeout=WORKER_TIME)
    if process.returncode:
        raise RuntimeError(f"{side} failed:\n{errors.read_text(errors='replace')[-4000:]}")
    found: dict[str, float] = json.loads(out.splitlines()[-1])
    return found


@contextmanager
def running(argv: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has ended when the block is left, and has taken its own down where it could."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NODEYARD_")}
    process = subprocess.Popen(
        argv, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options
    )
    try:
        yield process
    finally:
        if process.stdin is not None and not process.stdin.closed:
            process.stdin.close()
        try:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.wait(ENDING)
        except subprocess.TimeoutExpired:
            process.kill()
        finally:
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def document(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows for machines; times in seconds."""
    return [
        {
            "bench": row.bench,
            "what": row.what,
            "ours": row.ours,
            "bare": row.bare,
            "figure": row.figure,
            "unit": "x" if row.bare else row.unit,
            "target": row.limit,
            "met": row.met,
            "samples": {name: list(values) for name, values in row.samples.items()},
        }
        for row in rows
    ]


def table(rows: Sequence[Row]) -> str:
    """The rows for people."""
    head = ("bench", "what", "ours", "bare", "figure", "target", "")
    cells = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(head))]
    return "\n".join(
        "  ".join(
            c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    )


def _cells(row: Row) -> tuple[str, ...]:
    unit = row.unit
    bare, figure = (
        ("", f"{row.ours:.3g} {unit}") if row.bare is None else (f"{row.bare:.3g} {unit}", f"{row.figure:.2f} x")
    )
    target = "" if row.limit is None else f"{row.limit:g} {'x' if row.bare is not None else unit}"
    verdict = {True: "pass", False: "MISS", None: ""}[row.met]
    return (row.bench, row.what, f"{row.ours:.3g} {unit}", bare, figure, target, verdict)
