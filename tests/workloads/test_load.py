"""The two models of load: when operations begin, what their latency counts from, what is dropped, what is recorded."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeyard.domain.history import Outcome
from nodeyard.domain.scenario_spec import WorkloadOptions
from nodeyard.domain.verdict import Verdict
from nodeyard.errors import provider
from nodeyard.errors.runtime import OperationDenied
from nodeyard.workloads._outcome import outcome_of
from nodeyard.workloads.kv_register import KvRegister, Mix, RegisterOptions
from runtime.support import World

from .world import Played, play


def load(**options: object) -> RegisterOptions:
    return RegisterOptions.model_validate({"use": "kv-register", **options})


def drive(**options: object) -> Played:
    more = {name: options.pop(name) for name in ("takes", "lasts", "nodes", "meanwhile") if name in options}
    return play(KvRegister(), load(**options), **more)  # type: ignore[arg-type]


def test_the_open_model_holds_its_rate_and_each_operation_begins_when_it_is_due() -> None:
    played = drive(rate=50.0, clients=4)
    assert len(played.calls) == 250
    assert all(call.invoked == pytest.approx(call.intended) for call in played.calls)
    assert [call.intended for call in played.calls] == pytest.approx([i / 50 for i in range(250)])
    assert all(call.latency == pytest.approx(0.01) for call in played.calls)
    assert (played.ended.ok, played.ended.late, played.ended.dropped) == (250, 0, 0)


def test_a_stall_is_seen_by_every_operation_that_it_kept_waiting() -> None:
    """The point of the intended time: one stall of a second is not one slow operation, but a hundred."""

    async def stall(world: World) -> None:
        await asyncio.sleep(1.0)
        for client in world.clients.values():
            client.takes = 0.9
        await asyncio.sleep(0.05)
        for client in world.clients.values():
            client.takes = 0.001

    played = drive(rate=100.0, clients=2, takes=0.001, lasts=4.0, meanwhile=stall)
    slow = [call for call in played.calls if call.latency > 0.1]
    assert len(slow) >= 70
    assert max(call.latency for call in played.calls) == pytest.approx(0.9, abs=0.05)
    assert len(played.calls) == 400
    assert played.ended.late >= 70
    assert played.ended.dropped == 0


def test_what_nobody_was_free_to_send_is_dropped_and_told() -> None:
    async def freeze(world: World) -> None:
        await asyncio.sleep(1.0)
        for client in world.clients.values():
            client.hanging = True
        await asyncio.sleep(2.5)
        for client in world.clients.values():
            client.hanging = False

    played = drive(rate=100.0, clients=4, timeout=0.5, takes=0.001, meanwhile=freeze)
    assert len(played.calls) == 500
    dropped = [call for call in played.calls if "dropped" in str(call.result)]
    assert len(dropped) == played.ended.dropped > 100
    assert {call.outcome for call in dropped} == {Outcome.FAIL}
    assert all(call.latency > 0.5 for call in dropped)
    assert played.ended.info == 4 * 5
    assert played.ended.ok + played.ended.fail + played.ended.info == 500


def test_at_most_clients_operations_are_under_way_and_each_client_does_one_at_a_time() -> None:
    played = drive(rate=1000.0, clients=3, takes=0.05, lasts=2.0)
    sent = [call for call in played.calls if "dropped" not in str(call.result)]
    ends = sorted([(call.invoked, 1) for call in sent] + [(call.completed, -1) for call in sent])
    open_now, most = 0, 0
    for _, step in sorted(ends, key=lambda pair: (pair[0], pair[1])):
        open_now += step
        most = max(most, open_now)
    assert most == 3
    for client in {call.client for call in sent}:
        own = [call for call in sent if call.client == client]
        assert all(before.completed <= after.invoked for before, after in itertools.pairwise(own))


def test_the_closed_model_is_as_fast_as_its_clients() -> None:
    played = drive(clients=4, takes=0.1)
    assert len(played.calls) == 4 * 50
    assert all(call.intended == call.invoked for call in played.calls)


def test_a_closed_client_that_is_refused_does_not_spin() -> None:
    async def down(world: World) -> None:
        for client in world.clients.values():
            client.down = True

    played = drive(clients=3, meanwhile=down)
    assert {call.outcome for call in played.calls} <= {Outcome.FAIL, Outcome.OK}
    assert len(played.calls) < 60
    [check] = played.outcome.checks
    assert (check.name, check.verdict) == ("kv-register", Verdict.VACUOUS)
    assert "connection refused" in check.evidence[0]


def test_a_time_out_is_info_and_a_refused_connection_is_fail() -> None:
    async def harm(world: World) -> None:
        world.clients["n0"].hanging = True
        world.clients["n1"].down = True

    played = drive(rate=30.0, clients=3, timeout=0.4, meanwhile=harm, lasts=3.0)
    by_node = {node: Counter(c.outcome for c in played.calls if c.node == node) for node in ("n0", "n1", "n2")}
    sent = [c for c in played.calls if c.node == "n0" and "dropped" not in str(c.result)]
    assert {c.outcome for c in sent} == {Outcome.INFO}
    assert set(by_node["n1"]) == {Outcome.FAIL}
    assert set(by_node["n2"]) == {Outcome.OK}


def test_a_number_of_operations_ends_the_phase() -> None:
    played = drive(rate=100.0, operations=50, lasts=None)
    assert len(played.calls) == 50
    assert drive(operations=40, clients=4, lasts=None).ended.ok == 40
    assert load(operations=3).ends_itself
    assert not load(rate=1.0).ends_itself


def test_an_operation_under_way_at_the_end_is_completed_and_none_begins_after_it() -> None:
    played = drive(clients=2, takes=0.8, lasts=2.0)
    assert all(call.invoked < 2.0 for call in played.calls)
    assert max(call.completed for call in played.calls) == pytest.approx(2.4)
    assert {call.outcome for call in played.calls} == {Outcome.OK}


def test_clients_are_spread_over_the_nodes_of_the_target() -> None:
    played = drive(rate=100.0, clients=6, target=["n0", "n2"])
    assert Counter(call.node for call in played.calls).keys() == {"n0", "n2"}
    assert len({call.client for call in played.calls}) == 6


def test_nodes_that_were_not_started_have_no_clients() -> None:
    played = play(KvRegister(), load(rate=50.0), meanwhile=_stop_n1)
    assert {call.node for call in played.calls} == {"n0", "n2"}


async def _stop_n1(world: World) -> None:
    world.controls["n1"].present = "stopped"


def test_the_same_seed_makes_the_same_choices() -> None:
    first, second = (drive(rate=50.0, clients=4, prefix="k") for _ in range(2))
    assert [(c.op, c.key, c.value) for c in first.calls] == [(c.op, c.key, c.value) for c in second.calls]


def test_a_denial_ends_the_workload() -> None:
    class Denied(KvRegister):
        async def run(self, options: WorkloadOptions, context: object) -> None:
            raise OperationDenied("not granted", node="n0")

    played = play(Denied(), load(rate=10.0))
    assert [error.code for error in played.outcome.errors] == ["operation-denied"]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (provider.NodeTimeout("x"), Outcome.INFO),
        (provider.NodeAnswerInvalid("x"), Outcome.INFO),
        (TimeoutError(), Outcome.INFO),
        (OSError("broken pipe"), Outcome.INFO),
        (provider.OperationFailed("x"), Outcome.INFO),
        (provider.NodeUnreachable("x"), Outcome.FAIL),
        (provider.TlsFailed("x"), Outcome.FAIL),
        (provider.NodeRefused("x"), Outcome.FAIL),
        (provider.AuthenticationFailed("x"), Outcome.FAIL),
        (ConnectionRefusedError(), Outcome.FAIL),
        (OperationDenied("x"), None),
        (ValueError("x"), None),
    ],
)
def test_what_an_error_leaves_of_its_operation(error: Exception, outcome: Outcome | None) -> None:
    assert outcome_of(error) is outcome


@settings(deadline=None, max_examples=25)
@given(rate=st.floats(1, 300), clients=st.integers(1, 20), takes=st.floats(0.001, 0.3), lasts=st.floats(0.1, 3))
def test_whatever_the_system_does_every_due_operation_is_accounted_for(
    rate: float, clients: int, takes: float, lasts: float
) -> None:
    played = drive(rate=rate, clients=clients, takes=takes, lasts=lasts, timeout=0.2)
    due = sum(1 for i in range(int(lasts * rate) + 2) if i / rate < lasts)
    assert abs(len(played.calls) - due) <= 1
    ended = played.ended
    assert ended.ok + ended.fail + ended.info == len(played.calls)
    intended = sorted(call.intended for call in played.calls)
    assert intended == pytest.approx([i / rate for i in range(len(intended))])
    assert all(call.latency >= 0 for call in played.calls)


def test_the_mix_decides_how_often_each_operation_is_chosen() -> None:
    played = drive(rate=200.0, mix=Mix(read=8, cas=2), keys=2)
    counts = Counter(call.op for call in played.calls)
    assert counts["write"] == 0
    assert counts["read"] / len(played.calls) == pytest.approx(0.8, abs=0.06)
    cas = [call for call in played.calls if call.op == "cas"]
    assert {call.result for call in cas} == {True, False}
    assert all(isinstance(call.value, list) and len(call.value) == 2 for call in cas)


def test_written_values_are_all_different_and_keys_belong_to_one_run() -> None:
    played = drive(rate=200.0, keys=3)
    values = [call.value for call in played.calls if call.op == "write"]
    values += [call.value[1] for call in played.calls if call.op == "cas"]
    assert len(values) == len(set(values))
    assert len({call.key for call in played.calls}) == 3
    assert {c.key for c in drive(rate=200.0, keys=3).calls} & {c.key for c in played.calls} == set()
    assert {c.key for c in drive(rate=200.0, keys=2, prefix="mine-").calls} == {"mine-0", "mine-1"}


def test_local_reads_ask_the_node_alone() -> None:
    played = drive(rate=50.0, local=True, mix=Mix(read=1))
    assert {call for client in played.world.clients.values() for call in client.calls} == {"local"}
