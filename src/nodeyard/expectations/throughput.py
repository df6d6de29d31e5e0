"""The expectation ``throughput``: enough operations succeeded in each second."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from nodeyard.domain.history import Call, Outcome
from nodeyard.domain.quantity import PositiveDuration, Rate, format_duration, format_rate
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import CheckOptions
from nodeyard.domain.verdict import Check, Verdict
from nodeyard.expectations._asking import cut
from nodeyard.expectations._history import causes, counted, ended, none_ended
from nodeyard.runtime.context import StepContext


class ThroughputOptions(CheckOptions):
    """Which operations, and how many of them must succeed per time."""

    use: Literal["throughput"]
    min: Rate = Field(description="how many operations per time must have ended 'ok'")
    op: str | None = Field(default=None, description="only operations of this kind; absent: all")
    window: PositiveDuration | None = Field(
        default=None, description="demand it in each window of this length; absent: over all the traffic"
    )


class Throughput:
    """Enough operations succeeded per time."""

    word: ClassVar[str] = "throughput"
    summary: ClassVar[str] = "so many operations per time succeeded, overall or in each window of time"
    options: ClassVar[type[CheckOptions]] = ThroughputOptions
    from_record: ClassVar[bool] = True

    def requires(self, options: ThroughputOptions) -> tuple[Requirement, ...]:
        return ()

    async def check(self, options: ThroughputOptions, context: StepContext) -> Check:
        return judged(options, ended(context.history.calls(), options.op))


def judged(options: ThroughputOptions, calls: Sequence[Call]) -> Check:
    """Whether the rate was reached between the first operation's beginning and the last one's end. Pure."""
    name = options.label
    if not calls:
        return none_ended(name, options.op)
    first, last = min(call.invoked for call in calls), max(call.completed for call in calls)
    done = sorted(call.completed for call in calls if call.outcome is Outcome.OK)
    wanted = format_rate(options.min)
    lines = [*counted(calls), *causes(calls)]
    if last <= first:
        return Check(name, Verdict.VACUOUS, "the traffic took no time, so it has no rate", cut(lines))
    if options.window is None:
        rate = len(done) / (last - first)
        said = f"{len(done)} operations succeeded in {last - first:.3f} s, {rate:.1f}/s"
        if rate < options.min:
            return Check(name, Verdict.FAIL, f"{said}, less than {wanted}", cut(lines))
        return Check(name, Verdict.PASS, said, cut(lines))
    rates = window_rates(done, first, last, options.window)
    low = [(at, rate) for at, rate in rates if rate < options.min]
    at, worst = min(rates, key=lambda pair: pair[1])
    said = f"{worst:.1f}/s in the worst {format_duration(options.window)}, from {at:.3f} s on"
    if low:
        told = [f"from {begin:.3f} s: {rate:.1f}/s" for begin, rate in low[:10]]
        reason = f"{said}; {len(low)} of {len(rates)} windows are below {wanted}"
        return Check(name, Verdict.FAIL, reason, cut([*told, *lines]))
    return Check(name, Verdict.PASS, said, cut(lines))


def window_rates(done: Sequence[float], first: float, last: float, length: float) -> list[tuple[float, float]]:
    """Each full window from the first moment on with its rate; where none is full, all of the time as one."""
    count = int((last - first) / length)
    if not count:
        return [(first, len(done) / (last - first))]
    numbers = [0] * count
    for moment in done:
        number = int((moment - first) / length)
        if number < count:
            numbers[number] += 1
    return [(first + number * length, found / length) for number, found in enumerate(numbers)]
