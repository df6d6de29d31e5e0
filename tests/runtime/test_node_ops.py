"""Operations on nodes: authorised at call time, told, waited for, identified again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeyard._aio.clock import SystemClock
from nodeyard.domain.capability import ALL_CAPABILITIES, Capability, OnConflict, authorize
from nodeyard.domain.events import OperationDenied as DeniedEvent
from nodeyard.domain.events import OperationEnded, OperationStarted
from nodeyard.domain.node_client import ChainReader, CompareAndSet, KeyValue, ReportsRole
from nodeyard.domain.node_handle import Origin, OriginClass
from nodeyard.domain.policy import ReadinessSpec
from nodeyard.errors.bootstrap import NotReady
from nodeyard.errors.provider import OperationFailed
from nodeyard.errors.runtime import NodeNotFound, OperationDenied, ProtocolUnsupported, RuntimeFailure
from nodeyard.ports.node_control import NoControl
from nodeyard.runtime.node import Node
from nodeyard.testing import run_virtual

from .support import PlainClient, World, origin

BORROWED = OriginClass.EXTERNAL

NEEDS: dict[str, Capability] = {
    "start": Capability.START,
    "stop": Capability.STOP,
    "restart": Capability.RESTART,
    "kill": Capability.KILL,
    "pause": Capability.PAUSE,
    "resume": Capability.PAUSE,
    "apply": Capability.PATCH,
    "logs": Capability.LOGS,
    "exec": Capability.EXEC,
    "put": Capability.SUBMIT,
    "compare_and_set": Capability.SUBMIT,
    "get": Capability.QUERY,
    "identify": Capability.QUERY,
    "role": Capability.QUERY,
}
"""What each act, as control and client record it, takes."""

ACTS: dict[str, Callable[[Node], Awaitable[object]]] = {
    "start": lambda n: n.start(),
    "stop": lambda n: n.stop(),
    "restart": lambda n: n.restart(),
    "kill": lambda n: n.kill(),
    "pause": lambda n: n.pause(),
    "resume": lambda n: n.resume(),
    "apply": lambda n: n.patch({"x": 1}),
    "logs": lambda n: n.logs(),
    "exec": lambda n: n.exec(["true"]),
    "put": lambda n: n.client(KeyValue).put("k", "v", timeout=1),
    "compare_and_set": lambda n: n.client(CompareAndSet).compare_and_set("k", None, "v", timeout=1),
    "get": lambda n: n.client(KeyValue).get("k", timeout=1),
    "identify": lambda n: n.identify(timeout=1),
    "role": lambda n: n.client(ReportsRole).role(timeout=1),
}


def origins() -> st.SearchStrategy[Origin]:
    some = st.frozensets(st.sampled_from(sorted(ALL_CAPABILITIES)))
    return st.builds(
        lambda cls, supported, granted: origin(cls, supported=supported, granted=granted),
        st.sampled_from(list(OriginClass)),
        some,
        some,
    )


@settings(max_examples=150, deadline=None)
@given(
    nodes=st.lists(st.lists(origins(), min_size=1, max_size=2, unique_by=lambda o: o.origin), min_size=1, max_size=3),
    script=st.lists(st.tuples(st.integers(0, 2), st.sampled_from(sorted(ACTS))), max_size=12),
)
def test_no_sequence_of_operations_reaches_a_node_without_an_authorised_decision(
    nodes: list[list[Origin]], script: list[tuple[int, str]]
) -> None:
    async def scenario() -> None:
        world = World.of({f"n{i}": found for i, found in enumerate(nodes)})
        for number, act in script:
            node = world.network.nodes[number % len(nodes)]
            allowed = authorize(node.handle, NEEDS[act]).allowed
            before = len(world.acts), len(world.clients[node.id].calls)
            try:
                await ACTS[act](node)
            except OperationDenied:
                refused = True
            except RuntimeFailure:
                refused = act != "apply"
            else:
                refused = False
            assert refused is not allowed
            reached = (len(world.acts), len(world.clients[node.id].calls)) != before
            assert reached is (allowed and not (act == "apply" and world.network.ops.binding(node.id).render is None))
        for name, act in world.acts:
            assert authorize(world.network.live.handle(name), NEEDS[act]).allowed

    run_virtual(scenario())


def test_a_grant_that_is_revoked_while_a_client_is_held_stops_the_next_call() -> None:
    async def scenario() -> None:
        world = World.of({"n0": [origin(BORROWED)]})
        client = world.network["n0"].client(KeyValue)
        await client.put("k", "v", timeout=1)
        handle = world.network.live.handle("n0")
        bare = origin(BORROWED, granted=[Capability.QUERY])
        sighting = handle.sightings[0]
        revoked = sighting.revised(
            peer_id=sighting.peer_id, network=sighting.network, address=sighting.address,
            endpoints=sighting.endpoints, origin=bare,
        )  # fmt: skip
        assert world.network.live.accept(world.network.inventory.merged([revoked]))
        with pytest.raises(OperationDenied, match="not granted") as denied:
            await client.put("k", "w", timeout=1)
        assert denied.value.hint is not None
        assert "allow: [submit]" in denied.value.hint
        assert (await client.get("k", timeout=1)).value == "v"

    run_virtual(scenario())


def test_the_deciding_origin_gives_the_control() -> None:
    async def scenario() -> None:
        owned = origin(supported=[Capability.QUERY], granted=ALL_CAPABILITIES)
        lent = origin(OriginClass.ATTACHED, granted=[Capability.PAUSE])
        world = World.of({"n0": [owned, lent]})
        bindings = world.network.ops.binding("n0")
        object.__setattr__(bindings, "controls", {("managed", owned.source): NoControl(), ("attached", lent.source): world.controls["n0"]})  # fmt: skip # noqa: E501
        await world.network["n0"].pause()
        assert world.acts == [("n0", "pause")]
        with pytest.raises(OperationDenied):
            await world.network["n0"].kill()

    run_virtual(scenario())


def test_a_preference_for_the_borrowed_origin_forbids_what_the_owned_one_permits() -> None:
    async def scenario() -> None:
        world = World.of({"n0": [origin(), origin(BORROWED)]})
        handle = world.network.live.handle("n0")
        object.__setattr__(handle, "preference", OnConflict.PREFER_BORROWED)
        with pytest.raises(OperationDenied):
            await world.network["n0"].kill()
        assert world.acts == []
        assert [type(e) for e in world.cluster.events] == [DeniedEvent]

    run_virtual(scenario())


def test_an_operation_is_told_before_it_acts_and_its_end_after_the_node_is_ready() -> None:
    async def scenario() -> None:
        world = World.of()
        world.gate.takes = 3.0
        await world.network["n1"].restart()
        started, ended = world.told(OperationStarted, OperationEnded)
        assert (started.node, ended.node) == ("n1", "n1")
        assert isinstance(ended, OperationEnded)
        assert (ended.operation, ended.outcome, ended.after) == ("restart", "done", 3.0)
        assert world.gate.waited == [(("n1",), "all")]
        assert world.gate.identified == [(("n1",), "after restart")]

    run_virtual(scenario())


@pytest.mark.parametrize("operation", ["stop", "kill", "pause"])
def test_operations_that_take_a_node_down_do_not_wait_for_it(operation: str) -> None:
    async def scenario() -> None:
        world = World.of()
        await getattr(world.network["n0"], operation)()
        assert world.gate.waited == []
        assert world.gate.identified == []

    run_virtual(scenario())


def test_a_node_that_nobody_waited_for_is_identified_at_the_next_barrier() -> None:
    async def scenario() -> None:
        world = World.of()
        world.gate.answers = {"n2": "peer-new"}
        await world.network["n2"].restart(wait=False)
        assert (world.gate.waited, world.gate.identified) == ([], [])
        await world.network.ops.barrier(ReadinessSpec())
        assert world.gate.identified == [(("n2",), "ready after a step that did not wait")]
        assert world.network["n2"].handle.identity.peer_id == "peer-new"
        await world.network.ops.barrier(ReadinessSpec())
        assert len(world.gate.identified) == 1

    run_virtual(scenario())


def test_a_changed_identity_reaches_the_inventory_and_its_listeners_and_keeps_the_id() -> None:
    async def scenario() -> None:
        world = World.of()
        seen: list[int] = []
        end = world.network.live.subscribe(lambda inventory: seen.append(inventory.revision))
        world.gate.answers = {"n0": "peer-new"}
        await world.network["n0"].restart()
        assert world.network["n0"].handle.identity.peer_id == "peer-new"
        assert seen == [1]
        end()
        end()
        await world.network["n0"].restart()
        assert seen == [1]

    run_virtual(scenario())


def test_an_older_inventory_never_replaces_a_newer_one() -> None:
    world = run_virtual(_world())
    older = world.network.inventory
    newer = older.merged([])
    newest = newer.merged([])
    assert world.network.live.accept(newest)
    assert not world.network.live.accept(newer)
    assert not world.network.live.accept(older)
    assert world.network.inventory is newest


async def _world() -> World:
    return World.of()


def test_a_failing_operation_is_told_as_failed_and_is_not_waited_for() -> None:
    async def scenario() -> None:
        world = World.of()
        world.controls["n0"].fails["restart"] = OperationFailed("it would not die", node="n0")
        with pytest.raises(OperationFailed):
            await world.network["n0"].restart()
        [ended] = world.told(OperationEnded)
        assert isinstance(ended, OperationEnded)
        assert (ended.outcome, ended.reason) == ("failed", "it would not die")
        assert world.gate.waited == []

    run_virtual(scenario())


def test_a_node_that_does_not_come_back_is_an_error_of_the_operation() -> None:
    async def scenario() -> None:
        world = World.of()
        world.gate.refuses = NotReady("it never answered", node="n0")
        with pytest.raises(NotReady):
            await world.network["n0"].start()
        [ended] = world.told(OperationEnded)
        assert isinstance(ended, OperationEnded)
        assert ended.outcome == "failed"

    run_virtual(scenario())


def test_a_cancelled_operation_is_told_as_cancelled() -> None:
    async def scenario() -> None:
        world = World.of()
        world.controls["n0"].slow = 60.0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await world.network["n0"].stop()
        [ended] = world.told(OperationEnded)
        assert isinstance(ended, OperationEnded)
        assert (ended.outcome, ended.after) == ("cancelled", 1.0)
        await world.network.ops.close()

    run_virtual(scenario())


def test_what_a_cancelled_caller_began_ends_before_the_next_operation_on_the_node() -> None:
    """An order that is under way may arrive late: it must not undo the one that came after it."""

    async def scenario() -> None:
        world = World.of()
        world.controls["n0"].slow = 2.0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await world.network["n0"].kill()
        assert world.controls["n0"].present == "running"
        starting = asyncio.create_task(world.network["n0"].start())
        await asyncio.sleep(1.5)
        assert world.controls["n0"].present == "stopped", "the kill was carried through before the start began"
        await starting
        assert world.cluster.acts == [("n0", "kill"), ("n0", "start")]
        assert world.controls["n0"].present == "running"

    run_virtual(scenario())


def test_a_caller_who_is_cancelled_before_its_turn_begins_nothing() -> None:
    async def scenario() -> None:
        world = World.of()
        world.controls["n0"].slow = 2.0
        first = asyncio.create_task(world.network["n0"].restart())
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await world.network["n0"].kill()
        await first
        await asyncio.sleep(5.0)
        assert world.cluster.acts == [("n0", "restart")]

    run_virtual(scenario())


def test_the_end_of_a_run_ends_what_nobody_waits_for() -> None:
    async def scenario() -> None:
        world = World.of()
        world.controls["n0"].slow = 60.0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await world.network["n0"].kill()
        await world.network.ops.close()
        assert world.controls["n0"].present == "running"
        assert len(asyncio.all_tasks()) == 1

    run_virtual(scenario())


def test_operations_on_one_node_come_one_after_another_but_a_wait_does_not_block_them() -> None:
    async def scenario() -> None:
        world = World.of()
        world.controls["n0"].slow, world.gate.takes = 2.0, 30.0
        clock = SystemClock()
        begun = clock.now()
        async with asyncio.TaskGroup() as group:
            group.create_task(world.network["n0"].restart())
            group.create_task(world.network["n0"].pause())
            await asyncio.sleep(3.9)
            assert world.controls["n0"].present == "running"
            await asyncio.sleep(0.2)
            assert world.controls["n0"].present == "paused"
        assert clock.now() - begun == 32.0

    run_virtual(scenario())


def test_patches_build_on_each_other_and_are_seen_by_peers() -> None:
    async def scenario() -> None:
        world = World.of(2)
        await world.network["n0"].patch({"a": 1})
        await world.network["n0"].patch({"b": 2})
        await world.network["n1"].patch({"c": 3})
        last = world.controls["n0"].launches[-1]
        assert last.args == ("--a=1", "--b=2", "--kept=1", "--peer=n0:a,b,kept", "--peer=n1:kept")
        assert "--peer=n0:a,b,kept" in world.controls["n1"].launches[-1].args
        plan = world.network.ops.binding("n0").plan
        assert plan is not None
        assert plan.config == {"kept": 1, "a": 1, "b": 2}

    run_virtual(scenario())


def test_a_patch_that_failed_is_not_built_upon() -> None:
    async def scenario() -> None:
        world = World.of(1)
        world.controls["n0"].fails["apply"] = OperationFailed("refused", node="n0")
        with pytest.raises(OperationFailed):
            await world.network["n0"].patch({"a": 1})
        world.controls["n0"].fails.clear()
        await world.network["n0"].patch({"b": 2})
        assert world.controls["n0"].launches[-1].args[:2] == ("--b=2", "--kept=1")

    run_virtual(scenario())


def test_config_that_the_kind_refuses_never_reaches_the_node() -> None:
    async def scenario() -> None:
        world = World.of(1)
        with pytest.raises(RuntimeFailure, match="refuses this config") as refused:
            await world.network["n0"].patch({"bad": 1})
        assert refused.value.evidence == ("bad: is not known",)
        assert world.acts == []

    run_virtual(scenario())


def test_a_borrowed_node_cannot_be_patched_even_where_it_is_granted() -> None:
    async def scenario() -> None:
        world = World.of({"n0": [origin(OriginClass.ATTACHED, granted=ALL_CAPABILITIES)]})
        with pytest.raises(RuntimeFailure, match="did not launch"):
            await world.network["n0"].patch({"a": 1})
        assert world.acts == []

    run_virtual(scenario())


def test_a_control_that_lacks_what_its_origin_claims_is_a_plain_error() -> None:
    async def scenario() -> None:
        world = World.of(1)
        key = ("managed", "managed-source")
        object.__setattr__(world.network.ops.binding("n0"), "controls", {key: NoControl()})
        with pytest.raises(RuntimeFailure, match="cannot 'kill'"):
            await world.network["n0"].kill()

    run_virtual(scenario())


def test_a_protocol_that_the_kind_does_not_speak_is_named_with_those_it_does() -> None:
    async def scenario() -> None:
        world = World.of(1)
        assert world.network["n0"].speaks(KeyValue)
        with pytest.raises(ProtocolUnsupported, match="does not speak ChainReader") as refused:
            world.network["n0"].client(ChainReader)
        assert refused.value.hint is not None
        assert "KeyValue" in refused.value.hint
        object.__setattr__(world.network.ops.binding("n0"), "client", PlainClient("n0"))
        assert not world.network["n0"].speaks(KeyValue)

    run_virtual(scenario())


def test_a_node_that_does_not_exist_is_named_with_the_nearest() -> None:
    world = run_virtual(_world())
    with pytest.raises(NodeNotFound) as missing:
        world.network["n11"]
    assert missing.value.hint == "did you mean 'n1'?"
    assert missing.value.evidence == ("nodes: n0, n1, n2",)


def test_logs_and_exec_reach_the_control() -> None:
    async def scenario() -> None:
        world = World.of(1)
        world.controls["n0"].lines = ["a", "b", "c"]
        assert await world.network["n0"].logs(tail=2) == ["b", "c"]
        assert (await world.network["n0"].exec(["ls", "/"])).stdout == "ls /"
        assert [type(e) for e in world.cluster.events] == [OperationStarted, OperationEnded]

    run_virtual(scenario())
