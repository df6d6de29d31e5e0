"""The expectation ``latency``: operations were answered in time, counted from when they were due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from nodeyard.domain.history import Call, Outcome
from nodeyard.domain.quantity import PositiveDuration, format_duration
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import CheckOptions
from nodeyard.domain.verdict import Check, Verdict
from nodeyard.expectations._asking import cut
from nodeyard.expectations._history import ended, none_ended, of_each_op, shown
from nodeyard.runtime.context import StepContext

RANKS: Mapping[str, float] = {"p50": 0.50, "p90": 0.90, "p99": 0.99, "max": 1.0}
SLOWEST = 5


class LatencyOptions(CheckOptions):
    """The limits, and which operations they hold for."""

    use: Literal["latency"]
    op: str | None = Field(default=None, description="only operations of this kind; absent: each kind by itself")
    p50: PositiveDuration | None = Field(default=None, description="limit of the median")
    p90: PositiveDuration | None = Field(default=None, description="limit that 90 % keep")
    p99: PositiveDuration | None = Field(default=None, description="limit that 99 % keep")
    max: PositiveDuration | None = Field(default=None, description="limit that all keep")

    @model_validator(mode="after")
    def _some(self) -> LatencyOptions:
        if not self.limits:
            raise ValueError(f"at least one limit is needed: {', '.join(RANKS)}")
        return self

    @property
    def limits(self) -> Mapping[str, float]:
        """The limits that are given, in seconds, by the name of their rank."""
        return {name: limit for name in RANKS if (limit := getattr(self, name)) is not None}


class Latency:
    """Operations were answered in time."""

    word: ClassVar[str] = "latency"
    summary: ClassVar[str] = "operations were answered within limits, counted from when they were due"
    options: ClassVar[type[CheckOptions]] = LatencyOptions
    from_record: ClassVar[bool] = True

    def requires(self, options: LatencyOptions) -> tuple[Requirement, ...]:
        return ()

    async def check(self, options: LatencyOptions, context: StepContext) -> Check:
        return judged(options, ended(context.history.calls(), options.op))


def judged(options: LatencyOptions, calls: Sequence[Call]) -> Check:
    """Whether each kind of operation kept each limit. Pure.

    What ended ``info`` counts with the time that it was waited for, so that a silent node cannot look quick; a refusal
    does not count: it is no answer. A kind of which nothing succeeded has shown no latency.
    """
    name = options.label
    groups = {op: [c for c in found if c.outcome is not Outcome.FAIL] for op, found in of_each_op(calls).items()}
    judged_ = {op: found for op, found in groups.items() if any(c.outcome is Outcome.OK for c in found)}
    if not judged_:
        return none_ended(name, options.op) if not calls else _nothing_succeeded(name, len(calls))
    lines, over, kept, slow = [], [], [], list[Call]()
    for op, found in judged_.items():
        found.sort(key=lambda call: call.latency)
        lines.append(f"{op}: " + ", ".join(f"{r} {_ms(quantile(found, q))}" for r, q in RANKS.items()))
        for rank, limit in options.limits.items():
            seen = quantile(found, RANKS[rank])
            if seen > limit:
                over.append(f"{op} {rank} is {_ms(seen)}, over {format_duration(limit)}")
                slow += [call for call in found[-SLOWEST:] if call.latency > limit]
            else:
                kept.append(f"{op} {rank} is {_ms(seen)}")
    if over:
        slowest = sorted({id(c): c for c in slow}.values(), key=lambda call: -call.latency)[:SLOWEST]
        told = [f"{_ms(call.latency)} after it was due: {shown(call)}" for call in slowest]
        return Check(name, Verdict.FAIL, "; ".join(over), cut([*lines, *told]))
    total = sum(map(len, judged_.values()))
    return Check(name, Verdict.PASS, f"{', '.join(kept)}, of {total} operations", cut(lines))


def _nothing_succeeded(name: str, count: int) -> Check:
    return Check(name, Verdict.VACUOUS, f"none of {count} operations succeeded, so there is no latency to judge")


def quantile(found: Sequence[Call], rank: float) -> float:
    """The latency that this part of the operations, sorted by latency, did not exceed: one that was measured."""
    return found[max(0, ceil(rank * len(found)) - 1)].latency


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
