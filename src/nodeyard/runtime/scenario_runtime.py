"""Runs the steps of a scenario in order and evaluates its expectations; everything that goes wrong is a value.

Must not live here: what any step does, bootstrap, evidence and cleanup.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from nodeyard._aio.clock import Clock
from nodeyard.domain.events import CheckEvaluated, ErrorRecorded, StepEnded, StepStarted
from nodeyard.domain.scenario_spec import CheckOptions, ParallelOptions, RunOptions, StepSpec
from nodeyard.domain.verdict import Check, Verdict
from nodeyard.errors.base import ExitStatus, InternalError, NodeyardError, worst_exit
from nodeyard.errors.runtime import DeadlineExceeded, ExpectationFailed, RuntimeFailure
from nodeyard.ports.observer import Emit
from nodeyard.runtime.bounded import Finished, Overran, bounded
from nodeyard.runtime.context import StepContext
from nodeyard.runtime.exits import ExitWatch
from nodeyard.runtime.fault_watch import FaultWatch
from nodeyard.runtime.history import History
from nodeyard.runtime.network import LiveNetwork
from nodeyard.runtime.run_phase import Crew, RunPhase
from nodeyard.runtime.steps.protocols import Expectation, FaultSchedule, Operation, Workload

RECORD_TIME = 10.0
"""Seconds after the run's deadline for checks that decide by what was recorded (logs are still read then)."""
LAST_WORD = 0.5
"""Seconds that a check gets at the run's deadline to say what it last saw, before it is cancelled."""


@dataclass(frozen=True)
class Outcome:
    """What the steps and expectations came to. ``errors`` are those of steps, without failed expectations, which are
    checks. ``ended_by`` is set when a step's operation failed: then the verdict is at best unknown.
    """

    checks: tuple[Check, ...]
    errors: tuple[NodeyardError, ...]

    @property
    def ended_by(self) -> ExitStatus | None:
        """The deadline ends a run without being an error of it: what is not decided is unknown, by a check."""
        fatal = [error.exit_status for error in self.errors if not isinstance(error, DeadlineExceeded)]
        return worst_exit(fatal) if fatal else None


@dataclass(frozen=True, kw_only=True)
class RuntimeRequest:
    """Everything that running takes. ``deadline`` is a time of ``clock``; ``exits`` and
    ``faults`` must observe the run's events.

    ``history`` takes the operations of clients; without one they are kept in memory alone. ``base`` is the folder that
    relative paths in the scenario start from.
    """

    steps: Sequence[StepSpec]
    expectations: Sequence[CheckOptions]
    operations: Mapping[str, Operation]
    checkers: Mapping[str, Expectation]
    workloads: Mapping[str, Workload] = field(default_factory=dict)
    fault_schedule: FaultSchedule | None = None
    base: Path = Path()
    network: LiveNetwork
    exits: ExitWatch
    clock: Clock
    emit: Emit
    seed: int
    deadline: float
    history: History | None = None
    faults: FaultWatch | None = None


@dataclass
class _Record:
    checks: list[Check] = field(default_factory=list)
    errors: list[NodeyardError] = field(default_factory=list)


