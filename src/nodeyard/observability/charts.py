"""Where the curves of the report stand: throughput and latency on the time axis of the timeline. Pure geometry."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import log10

from nodeyard.observability.story import Span
from nodeyard.observability.timeline import LEFT, RIGHT, WIDTH, Tick, ticks
from nodeyard.observability.traffic import FASTEST, ROWS_PER_DECADE, Traffic
from nodeyard.observability.wording import seconds

TOP = 22.0
RATE_HEIGHT = 110.0
LATENCY_HEIGHT = 170.0
GAP = 30.0
SHADES = 5
"""Steps of density; each is one path, so that a page holds few elements whatever the number of operations."""


@dataclass(frozen=True)
class Shape:
    """One path of the drawing, with its class."""

    style: str
    path: str


@dataclass(frozen=True)
class Band:
    """A fault while it was in effect."""

    x: float
    width: float
    title: str


@dataclass(frozen=True)
class Grid:
    """A labelled horizontal line."""

    y: float
    label: str


@dataclass(frozen=True)
class Charts:
    """Both charts, one above the other, with what crosses both."""

    width: float
    height: float
    left: float
    right: float
    rate_top: float
    rate_bottom: float
    latency_top: float
    latency_bottom: float
    ticks: tuple[Tick, ...]
    rate_grid: tuple[Grid, ...]
    latency_grid: tuple[Grid, ...]
    bands: tuple[Band, ...]
    shapes: tuple[Shape, ...]


class _Axes:
    """Time to x; rate and latency to y."""

    def __init__(self, traffic: Traffic, length: float) -> None:
        self.traffic = traffic
        self.scale = (WIDTH - LEFT - RIGHT) / length
        self.rate_top, self.rate_bottom = TOP, TOP + RATE_HEIGHT
        self.latency_top = self.rate_bottom + GAP
        self.latency_bottom = self.latency_top + LATENCY_HEIGHT
        highest = max(map(sum, zip(traffic.ok, traffic.fail, traffic.info, strict=True)), default=0)
        self.most = _nice(highest / traffic.bin)
        rows = [row for _, row, _ in traffic.cells] or [0]
        self.decades = range(min(rows) // ROWS_PER_DECADE, max(rows) // ROWS_PER_DECADE + 1)

    def x(self, at: float) -> float:
        return LEFT + at * self.scale

    def edge(self, column: int) -> float:
        return self.x(self.traffic.start + column * self.traffic.bin)

    def rate(self, count: float) -> float:
        share = count / self.traffic.bin / self.most
        return self.rate_bottom - share * (self.rate_bottom - self.rate_top)

    def latency(self, value: float) -> float:
        return self.row(log10(max(value, FASTEST) / FASTEST) * ROWS_PER_DECADE)

    def row(self, row: float) -> float:
        """The lower edge of a row; only decades in which something is are drawn."""
        share = (row - self.decades.start * ROWS_PER_DECADE) / (len(self.decades) * ROWS_PER_DECADE)
        return self.latency_bottom - min(1.0, max(0.0, share)) * (self.latency_bottom - self.latency_top)


def charts(traffic: Traffic, faults: Sequence[Span], length: float) -> Charts:
    """Throughput by outcome, and the density of latencies with its median and 99th percentile."""
    axes = _Axes(traffic, max(length, traffic.end, 0.001))
    return Charts(
        width=WIDTH,
        height=axes.latency_bottom + 8,
        left=LEFT,
        right=WIDTH - RIGHT,
        rate_top=axes.rate_top,
        rate_bottom=axes.rate_bottom,
        latency_top=axes.latency_top,
        latency_bottom=axes.latency_bottom,
        ticks=tuple(Tick(axes.x(at), seconds(at)) for at in ticks(max(length, traffic.end, 0.001))),
        rate_grid=tuple(
            Grid(axes.rate_bottom - share * RATE_HEIGHT, f"{axes.most * share:g}/s") for share in (0, 0.5, 1)
        ),
        latency_grid=tuple(
            Grid(axes.row(power * ROWS_PER_DECADE), _label(FASTEST * 10**power))
            for power in (*axes.decades, axes.decades.stop)
        ),
        bands=tuple(_band(span, axes) for span in faults),
        shapes=(*_stacked(traffic, axes), *_density(traffic, axes), *_curves(traffic, axes)),
    )


def _label(value: float) -> str:
    return f"{value * 1000:g} ms" if value < 0.999 else f"{value:g} s"


def _band(span: Span, axes: _Axes) -> Band:
    end = span.end if span.end is not None else span.start
    return Band(axes.x(span.start), max(1.5, (end - span.start) * axes.scale), span.detail or span.label)


def _nice(value: float) -> float:
    """A round number that is not below ``value``."""
    if value <= 0:
        return 1.0
    power = 10.0 ** (len(str(int(value))) - 1) if value >= 1 else 0.1
    return next(power * factor for factor in (1, 2, 2.5, 5, 10, 20) if power * factor >= value)


def _stacked(traffic: Traffic, axes: _Axes) -> list[Shape]:
    """Bars on each other: what succeeded at the bottom, then what may have happened, then what failed."""
    below = [0] * len(traffic.ok)
    shapes = []
    for style, counts in (("ok", traffic.ok), ("info", traffic.info), ("fail", traffic.fail)):
        parts = []
        for column, count in enumerate(counts):
            if count:
                x, width = axes.edge(column), axes.edge(column + 1) - axes.edge(column)
                low, high = axes.rate(below[column]), axes.rate(below[column] + count)
                parts.append(f"M{x:.1f} {low:.1f}h{width:.2f}V{high:.1f}h{-width:.2f}z")
                below[column] += count
        if parts:
            shapes.append(Shape(f"rate-{style}", "".join(parts)))
    return shapes


def _density(traffic: Traffic, axes: _Axes) -> list[Shape]:
    most = max((count for _, _, count in traffic.cells), default=1)
    height = LATENCY_HEIGHT / (len(axes.decades) * ROWS_PER_DECADE)
    parts: defaultdict[int, list[str]] = defaultdict(list)
    for column, row, count in traffic.cells:
        shade = min(SHADES, 1 + int(SHADES * log10(count) / max(log10(most), 1e-9))) if most > 1 else SHADES
        x, width = axes.edge(column), axes.edge(column + 1) - axes.edge(column)
        y = axes.row(row + 1)
        parts[shade].append(f"M{x:.1f} {y:.1f}h{width:.2f}v{height:.2f}h{-width:.2f}z")
    return [Shape(f"cell shade-{shade}", "".join(found)) for shade, found in sorted(parts.items())]


def _curves(traffic: Traffic, axes: _Axes) -> list[Shape]:
    """Median and 99th percentile; a curve is broken where nothing succeeded."""
    shapes = []
    for style, values in (("p50", traffic.p50), ("p99", traffic.p99)):
        parts, pen = [], "M"
        for column, value in enumerate(values):
            if value is None:
                pen = "M"
                continue
            x = (axes.edge(column) + axes.edge(column + 1)) / 2
            dot = "h.1" if pen == "M" else ""  # a lone point is seen too
            parts.append(f"{pen}{x:.1f} {axes.latency(value):.1f}{dot}")
            pen = "L"
        if parts:
            shapes.append(Shape(style, "".join(parts)))
    return shapes
