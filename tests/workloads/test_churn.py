"""The workload ``churn``: what it may do, how many nodes it leaves, and that everything is put back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeyard.domain.history import Outcome
from nodeyard.domain.verdict import Verdict
from nodeyard.errors.provider import OperationFailed
from nodeyard.workloads.churn import Churn, ChurnOptions, possible
from runtime.support import World

from .world import Played, play


def churn(*, meanwhile: Any = None, lasts: float | None = 60.0, cut: float | None = None, **options: Any) -> Played:
    made = ChurnOptions.model_validate({"use": "churn", **options})
    return play(Churn(), made, lasts=lasts, meanwhile=meanwhile, cut=cut)


def states_after(acts: Sequence[tuple[str, str]]) -> list[int]:
    """How many of three nodes ran after each act."""
    running = {"n0", "n1", "n2"}
    counts = []
    for node, act in acts:
        (running.discard if act == "stop" else running.add)(node)
        counts.append(len(running))
    return counts


def test_nodes_come_and_go_one_at_a_time_and_a_quorum_stays() -> None:
    played = churn(every=1.0)
    assert {act for _, act in played.world.acts} == {"start", "stop", "restart"}
    assert min(states_after(played.world.acts)) == 2
    assert all(control.present == "running" for control in played.world.controls.values())
    assert {call.op for call in played.calls} == {"start", "stop", "restart"}
    assert {call.outcome for call in played.calls} == {Outcome.OK}
    assert len(played.calls) >= 60
    assert {call.client for call in played.calls} == {"churn/0"}


def test_keep_zero_may_stop_all() -> None:
    played = churn(every=1.0, keep=0, actions=["stop"])
    assert min(states_after(played.world.acts)) == 0
    assert all(control.present == "running" for control in played.world.controls.values())


def test_keep_all_leaves_nothing_to_do_and_is_vacuous() -> None:
    played = churn(keep=3, lasts=10.0)
    assert played.world.acts == []
    assert [check.verdict for check in played.outcome.checks] == [Verdict.VACUOUS]


def test_rounds_end_the_phase() -> None:
    played = churn(rounds=3, actions=["restart"], lasts=None, every=2.0)
    assert [act for _, act in played.world.acts] == ["restart"] * 3
    assert played.ended.after == pytest.approx(4.0)


def test_a_node_that_was_not_started_yet_comes_and_goes_again() -> None:
    class Demand(Churn):
        async def run(self, options: ChurnOptions, context: Any) -> None:
            world.controls["n2"].present = "stopped"
            await super().run(options, context)

    world: Any = None

    async def see(seen: World) -> None:
        nonlocal world
        world = seen

    made = ChurnOptions.model_validate({"use": "churn", "actions": ["start"], "rounds": 1})
    played = play(Demand(), made, lasts=None, meanwhile=see)
    assert played.world.acts == [("n2", "start"), ("n2", "stop")]


def test_a_node_that_cannot_be_started_again_is_a_failed_check() -> None:
    async def harm(world: World) -> None:
        for control in world.controls.values():
            control.fails["start"] = OperationFailed("exit status 2 at once", node=control.name)

    played = churn(every=1.0, lasts=10.0, actions=["stop"], meanwhile=harm)
    [check] = [check for check in played.outcome.checks if check.verdict is Verdict.FAIL]
    assert "could not start again at the end: exit status 2 at once" in check.reason
    assert [call.outcome for call in played.calls] == [Outcome.OK, Outcome.INFO]


def test_a_phase_that_is_cut_off_puts_everything_back() -> None:
    played = churn(every=1.0, actions=["stop"], keep=1, cut=5.5)
    assert [act for _, act in played.world.acts] == ["stop", "stop", "start", "start"]
    assert all(control.present == "running" for control in played.world.controls.values())


def test_only_nodes_of_the_target_are_touched() -> None:
    played = churn(every=1.0, target="n1")
    assert {node for node, _ in played.world.acts} == {"n1"}


@given(
    states=st.dictionaries(st.sampled_from(["n0", "n1", "n2", "n3", "n4"]), st.sampled_from(
        ["running", "stopped", "exited", "paused", "unknown"]), min_size=1),
    least=st.integers(0, 5),
)  # fmt: skip
def test_no_act_that_is_possible_leaves_too_few(states: dict[str, str], least: int) -> None:
    nodes: Any = [type("N", (), {"id": name})() for name in states]
    running = sum(state in ("running", "unknown") for state in states.values())
    for act in possible(["start", "stop", "restart"], nodes, states, least):
        if act.action != "start":
            assert running - 1 >= least
            assert states[act.node.id] in ("running", "unknown")
        else:
            assert states[act.node.id] in ("stopped", "exited")