class ScenarioRuntime:
    """Runs one scenario once: ``run_steps``, then ``evaluate``. ``outcome`` is what is known so far, at any time."""

    def __init__(self, request: RuntimeRequest) -> None:
        self._request = request
        self._record = _Record()
        self._faults = request.faults if request.faults is not None else FaultWatch(request.clock)
        self._history = request.history if request.history is not None else History(request.clock)

    @property
    def outcome(self) -> Outcome:
        return Outcome(tuple(self._record.checks), tuple(self._record.errors))

    async def run(self) -> Outcome:
        """Steps, then expectations, which are evaluated whatever the steps came to."""
        await self.run_steps()
        await self.evaluate()
        return self.outcome

    async def run_steps(self) -> None:
        """Each step in order; after one that did not end well, the later ones are skipped. Raises cancellation only."""
        stopped = ""
        for index, step in enumerate(self._request.steps):
            if stopped:
                self._ended(index, step, "skipped", 0.0, stopped)
                continue
            stopped = await self._run_step(index, step)

    async def evaluate(self) -> None:
        """All final expectations side by side, as checks in the order of the scenario."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._final(index, options))
                for index, options in enumerate(self._request.expectations)
            ]
        self._record.checks.extend(task.result() for task in tasks)

    async def check(self, options: CheckOptions) -> Check:
        """Make one check now, beyond those of the scenario; it counts like them. Raises cancellation only."""
        seed = f"{self._request.seed}/extra/{len(self._record.checks)}"
        check = await self._decide(options, self._context(seed, options.label, self._request.deadline))
        self._report(check)
        return check

    def report(self, check: Check) -> None:
        """Take a check that somebody else decided; it counts like the others."""
        self._report(check)

    async def _run_step(self, index: int, step: StepSpec) -> str:
        """Why the later steps are to be skipped, or an empty text."""
        request = self._request
        request.emit(StepStarted(index=index, step=step.word, label=label_of(step)))
        begun = request.clock.now()
        outcome, reason = "cancelled", "the run was ended"
        try:
            await self._bounded_step(index, step)
            outcome, reason = "done", ""
        except ExpectationFailed as failed:
            outcome, reason = "failed", failed.message
        except DeadlineExceeded as error:
            outcome, reason = "deadline", error.message
            self._note(error)
            self._report(Check("deadline", Verdict.UNKNOWN, error.message, (f"step {index}: {label_of(step)}",)))
        except Exception as error:  # noqa: BLE001 - whatever a step raises ends the steps, not the run
            known = error if isinstance(error, NodeyardError) else _defect(f"step {index} ({step.word})", error)
            outcome, reason = "error", known.message
            self._note(known)
        finally:
            self._ended(index, step, outcome, request.clock.now() - begun, reason)
        return f"step {index} ({step.word}): {reason}" if reason else ""

    async def _bounded_step(self, index: int, step: StepSpec) -> None:
        request = self._request
        context = self._context(f"{request.seed}/step/{index}", label_of(step), request.deadline)
        if request.clock.now() >= request.deadline:
            raise DeadlineExceeded("the run's deadline passed before the step began", operation=step.word)
        if isinstance(step.options, CheckOptions):
            await self._expect(step.options, context)
            return
        act = self._act(step, context)
        ended = await bounded(act, clock=request.clock, deadline=request.deadline)
        if isinstance(ended, Overran):
            self._note_overrun(ended, step)
            raise DeadlineExceeded(
                "the run's deadline passed during the step",
                operation=step.word,
                hint="raise 'deadline:' of the scenario, or see in the journal what the step was waiting for",
            )

    def _note_overrun(self, ended: Overran, step: StepSpec) -> None:
        if not ended.ended:
            self._note(RuntimeFailure("the step went on although it was cancelled", operation=step.word,
                                      hint="a step must not swallow asyncio.CancelledError"))  # fmt: skip
        if ended.error is not None:
            known = ended.error if isinstance(ended.error, NodeyardError) else _defect(step.word, ended.error)
            self._note(known)

    async def _act(self, step: StepSpec, context: StepContext) -> None:
        options = step.options
        if isinstance(options, CheckOptions):
            await self._expect(options, context)
            return
        if isinstance(options, ParallelOptions):
            await self._side_by_side(options, context)
        elif isinstance(options, RunOptions):
            await RunPhase(options, context, self._crew()).run()
        else:
            await self._request.operations[step.word].run(options, context)
        if options.readiness is not None:
            await self._request.network.ops.barrier(options.readiness)

    async def _side_by_side(self, options: ParallelOptions, context: StepContext) -> None:
        """Every step of a group to its end; then the first error is raised, with the others as evidence."""

        async def one(part: tuple[int, StepSpec]) -> None:
            index, step = part
            place = f"{context.place}/{index}"
            await self._act(step, replace(context, label=label_of(step), place=place, random=Random(place)))

        await context.side_by_side(one, enumerate(options.steps))

    def _crew(self) -> Crew:
        request = self._request

        def from_record(options: CheckOptions) -> bool:
            return request.checkers[options.use].from_record

        return Crew(request.workloads, request.fault_schedule, self._decide, from_record)

    async def _expect(self, options: CheckOptions, context: StepContext) -> None:
        check = await self._decide(options, context)
        self._report(check)
        if check.verdict is Verdict.FAIL:
            raise ExpectationFailed(f"{check.name}: {check.reason}", operation="expect", evidence=check.evidence)

    async def _final(self, index: int, options: CheckOptions) -> Check:
        request = self._request
        limit = request.deadline
        checker = request.checkers.get(options.use)
        if checker is not None and checker.from_record:
            limit = max(limit, request.clock.now() + RECORD_TIME)
        context = self._context(f"{request.seed}/check/{index}", options.label, limit)
        check = await self._decide(options, context)
        self._tell(check)
        return check

    async def _decide(self, options: CheckOptions, context: StepContext) -> Check:
        """A check's answer; one that crashes, or that the deadline cuts off, is unknown and says so."""
        name, clock = options.label, self._request.clock
        if clock.now() >= context.deadline:
            return Check(name, Verdict.UNKNOWN, "the run's deadline passed before the check could be made")
        try:
            checker = self._request.checkers[options.use]
            ended = await bounded(checker.check(options, context), clock=clock, deadline=context.deadline + LAST_WORD)
        except Exception as error:  # noqa: BLE001 - a checker that crashes has decided nothing
            return Check(name, Verdict.UNKNOWN, _why_undecided(error), tuple(_evidence_of(error)))
        if isinstance(ended, Finished):
            return ended.value
        return Check(name, Verdict.UNKNOWN, "the run's deadline passed during the check")

    def _context(self, seed: str, label: str, deadline: float) -> StepContext:
        request = self._request
        return StepContext(
            network=request.network,
            clock=request.clock,
            deadline=deadline,
            emit=request.emit,
            random=Random(seed),
            place=seed,
            base=request.base,
            exits=request.exits,
            faults=self._faults,
            label=label,
            history=self._history,
            report=self._report,
        )

    def _report(self, check: Check) -> None:
        self._record.checks.append(check)
        self._tell(check)

    def _tell(self, check: Check) -> None:
        self._request.emit(
            CheckEvaluated(check=check.name, verdict=check.verdict.value, reason=check.reason, evidence=check.evidence)
        )

    def _note(self, error: NodeyardError) -> None:
        self._record.errors.append(error)
        self._request.emit(
            ErrorRecorded(node=error.node, layer=error.layer, code=error.code, message=error.message, hint=error.hint)
        )

    def _ended(self, index: int, step: StepSpec, outcome: str, after: float, reason: str) -> None:
        ended = StepEnded(
            index=index, step=step.word, label=label_of(step), outcome=outcome, after=after, reason=reason
        )
        self._request.emit(ended)


def label_of(step: StepSpec) -> str:
    """How people know a step: its own name, else its word with its target or its check."""
    options = step.options
    if isinstance(options, ParallelOptions):
        return f"{step.word}: {', '.join(label_of(part) for part in options.steps)}"
    if isinstance(options, RunOptions) and not options.name:
        labels = [*(one.label for one in options.workloads), *(one.label for one in options.faults)]
        return f"{step.word} {', '.join(labels or [one.label for one in options.always])}"
    if options.name:
        return options.name
    if isinstance(options, CheckOptions):
        return f"{step.word} {options.use}"
    target = getattr(options, "target", None)
    return step.word if target is None else f"{step.word} {target}"


def _defect(where: str, error: Exception) -> InternalError:
    known = InternalError(f"{where} raised {type(error).__name__}: {error}", operation=where)
    known.__cause__ = error
    return known


def _why_undecided(error: Exception) -> str:
    if isinstance(error, NodeyardError):
        return f"could not be decided: {error.message}"
    return f"the check itself failed: {type(error).__name__}: {error}"


def _evidence_of(error: Exception) -> Sequence[str]:
    if isinstance(error, NodeyardError):
        return str(error).splitlines()
    return [f"{type(error).__name__}: {error}"]
