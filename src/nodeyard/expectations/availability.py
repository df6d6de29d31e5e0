"""The expectation ``availability``: enough of the operations succeeded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nodeyard.domain.history import Call, Outcome
from nodeyard.domain.quantity import PositiveDuration, format_duration
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import CheckOptions
from nodeyard.domain.verdict import Check, Verdict
from nodeyard.expectations._asking import cut
from nodeyard.expectations._history import causes, counted, ended, none_ended, windows
from nodeyard.runtime.context import StepContext


class AvailabilityOptions(CheckOptions):
    """Which operations, and what share of them must have succeeded."""

    use: Literal["availability"]
    min: Annotated[float, Field(gt=0, le=1)] = Field(description="the share that must have ended 'ok', from 0 to 1")
    op: str | None = Field(default=None, description="only operations of this kind; absent: all")
    window: PositiveDuration | None = Field(
        default=None, description="demand the share in each window of this length; absent: over all the traffic"
    )


class Availability:
    """Enough of the operations succeeded."""

    word: ClassVar[str] = "availability"
    summary: ClassVar[str] = "a share of the operations succeeded, overall or in each window of time"
    options: ClassVar[type[CheckOptions]] = AvailabilityOptions
    from_record: ClassVar[bool] = True

    def requires(self, options: AvailabilityOptions) -> tuple[Requirement, ...]:
        return ()

    async def check(self, options: AvailabilityOptions, context: StepContext) -> Check:
        return judged(options, ended(context.history.calls(), options.op))


def share(calls: Sequence[Call]) -> float:
    """The part that ended ``ok``; of nothing: none."""
    return sum(call.outcome is Outcome.OK for call in calls) / len(calls) if calls else 0.0


def judged(options: AvailabilityOptions, calls: Sequence[Call]) -> Check:
    """Whether the share was reached. ``fail`` and ``info`` both count against it. Pure."""
    name = options.label
    if not calls:
        return none_ended(name, options.op)
    lines = [*counted(calls), *causes(calls)]
    if options.window is None:
        said = f"{share(calls):.2%} of {len(calls)} operations succeeded"
        if share(calls) < options.min:
            return Check(name, Verdict.FAIL, f"{said}, less than {options.min:.2%}", cut(lines))
        return Check(name, Verdict.PASS, said, cut(lines))
    parts = [(begin, found) for begin, found in windows(calls, options.window) if found]
    begin, worst = min(parts, key=lambda part: share(part[1]))
    low = [(at, found) for at, found in parts if share(found) < options.min]
    length = format_duration(options.window)
    said = f"{share(worst):.2%} of {len(worst)} operations succeeded in the worst {length}, from {begin:.3f} s on"
    if low:
        shown = [f"from {at:.3f} s: {share(found):.2%} of {len(found)}" for at, found in low[:10]]
        reason = f"{said}; {len(low)} of {len(parts)} windows are below {options.min:.2%}"
        return Check(name, Verdict.FAIL, reason, cut([*shown, *causes(worst), *lines]))
    return Check(name, Verdict.PASS, said, cut(lines))
