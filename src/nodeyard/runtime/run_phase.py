"""One phase of a scenario: workloads and faults side by side, with checks that must hold throughout.

Lives here: when a phase begins and ends, and what the end of one part means for the others. Must not live here: what
workloads, faults and checks do, and when a fault is due (``FaultSchedule``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from nodeyard.domain.events import TrafficEnded, TrafficStarted, WorkloadEnded, WorkloadStarted
from nodeyard.domain.history import Outcome
from nodeyard.domain.scenario_spec import CheckOptions, FaultOptions, RunOptions, WorkloadOptions
from nodeyard.domain.verdict import Check, Verdict
from nodeyard.errors.base import InternalError, NodeyardError
from nodeyard.errors.runtime import ExpectationFailed, RuntimeFailure
from nodeyard.runtime.context import StepContext
from nodeyard.runtime.history import WorkloadHistory
from nodeyard.runtime.steps.protocols import FaultSchedule, Workload
from nodeyard.runtime.throughout import Throughout


@dataclass(frozen=True)
class Crew:
    """Who does the work of a phase. ``decide`` makes one check and never raises but cancellation."""

    workloads: Mapping[str, Workload]
    schedule: FaultSchedule | None
    decide: Callable[[CheckOptions, StepContext], Awaitable[Check]]
    from_record: Callable[[CheckOptions], bool]


class RunPhase:
    """Runs one phase once. ``context`` is that of its step; its parts get contexts of their own, by their places.

    The phase ends when ``for`` has passed, when all workloads are done (of a phase without any: all faults), when a
    check of ``always`` fails, or when a part cannot go on. Workloads then complete what is under way, faults heal, and
    the checks are made once more.
    """

    def __init__(self, options: RunOptions, context: StepContext, crew: Crew) -> None:
        self._options = options
        self._context = context
        self._crew = crew
        self._begun = context.clock.now()
        lasts = options.for_ if options.for_ is not None else context.deadline - self._begun
        self._end = min(self._begun + lasts, context.deadline)
        self._over = asyncio.Event()
        self._working = len(options.workloads) or (1 if options.faults else 0)
        self._errors: list[NodeyardError] = []
        self._failed: list[Check] = []

    async def run(self) -> None:
        """To the end. Raises ``ExpectationFailed`` for a failed check, and the first error of a part."""
        outcome = "cancelled"
        self._tell_start()
        try:
            early = await self._side_by_side()
            outcome = "error" if self._errors else "failed" if self._failed else "done" if early else "time"
        finally:
            self._tell_end(outcome)
        if self._errors:
            first, *others = self._errors
            first.evidence = (*first.evidence, *(f"also {error.message}" for error in others))
            raise first
        if self._failed:
            check = self._failed[0]
            raise ExpectationFailed(f"{check.name}: {check.reason}", operation="run", evidence=check.evidence)

    async def _side_by_side(self) -> bool:
        """All parts, to the end of each. Whether the phase ended before its time."""
        options, crew = self._options, self._crew
        throughout = Throughout(crew.decide, crew.from_record, self._fail)
        async with asyncio.TaskGroup() as group:
            traffic = [group.create_task(self._workload(i, one)) for i, one in enumerate(options.workloads)]
            faults = [group.create_task(self._faults(options.faults))] if options.faults else []
            watches = [
                group.create_task(throughout.watch(one, self._part(f"always/{i}", one.label, self._context.deadline)))
                for i, one in enumerate(options.always)
            ]
            early = await self._until_over()
            await _finish(traffic, faults, early=early)
            throughout.end()
            await asyncio.gather(*watches)
        return early

    async def _until_over(self) -> bool:
        """Wait for the end of the phase; whether it came before its time."""
        left = self._end - self._context.clock.now()
        try:
            async with asyncio.timeout(max(0.0, left)):
                await self._over.wait()
        except TimeoutError:
            return False
        return True

    async def _workload(self, index: int, options: WorkloadOptions) -> None:
        history = self._context.history.part(options.label)
        context = replace(self._part(f"workload/{index}", history.label, self._end), history=history)
        self._context.emit(WorkloadStarted(workload=history.label, use=options.use))
        begun = context.clock.now()
        outcome, reason = "cancelled", ""
        try:
            await self._crew.workloads[options.use].run(options, context)
            outcome = "done"
        except AssertionError as error:
            outcome, reason = "failed", _first_line(error)
            self._fail(Check(history.label, Verdict.FAIL, reason, tuple(str(error).splitlines()[:20])))
        except Exception as error:  # noqa: BLE001 - whatever a workload raises ends the phase, not the run
            outcome, reason = "failed", _first_line(error)
            self._stop(error if isinstance(error, NodeyardError) else _defect(history.label, error))
        finally:
            self._context.emit(_ended(history, outcome, context.clock.now() - begun, reason))
        if outcome == "done":
            self._judge(history)
        self._done()

    def _judge(self, history: WorkloadHistory) -> None:
        """A workload of which nothing succeeded has shown nothing."""
        if history.counts[Outcome.OK]:
            return
        tried = history.counts.total()
        said = f"none of its {tried} operations succeeded" if tried else "it made no operation"
        causes = history.causes.most_common(5)
        evidence = tuple(f"{count} x {cause}" for cause, count in causes)
        self._context.report(Check(history.label, Verdict.VACUOUS, said, evidence))

    async def _faults(self, faults: Sequence[FaultOptions]) -> None:
        schedule = self._crew.schedule
        try:
            if schedule is None:
                raise RuntimeFailure("nothing here can carry out faults", operation="run")
            await schedule(faults, self._part("faults", "faults", self._end), over=self._over)
        except Exception as error:  # noqa: BLE001 - as for workloads
            self._stop(error if isinstance(error, NodeyardError) else _defect("faults", error))
        if not self._options.workloads:
            self._done()

    def _done(self) -> None:
        self._working -= 1
        if not self._working:
            self._over.set()

    def _fail(self, check: Check) -> None:
        """Take a failed check: it is reported, and the phase ends."""
        self._context.report(check)
        self._failed.append(check)
        self._over.set()

    def _stop(self, error: NodeyardError) -> None:
        self._errors.append(error)
        self._over.set()

    def _part(self, place: str, label: str, deadline: float) -> StepContext:
        seed = f"{self._context.place}/{place}"
        return replace(self._context, label=label, place=seed, random=Random(seed), deadline=deadline)

    def _tell_start(self) -> None:
        options = self._options
        self._context.emit(
            TrafficStarted(
                label=self._context.label,
                workloads=tuple(one.label for one in options.workloads),
                faults=tuple(one.label for one in options.faults),
                always=tuple(one.label for one in options.always),
                lasts=options.for_,
            )
        )

    def _tell_end(self, outcome: str) -> None:
        reasons = [error.message for error in self._errors] or [f"{c.name}: {c.reason}" for c in self._failed]
        after = self._context.clock.now() - self._begun
        reason = reasons[0] if reasons else ""
        self._context.emit(TrafficEnded(label=self._context.label, outcome=outcome, after=after, reason=reason))


async def _finish(traffic: Sequence[asyncio.Task[None]], faults: Sequence[asyncio.Task[None]], *, early: bool) -> None:
    """Workloads complete what is under way, cancelled when the phase ended early; faults heal."""
    if early:
        for task in traffic:
            task.cancel()
    if traffic or faults:
        await asyncio.wait((*traffic, *faults))


def _ended(history: WorkloadHistory, outcome: str, after: float, reason: str) -> WorkloadEnded:
    counts = history.counts
    return WorkloadEnded(
        workload=history.label, outcome=outcome, after=after, reason=reason, late=history.late, dropped=history.dropped,
        ok=counts[Outcome.OK], fail=counts[Outcome.FAIL], info=counts[Outcome.INFO],
    )  # fmt: skip


def _first_line(error: Exception) -> str:
    text = error.message if isinstance(error, NodeyardError) else str(error)
    return next(iter(text.splitlines()), "") or type(error).__name__


def _defect(part: str, error: Exception) -> InternalError:
    known = InternalError(f"{part} raised {type(error).__name__}: {error}", operation="run")
    known.__cause__ = error
    return known
