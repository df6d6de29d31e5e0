"""The expectation ``recovers``: after each fault was healed, operations are soon answered as usual again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nodeyard.domain.history import Call, Outcome
from nodeyard.domain.quantity import PositiveDuration, format_duration
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import CheckOptions
from nodeyard.domain.verdict import Check, Verdict
from nodeyard.expectations._asking import cut
from nodeyard.expectations._history import causes, ended
from nodeyard.runtime.context import StepContext

TOGETHER = 0.001
"""Seconds within which one fault was healed on several nodes at once."""


class RecoversOptions(CheckOptions):
    """How soon, and what counts as usual."""

    use: Literal["recovers"]
    within: PositiveDuration = Field(description="how long after a fault was healed it may take")
    min: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.99, description="the share of operations in a window that must be good again"
    )
    window: PositiveDuration = Field(default=1.0, description="for how long that share is demanded")
    latency: PositiveDuration | None = Field(
        default=None, description="an operation is good only if it was answered so soon after it was due"
    )
    op: str | None = Field(default=None, description="only operations of this kind; absent: all")


class Recovers:
    """After each fault, traffic is soon back to normal."""

    word: ClassVar[str] = "recovers"
    summary: ClassVar[str] = "after each fault was healed, operations soon succeed as usual again"
    options: ClassVar[type[CheckOptions]] = RecoversOptions
    from_record: ClassVar[bool] = True

    def requires(self, options: RecoversOptions) -> tuple[Requirement, ...]:
        return ()

    async def check(self, options: RecoversOptions, context: StepContext) -> Check:
        history = context.history
        seen = [Moment(r.fault, r.node, history.since_start(r.at), r.healed) for r in context.faults.records]
        return judged(options, together(seen), ended(history.calls(), options.op))


@dataclass(frozen=True)
class Moment:
    """A fault that began or was healed, at so many seconds since the run began. ``nodes`` as text."""

    fault: str
    nodes: str | None
    at: float
    healed: bool


class Came(StrEnum):
    """What came after one heal. ``short``: usual traffic was not seen, and ended or was disturbed too early to tell.

    ``unseen``: there was not even one window of traffic.
    """

    BACK = "back"
    LATE = "late"
    SHORT = "short"
    UNSEEN = "unseen"


@dataclass(frozen=True)
class Recovery:
    """One heal and what came after it, ``after`` seconds later; infinite if it never came."""

    heal: Moment
    came: Came
    after: float = inf
    calls: tuple[Call, ...] = ()

    def __str__(self) -> str:
        what = f"{self.heal.fault} on {self.heal.nodes or 'no node'}, healed at {self.heal.at:.3f} s"
        told = {
            Came.BACK: f"back to normal after {self.after:.3f} s",
            Came.LATE: f"back to normal after {self.after:.3f} s" if self.after < inf else "never back to normal",
            Came.SHORT: "not back to normal when the traffic ended or the next fault came",
            Came.UNSEEN: "no traffic after it",
        }
        return f"{what}: {told[self.came]}"


def together(moments: Iterable[Moment]) -> list[Moment]:
    """Moments of one fault on several nodes at once as one."""
    made: list[Moment] = []
    for moment in moments:
        last = made[-1] if made else None
        same = last is not None and (last.fault, last.healed) == (moment.fault, moment.healed)
        if last is not None and same and moment.at - last.at <= TOGETHER:
            made[-1] = Moment(last.fault, f"{last.nodes}, {moment.nodes}", last.at, last.healed)
        else:
            made.append(moment)
    return made


def judged(options: RecoversOptions, moments: Sequence[Moment], calls: Sequence[Call]) -> Check:
    """Whether each heal was soon followed by usual traffic. ``calls`` in the order in which they were due. Pure."""
    name = options.label
    heals = [moment for moment in moments if moment.healed]
    if not heals:
        return Check(name, Verdict.VACUOUS, "no fault was seen to be healed, so there was nothing to recover from")
    found = [recovery(options, heal, _until(heal, moments), calls) for heal in heals]
    lines = [str(one) for one in found]
    by = {came: [one for one in found if one.came is came] for came in Came}
    if late := by[Came.LATE]:
        reason = f"{len(late)} of {len(found)} faults were not followed by usual traffic within "
        reason += format_duration(options.within)
        return Check(name, Verdict.FAIL, reason, cut([*lines, *causes(late[0].calls)]))
    if short := by[Came.SHORT]:
        reason = f"after {len(short)} of {len(found)} faults, traffic ended or the next fault came too early to tell"
        return Check(name, Verdict.UNKNOWN, reason, cut(lines))
    if not by[Came.BACK]:
        return Check(name, Verdict.VACUOUS, "there was no traffic after any fault was healed", cut(lines))
    slowest = max(one.after for one in by[Came.BACK])
    reason = f"back to normal within {slowest:.3f} s after {len(by[Came.BACK])} of {len(found)} faults"
    return Check(name, Verdict.PASS, reason, cut(lines))


def _until(heal: Moment, moments: Sequence[Moment]) -> float:
    """When the next fault began."""
    return min((m.at for m in moments if not m.healed and m.at > heal.at), default=inf)


def recovery(options: RecoversOptions, heal: Moment, until: float, calls: Sequence[Call]) -> Recovery:
    """The first moment after a heal from which a window of traffic is good. Pure."""
    seen = [call for call in calls if heal.at <= call.intended < until]
    end = min(until, calls[-1].intended if calls else heal.at)
    if end - heal.at < options.window:
        return Recovery(heal, Came.UNSEEN)
    begin = _first_good(options, seen, heal.at, end)
    if begin is not None:
        after = begin - heal.at
        return Recovery(heal, Came.BACK if after <= options.within else Came.LATE, after, tuple(seen))
    if end - heal.at >= options.within + options.window:
        return Recovery(heal, Came.LATE, inf, tuple(seen))
    return Recovery(heal, Came.SHORT, inf, tuple(seen)) if seen else Recovery(heal, Came.UNSEEN)


def _first_good(options: RecoversOptions, seen: Sequence[Call], begin: float, end: float) -> float | None:
    """The beginning of the first window within the traffic of which enough is good; windows begin with operations."""
    limit = options.latency if options.latency is not None else inf
    good = [call.outcome is Outcome.OK and call.latency <= limit for call in seen]
    last, count = 0, 0
    for first, call in enumerate(seen):
        at = begin if first == 0 else call.intended
        if at + options.window > end:
            return None
        while last < len(seen) and seen[last].intended < at + options.window:
            count += good[last]
            last += 1
        if good[first] and count >= options.min * (last - first):
            return at
        count -= good[first]
    return None
