"""Phases: when they end, what the end of one part means for the others, and what they come to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

import pytest

from nodeyard._aio.tasks import shielded
from nodeyard.domain.events import NodeExited, TrafficEnded, TrafficStarted, WorkloadEnded, WorkloadStarted
from nodeyard.domain.history import Outcome as CallOutcome
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import (
    CheckOptions,
    FaultOptions,
    ParallelStep,
    RunOptions,
    RunStep,
    StepSpec,
    WorkloadOptions,
)
from nodeyard.domain.verdict import Check, Verdict
from nodeyard.errors.base import ExitStatus
from nodeyard.errors.provider import NodeUnreachable
from nodeyard.runtime.context import StepContext
from nodeyard.runtime.history import History, WorkloadHistory
from nodeyard.runtime.scenario_runtime import Outcome, label_of
from nodeyard.testing import VirtualClock, run_virtual

from .support import World

Act = Callable[[StepContext], Awaitable[None]]


class Driving:
    """A workload that does what a test says."""

    word: ClassVar[str] = "drive"
    summary: ClassVar[str] = "for tests"
    options: ClassVar[type[WorkloadOptions]] = WorkloadOptions

    def __init__(self, act: Act) -> None:
        self.act = act

    def requires(self, options: WorkloadOptions) -> tuple[Requirement, ...]:
        return ()

    async def run(self, options: WorkloadOptions, context: StepContext) -> None:
        await self.act(context)


class Judging:
    """A check that answers what a test says, and counts how often it was asked."""

    def __init__(self, *answers: Verdict, record: bool = False, takes: float = 0.0) -> None:
        self.answers = list(answers)
        self.from_record = record
        self.takes = takes
        self.asked: list[float] = []

    async def check(self, options: CheckOptions, context: StepContext) -> Check:
        self.asked.append(context.clock.now())
        await context.clock.sleep(self.takes)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return Check(options.label, answer, "said so")


async def to_the_end(context: StepContext) -> None:
    """One operation each second until the deadline."""
    history = context.history
    assert isinstance(history, WorkloadHistory)
    client = history.client()
    while context.clock.now() < context.deadline:
        index = history.invoke(client=client, op="tick", node="n0")
        await context.clock.sleep(1.0)
        history.complete(index, CallOutcome.OK)


async def nothing(context: StepContext) -> None:
    return


class Schedule:
    """A scheduler of faults that notes how long its phase was, and takes some time to heal."""

    def __init__(self, heals: float = 0.0) -> None:
        self.heals = heals
        self.story: list[tuple[str, float]] = []

    async def __call__(self, faults: Sequence[FaultOptions], context: StepContext, *, over: asyncio.Event) -> None:
        clock = context.clock
        self.story.append(("injected", clock.now()))
        try:
            async with asyncio.timeout(context.deadline - clock.now()):
                await over.wait()
        except TimeoutError:
            pass
        finally:
            await shielded(clock.sleep(self.heals), within=60.0)
            self.story.append(("healed", clock.now()))


def phase(**options: Any) -> RunStep:
    made = RunOptions.model_construct(
        for_=options.get("lasts"),
        workloads=tuple(WorkloadOptions(use=use) for use in options.get("workloads", ("drive",))),
        faults=tuple(FaultOptions(use=use) for use in options.get("faults", ())),
        always=tuple(CheckOptions(use=use) for use in options.get("always", ())),
    )
    return RunStep.model_construct(body=made)


def play(*steps: StepSpec, within: float = 60.0, **more: Any) -> tuple[Outcome, World]:
    async def scenario() -> tuple[Outcome, World]:
        world = World.of()
        more.setdefault("workloads", {"drive": Driving(to_the_end)})
        return await world.run(steps, within=within, **more), world

    return run_virtual(scenario())


def ended(world: World) -> TrafficEnded:
    [event] = world.told(TrafficEnded)
    assert isinstance(event, TrafficEnded)
    return event


def test_a_phase_lasts_as_long_as_it_says_and_tells_what_its_workloads_did() -> None:
    outcome, world = play(phase(lasts=5.0))
    assert outcome == Outcome((), ())
    assert ended(world).outcome == "time"
    assert ended(world).after == pytest.approx(5.0)
    [began] = world.told(WorkloadStarted)
    [done] = world.told(WorkloadEnded)
    assert isinstance(began, WorkloadStarted)
    assert isinstance(done, WorkloadEnded)
    assert (began.workload, done.workload, done.outcome, done.ok) == ("drive", "drive", "done", 5)
    [start] = world.told(TrafficStarted)
    assert isinstance(start, TrafficStarted)
    assert (start.workloads, start.lasts) == (("drive",), 5.0)


def test_a_phase_ends_when_all_workloads_are_done_and_the_faults_heal_first() -> None:
    async def briefly(context: StepContext) -> None:
        index = context.history.invoke(client=0, op="tick")
        await context.clock.sleep(2.0)
        context.history.complete(index, CallOutcome.OK)

    schedule = Schedule(heals=3.0)
    outcome, world = play(
        phase(lasts=30.0, faults=["any"]), workloads={"drive": Driving(briefly)}, fault_schedule=schedule
    )
    assert outcome == Outcome((), ())
    assert ended(world).outcome == "done"
    assert ended(world).after == pytest.approx(5.0)
    assert [what for what, _ in schedule.story] == ["injected", "healed"]


def test_operations_that_are_under_way_at_the_end_are_completed() -> None:
    async def slowly(context: StepContext) -> None:
        index = context.history.invoke(client=0, op="tick")
        await context.clock.sleep(7.0)
        context.history.complete(index, CallOutcome.OK)

    _, world = play(phase(lasts=5.0), workloads={"drive": Driving(slowly)})
    assert (ended(world).outcome, ended(world).after) == ("time", pytest.approx(7.0))


def test_a_workload_without_a_successful_operation_is_vacuous_and_says_why() -> None:
    async def in_vain(context: StepContext) -> None:
        for _ in range(3):
            index = context.history.invoke(client=0, op="tick")
            context.history.complete(index, CallOutcome.FAIL, "connection refused")

    outcome, _ = play(phase(lasts=5.0), workloads={"drive": Driving(in_vain)})
    assert outcome.checks == (
        Check("drive", Verdict.VACUOUS, "none of its 3 operations succeeded", ("3 x connection refused",)),
    )
    outcome, _ = play(phase(lasts=5.0), workloads={"drive": Driving(nothing)})
    assert [check.reason for check in outcome.checks] == ["it made no operation"]


def test_a_workload_that_fails_ends_the_phase_and_the_steps_after_the_faults_healed() -> None:
    async def broken(context: StepContext) -> None:
        await context.clock.sleep(1.0)
        raise NodeUnreachable("connection refused", node="n1")

    schedule = Schedule(heals=1.0)
    outcome, world = play(
        phase(lasts=30.0, workloads=("drive", "other"), faults=["any"]),
        phase(lasts=5.0),
        workloads={"drive": Driving(broken), "other": Driving(to_the_end)},
        fault_schedule=schedule,
    )
    assert [error.message for error in outcome.errors] == ["connection refused"]
    assert outcome.ended_by is ExitStatus.INFRASTRUCTURE
    assert (ended(world).outcome, ended(world).after) == ("error", pytest.approx(2.0))
    assert len(schedule.story) == 2
    by_name = {e.workload: e.outcome for e in world.told(WorkloadEnded) if isinstance(e, WorkloadEnded)}
    assert by_name == {"drive": "failed", "other": "cancelled"}


def test_a_workload_that_crashes_is_a_defect() -> None:
    async def broken(context: StepContext) -> None:
        raise ZeroDivisionError("oh")

    outcome, _ = play(phase(lasts=30.0), workloads={"drive": Driving(broken)})
    assert outcome.ended_by is ExitStatus.INTERNAL
    assert "ZeroDivisionError: oh" in outcome.errors[0].message


def test_an_assertion_of_a_workload_is_a_failed_check() -> None:
    async def asserting(context: StepContext) -> None:
        raise AssertionError("the counter went back\nfrom 7 to 3")

    outcome, world = play(phase(lasts=30.0), workloads={"drive": Driving(asserting)})
    assert outcome.checks == (
        Check("drive", Verdict.FAIL, "the counter went back", ("the counter went back", "from 7 to 3")),
    )
    assert outcome.ended_by is None
    assert ended(world).outcome == "failed"


def test_a_check_that_fails_ends_the_phase_early_and_skips_the_later_steps() -> None:
    judging = Judging(Verdict.PASS, Verdict.PASS, Verdict.FAIL)
    outcome, world = play(phase(lasts=30.0, always=["judge"]), phase(lasts=30.0), checkers={"judge": judging})
    assert [(check.name, check.verdict) for check in outcome.checks] == [("always judge", Verdict.FAIL)]
    assert len(judging.asked) == 3
    assert ended(world).outcome == "failed"
    assert ended(world).after < 5.0


def test_a_check_that_holds_is_made_throughout_and_once_more_after_the_end() -> None:
    judging = Judging(Verdict.PASS)
    outcome, world = play(
        phase(lasts=5.0, always=["judge"], faults=["any"]), checkers={"judge": judging}, fault_schedule=Schedule(3.0)
    )
    assert [check.verdict for check in outcome.checks] == [Verdict.PASS]
    assert judging.asked[-1] == pytest.approx(judging.asked[0] + 8.0)
    assert len(judging.asked) >= 8
    assert f"looked {len(judging.asked)} times" in outcome.checks[0].reason
    assert ended(world).outcome == "time"


def test_a_look_that_takes_long_is_repeated_less_often() -> None:
    judging = Judging(Verdict.PASS, takes=1.0)
    play(phase(lasts=30.0, always=["judge"]), checkers={"judge": judging})
    assert len(judging.asked) == 4


@pytest.mark.parametrize(("record", "verdict"), [(False, Verdict.UNKNOWN), (True, Verdict.PASS)])
def test_a_moment_that_could_not_be_decided_leaves_the_whole_open_unless_the_record_decides(
    record: bool, verdict: Verdict
) -> None:
    judging = Judging(Verdict.PASS, Verdict.UNKNOWN, Verdict.PASS, record=record)
    outcome, _ = play(phase(lasts=5.0, always=["judge"]), checkers={"judge": judging})
    assert [check.verdict for check in outcome.checks] == [verdict]


def test_the_end_of_a_node_is_looked_at_when_it_comes() -> None:
    judging = Judging(Verdict.PASS)
    times: list[float] = []

    async def scenario() -> None:
        world = World.of()

        async def dying(context: StepContext) -> None:
            await context.clock.sleep(2.25)
            times.append(context.clock.now())
            context.emit(NodeExited(node="n1", status="exit status 2", expected=False))
            await to_the_end(context)

        await world.run([phase(lasts=5.0, always=["judge"])], checkers={"judge": judging},
                        workloads={"drive": Driving(dying)})  # fmt: skip

    run_virtual(scenario())
    assert times[0] in [pytest.approx(at) for at in judging.asked]


def test_the_deadline_of_the_run_ends_a_phase() -> None:
    schedule = Schedule()
    outcome, world = play(phase(lasts=30.0, faults=["any"]), within=4.0, fault_schedule=schedule)
    assert [check.name for check in outcome.checks] == ["deadline"]
    assert ended(world).after == pytest.approx(4.0)


def test_a_cancelled_phase_heals_its_faults_and_ends_its_workloads() -> None:
    schedule = Schedule(heals=2.0)

    async def scenario() -> World:
        world = World.of()
        run = asyncio.create_task(
            world.run([phase(lasts=30.0, faults=["any"])], workloads={"drive": Driving(to_the_end)},
                      fault_schedule=schedule)
        )  # fmt: skip
        await asyncio.sleep(3.5)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        return world

    world = run_virtual(scenario())
    assert [what for what, _ in schedule.story] == ["injected", "healed"]
    assert ended(world).outcome == "cancelled"


def test_two_uses_of_a_workload_have_clients_of_their_own() -> None:
    history = History(VirtualClock())
    outcome, _ = play(phase(lasts=2.0), phase(lasts=2.0, workloads=("drive", "drive")), history=history)
    assert outcome == Outcome((), ())
    assert {call.client for call in history.calls()} == {"drive/0", "drive#2/0", "drive#3/0"}
    assert len(history) == 6


def test_a_group_runs_its_steps_side_by_side_and_raises_the_first_error() -> None:
    group = ParallelStep.model_construct(body=(phase(lasts=5.0), phase(lasts=8.0)))
    outcome, world = play(group)
    assert outcome == Outcome((), ())
    assert [e.after for e in world.told(TrafficEnded) if isinstance(e, TrafficEnded)] == pytest.approx([5.0, 8.0])
    assert label_of(group) == "parallel: run drive, run drive"
