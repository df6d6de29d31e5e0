"""The order of a scenario: steps, skipping, deadline, expectations, and what a defect of a step or check comes to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeyard.domain.events import CheckEvaluated, ErrorRecorded, StepEnded, StepStarted
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import CheckOptions, StepOptions, StepSpec
from nodeyard.domain.verdict import Check, RunVerdict, Verdict
from nodeyard.errors.base import ExitStatus
from nodeyard.errors.provider import NodeUnreachable, OperationFailed
from nodeyard.errors.runtime import DeadlineExceeded
from nodeyard.runtime.context import StepContext
from nodeyard.runtime.scenario_runtime import Outcome, label_of
from nodeyard.testing import run_virtual

from .support import World


class Does(StepOptions):
    """Options of a step of these tests."""

    key: str = ""


class DoStep(StepSpec):
    do: Does


class ExpectStep(StepSpec):
    expect: CheckOptions


class Doing:
    """A step that does what a test says, by the key of its options."""

    word: ClassVar[str] = "do"
    summary: ClassVar[str] = "for tests"
    options: ClassVar[type[StepOptions]] = Does

    def __init__(self, **acts: Callable[[StepContext], Awaitable[None]]) -> None:
        self.acts = acts

    def requires(self, options: Does) -> tuple[Requirement, ...]:
        return ()

    async def run(self, options: Does, context: StepContext) -> None:
        if options.key in self.acts:
            await self.acts[options.key](context)


class Judging:
    """A check that answers what a test says."""

    word: ClassVar[str] = "judge"
    summary: ClassVar[str] = "for tests"
    options: ClassVar[type[CheckOptions]] = CheckOptions

    def __init__(
        self, answer: Verdict | Exception | Callable[[StepContext], Awaitable[Check]], *, record: bool = False
    ):
        self.answer = answer
        self.from_record = record
        self.asked = 0

    def requires(self, options: CheckOptions) -> tuple[Requirement, ...]:
        return ()

    async def check(self, options: CheckOptions, context: StepContext) -> Check:
        self.asked += 1
        if isinstance(self.answer, Verdict):
            return Check(options.label, self.answer, "said so", ("line",))
        if isinstance(self.answer, Exception):
            raise self.answer
        return await self.answer(context)


def do(key: str = "", **more: Any) -> DoStep:
    return DoStep(do=Does(key=key, **more))


def expect(use: str) -> ExpectStep:
    return ExpectStep(expect=CheckOptions(use=use))


def final(*uses: str) -> list[CheckOptions]:
    return [CheckOptions(use=use) for use in uses]


def run(
    steps: Sequence[StepSpec] = (),
    expectations: Sequence[CheckOptions] = (),
    checkers: dict[str, Any] | None = None,
    **acts: Callable[[StepContext], Awaitable[None]],
) -> tuple[Outcome, World]:
    async def scenario() -> tuple[Outcome, World]:
        world = World.of()
        operations = {"do": Doing(**acts)}
        return await world.run(steps, expectations, operations=operations, checkers=checkers or {}), world

    return run_virtual(scenario())


def outcomes(world: World) -> list[str]:
    return [event.outcome for event in world.told(StepEnded) if isinstance(event, StepEnded)]


def verdict(outcome: Outcome) -> RunVerdict:
    return RunVerdict("r", 7, outcome.checks, ended_by=outcome.ended_by)


async def unreachable(context: StepContext) -> None:
    raise OperationFailed("it would not stop", node="n0")


async def broken(context: StepContext) -> None:
    raise ZeroDivisionError("oops")


async def endless(context: StepContext) -> None:
    await asyncio.sleep(10_000)


async def takes(context: StepContext) -> None:
    await asyncio.sleep(5.0)


def test_steps_run_in_order_and_are_told() -> None:
    outcome, world = run(
        [do(), do("slow", name="my step"), do()], final("ok"), {"ok": Judging(Verdict.PASS)}, slow=takes
    )
    assert outcomes(world) == ["done"] * 3
    started = [(e.index, e.label) for e in world.told(StepStarted) if isinstance(e, StepStarted)]
    assert started == [(0, "do"), (1, "my step"), (2, "do")]
    assert [e.after for e in world.told(StepEnded) if isinstance(e, StepEnded)] == [0.0, 5.0, 0.0]
    assert verdict(outcome).exit_status is ExitStatus.PASS


def test_a_step_that_raises_skips_the_later_ones_and_the_expectations_are_still_evaluated() -> None:
    judge = Judging(Verdict.PASS)
    outcome, world = run([do(), do("bad"), do(), do()], final("ok"), {"ok": judge}, bad=unreachable)
    assert outcomes(world) == ["done", "error", "skipped", "skipped"]
    assert judge.asked == 1
    assert [e.code for e in outcome.errors] == ["operation-failed"]
    assert verdict(outcome).verdict is Verdict.UNKNOWN
    assert verdict(outcome).exit_status is ExitStatus.INFRASTRUCTURE
    [told] = world.told(ErrorRecorded)
    assert told.node == "n0"


def test_a_proven_failure_stands_beside_an_infrastructure_error() -> None:
    outcome, _ = run([do("bad")], final("no"), {"no": Judging(Verdict.FAIL)}, bad=unreachable)
    assert verdict(outcome).verdict is Verdict.FAIL


def test_a_defect_of_a_step_is_an_internal_error_with_its_cause() -> None:
    outcome, world = run([do("bad"), do()], final("ok"), {"ok": Judging(Verdict.PASS)}, bad=broken)
    assert outcomes(world) == ["error", "skipped"]
    [error] = outcome.errors
    assert (error.code, error.message) == ("internal", "step 0 (do) raised ZeroDivisionError: oops")
    assert isinstance(error.__cause__, ZeroDivisionError)
    assert verdict(outcome).exit_status is ExitStatus.INTERNAL


def test_an_unknown_word_is_a_defect_and_does_not_escape() -> None:
    async def scenario() -> Outcome:
        return await World.of().run([do()], final("missing"))

    outcome = run_virtual(scenario())
    assert outcome.ended_by is ExitStatus.INTERNAL
    assert [c.verdict for c in outcome.checks] == [Verdict.UNKNOWN]


@pytest.mark.parametrize(
    ("said", "outcome_of_step", "later"),
    [
        (Verdict.PASS, "done", "done"),
        (Verdict.VACUOUS, "done", "done"),
        (Verdict.UNKNOWN, "done", "done"),
        (Verdict.FAIL, "failed", "skipped"),
    ],
)
def test_only_an_expect_that_fails_skips_the_later_steps(said: Verdict, outcome_of_step: str, later: str) -> None:
    outcome, world = run([expect("j"), do()], final("ok"), {"j": Judging(said), "ok": Judging(Verdict.PASS)})
    assert outcomes(world) == [outcome_of_step, later]
    assert [(c.name, c.verdict) for c in outcome.checks] == [("j", said), ("ok", Verdict.PASS)]
    assert outcome.errors == ()
    assert verdict(outcome).verdict is said


def test_a_check_that_crashes_is_unknown_with_its_error_as_evidence() -> None:
    checkers = {"boom": Judging(ZeroDivisionError("oops")), "away": Judging(NodeUnreachable("no route", node="n1"))}
    outcome, _ = run([], final("boom", "away"), checkers)
    boom, away = outcome.checks
    assert (boom.verdict, boom.evidence) == (Verdict.UNKNOWN, ("ZeroDivisionError: oops",))
    assert "the check itself failed" in boom.reason
    assert (away.verdict, away.evidence) == (Verdict.UNKNOWN, ("n1: no route",))


def test_no_step_and_no_check_is_vacuous() -> None:
    outcome, _ = run([do()])
    assert verdict(outcome).exit_status is ExitStatus.VACUOUS


def test_final_checks_go_side_by_side_and_stand_in_the_order_of_the_scenario() -> None:
    async def slowly(context: StepContext) -> Check:
        await asyncio.sleep(9.0)
        return Check("slow", Verdict.PASS, "")

    checkers = {"slow": Judging(slowly), "quick": Judging(Verdict.PASS), "slow2": Judging(slowly)}

    async def scenario() -> tuple[Outcome, float, World]:
        world = World.of()
        begun = asyncio.get_running_loop().time()
        outcome = await world.run([], final("slow", "quick", "slow2"), checkers=checkers)
        return outcome, asyncio.get_running_loop().time() - begun, world

    outcome, took, world = run_virtual(scenario())
    assert [c.name for c in outcome.checks] == ["slow", "quick", "slow"]
    assert took == 9.0
    told = [e.check for e in world.told(CheckEvaluated) if isinstance(e, CheckEvaluated)]
    assert told == ["quick", "slow", "slow"]


# --- the deadline ----------------------------------------------------------------------------------------------------


def test_the_deadline_ends_a_step_and_what_the_record_can_decide_is_decided() -> None:
    live, record = Judging(Verdict.PASS), Judging(Verdict.PASS, record=True)

    async def scenario() -> tuple[Outcome, float, World]:
        world = World.of()
        begun = asyncio.get_running_loop().time()
        outcome = await world.run(
            [do("long"), do()], final("live", "record"),
            operations={"do": Doing(long=endless)}, checkers={"live": live, "record": record}, within=30.0,
        )  # fmt: skip
        return outcome, asyncio.get_running_loop().time() - begun, world

    outcome, took, world = run_virtual(scenario())
    assert took == 30.0
    assert outcomes(world) == ["deadline", "skipped"]
    assert [(c.name, c.verdict) for c in outcome.checks] == [
        ("deadline", Verdict.UNKNOWN),
        ("live", Verdict.UNKNOWN),
        ("record", Verdict.PASS),
    ]
    assert (live.asked, record.asked) == (0, 1)
    assert [type(e) for e in outcome.errors] == [DeadlineExceeded]
    assert outcome.ended_by is None
    assert verdict(outcome).exit_status is ExitStatus.UNKNOWN


def test_a_failure_that_the_record_shows_is_a_failure_although_the_deadline_passed() -> None:
    outcome = run_virtual(
        World.of_run([do("long")], final("r"), {"do": Doing(long=endless)}, {"r": Judging(Verdict.FAIL, record=True)})
    )
    assert verdict(outcome).exit_status is ExitStatus.FAIL


def test_a_step_that_swallows_cancellation_is_left_behind_and_named() -> None:
    release: list[asyncio.Event] = []

    async def stubborn(context: StepContext) -> None:
        release.append(asyncio.Event())
        while not release[0].is_set():
            try:
                await release[0].wait()
            except asyncio.CancelledError:
                continue

    async def scenario() -> tuple[Outcome, float]:
        begun = asyncio.get_running_loop().time()
        outcome = await World.of().run([do("x"), do()], operations={"do": Doing(x=stubborn)}, within=10.0)
        took = asyncio.get_running_loop().time() - begun
        release[0].set()
        await asyncio.sleep(0)
        return outcome, took

    outcome, took = run_virtual(scenario())
    assert took == 25.0
    assert [e.message for e in outcome.errors] == [
        "the step went on although it was cancelled",
        "the run's deadline passed during the step",
    ]
    assert outcome.ended_by is ExitStatus.INFRASTRUCTURE


def test_the_cleanup_of_a_step_has_its_own_time_after_the_deadline_and_its_error_is_kept() -> None:
    healed: list[float] = []

    async def heals(context: StepContext) -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(3.0)
            healed.append(context.clock.now())
            raise OperationFailed("could not be healed", node="n0")

    async def scenario() -> Outcome:
        return await World.of().run([do("x")], operations={"do": Doing(x=heals)}, within=10.0)

    outcome = run_virtual(scenario())
    assert len(healed) == 1
    assert [e.code for e in outcome.errors] == ["operation-failed", "deadline-exceeded"]


def test_a_check_that_outlives_the_deadline_is_unknown() -> None:
    async def forever(context: StepContext) -> Check:
        await asyncio.sleep(10_000)
        raise AssertionError

    outcome = run_virtual(World.of_run([expect("f"), do()], final("f"), {"do": Doing()}, {"f": Judging(forever)}))
    assert [c.name for c in outcome.checks] == ["f", "deadline", "f"]
    assert {c.verdict for c in outcome.checks} == {Verdict.UNKNOWN}
    assert any(isinstance(e, DeadlineExceeded) for e in outcome.errors)


def test_cancelling_the_run_cancels_the_step_waits_for_it_and_keeps_what_was_decided() -> None:
    cleaned: list[str] = []

    async def tidy(context: StepContext) -> None:
        context.report(Check("seen", Verdict.PASS, "before"))
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(1.0)
            cleaned.append("yes")

    async def scenario() -> tuple[Outcome, World]:
        world = World.of()
        runtime = world.runtime([do("x"), do()], operations={"do": Doing(x=tidy)})
        task = asyncio.ensure_future(runtime.run())
        await asyncio.sleep(1.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return runtime.outcome, world

    outcome, world = run_virtual(scenario())
    assert cleaned == ["yes"]
    assert [c.name for c in outcome.checks] == ["seen"]
    assert outcomes(world) == ["cancelled"]


# --- barriers, seeds, reports ----------------------------------------------------------------------------------------


def test_a_barrier_of_a_step_follows_its_act() -> None:
    async def scenario() -> World:
        world = World.of()
        step = DoStep.model_validate({"do": {"readiness": {"policy": "quorum", "min": 2}}})
        await world.run([step], operations={"do": Doing()})
        return world

    assert run_virtual(scenario()).gate.waited == [(None, "quorum")]


def test_random_picks_depend_on_seed_and_place_alone() -> None:
    def picks(seed: int, before: int) -> list[float]:
        drawn: list[float] = []

        async def draw(context: StepContext) -> None:
            drawn.append(context.random.random())

        async def draws(context: StepContext) -> None:
            for _ in range(before):
                context.random.random()

        steps, operations = [do("more"), do("draw")], {"do": Doing(draw=draw, more=draws)}
        run_virtual(World.of_run(steps, [], operations, {}, seed=seed))
        return drawn

    assert picks(1, 0) == picks(1, 5)
    assert picks(1, 0) != picks(2, 0)


def test_side_by_side_ends_every_act_and_raises_the_first_error_with_the_others() -> None:
    done: list[int] = []

    async def act(number: int) -> None:
        await asyncio.sleep(number)
        done.append(number)
        if number % 2:
            raise OperationFailed(f"no {number}", node=f"n{number}")

    async def all_of(context: StepContext) -> None:
        await context.side_by_side(act, [1, 2, 3])

    outcome, _ = run([do("x")], x=all_of)
    assert done == [1, 2, 3]
    [error] = outcome.errors
    assert (error.message, error.evidence) == ("no 1", ("also n3: no 3",))


def test_labels() -> None:
    assert label_of(do(name="mine")) == "mine"
    assert label_of(expect("converged")) == "expect converged"


STEP = st.sampled_from(["ok", "raises", "breaks", "fails", "passes", "takes", "endless"])


@settings(max_examples=150, deadline=None)
@given(script=st.lists(STEP, max_size=6), checks=st.lists(st.sampled_from(["p", "f", "boom", "r"]), max_size=4))
def test_whatever_steps_do_every_step_is_told_every_check_is_answered_and_the_time_is_kept(
    script: list[str], checks: list[str]
) -> None:
    steps = [
        expect({"fails": "f", "passes": "p"}[word]) if word in {"fails", "passes"} else do(word) for word in script
    ]
    acts = {"raises": unreachable, "breaks": broken, "takes": takes, "endless": endless}
    checkers = {
        "p": Judging(Verdict.PASS), "f": Judging(Verdict.FAIL), "boom": Judging(ValueError("x")),
        "r": Judging(Verdict.PASS, record=True),
    }  # fmt: skip

    async def scenario() -> tuple[Outcome, World, float]:
        world = World.of()
        begun = asyncio.get_running_loop().time()
        outcome = await world.run(steps, final(*checks), operations={"do": Doing(**acts)}, checkers=checkers)
        return outcome, world, asyncio.get_running_loop().time() - begun

    outcome, world, took = run_virtual(scenario())
    assert took <= 61.0
    assert len(outcomes(world)) == len(script)
    ends = outcomes(world)
    bad = [i for i, word in enumerate(script) if word in {"raises", "breaks", "fails", "endless"}]
    assert all(end == "skipped" for end in ends[bad[0] + 1 :]) if bad else "skipped" not in ends
    finals = outcome.checks[-len(checks) :] if checks else ()
    assert [c.name for c in finals] == checks
    if bad:
        assert verdict(outcome).verdict in {Verdict.FAIL, Verdict.UNKNOWN}
