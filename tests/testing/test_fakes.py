"""The fakes behave as the ports say, and what a test scripts is what happens."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from nodeyard.domain.capability import Capability
from nodeyard.domain.launch_plan import AT_RUN, Endpoint, LaunchPlan, NodePlan, Place
from nodeyard.domain.node_client import CompareAndSet, KeyValue, PeerView, ReportsHeight, ReportsRole, Rung, StateDigest
from nodeyard.domain.policy import NetworkPins
from nodeyard.domain.sources import Auth
from nodeyard.errors.bootstrap import ReaperUnavailable
from nodeyard.errors.provider import (
    AuthenticationFailed,
    DiscoveryFailed,
    NodeAnswerInvalid,
    NodeTimeout,
    NodeUnreachable,
    OperationFailed,
    ProvisioningFailed,
)
from nodeyard.ports.kind import CanJoin, JoinPoint, JoinRequest, NodeKind, RenderRequest
from nodeyard.ports.ledger import RemovalContext
from nodeyard.ports.node_control import PROTOCOL_OF, ExecResult, NodeState, ReportsExit, supported_by
from nodeyard.ports.plugins import PluginContext
from nodeyard.testing import (
    TEST_MARK,
    FakeAttachOptions,
    FakeAttachPlugin,
    FakeClient,
    FakeDeployer,
    FakeKind,
    FakeRemover,
    FakeSecrets,
    FakeTransport,
    FakeWorld,
    MemoryLedger,
    VirtualClock,
    context,
    run_virtual,
)


def plans(*names: str) -> list[NodePlan]:
    return [NodePlan(name, "fake", index, 0, ports=FakeKind.ports) for index, name in enumerate(names)]


def rendered(world: FakeWorld, nodes: list[NodePlan], places: Mapping[str, Place]) -> list[LaunchPlan]:
    kind = FakeKind(world)
    material = kind.material(nodes, mark=TEST_MARK, seed=7, pins=NetworkPins())
    peers = [(node, places[node.name]) for node in nodes]
    return [kind.render(RenderRequest(n, places[n.name], peers, (), material)) for n in nodes]


async def started(world: FakeWorld, given: PluginContext, *names: str) -> FakeDeployer:
    deployer = FakeDeployer(world, given)
    nodes = plans(*names)
    assert FakeKind.program is not None
    assert await deployer.resolve(nodes, {"fake": FakeKind.program}) == []
    plan = deployer.plan(nodes)
    assert {place.advertise("api") for place in plan.places.values()} == {AT_RUN}
    places = await deployer.provision(plan)
    await deployer.start(rendered(world, nodes, places))
    return deployer


def client(world: FakeWorld, deployer: FakeDeployer, name: str) -> FakeClient:
    return FakeKind(world).client(lambda port: deployer.endpoint(name, port), FakeTransport())


def at(world: FakeWorld, url: str, auth: Auth | None = None) -> FakeClient:
    return FakeKind(world).client(lambda _: Endpoint(url, auth), FakeTransport())


def test_the_client_and_the_kind_implement_what_they_list() -> None:
    found = at(FakeWorld(), "http://a.fake:8000")
    assert all(isinstance(found, protocol) for protocol in FakeKind.protocols)
    assert set(FakeKind.protocols) == {KeyValue, CompareAndSet, ReportsHeight, ReportsRole, StateDigest, PeerView}
    kind: NodeKind = FakeKind()
    assert isinstance(kind, CanJoin)
    assert kind.config_problems({"block-time": 1, "hight": 2})[0][0] == "hight"


def test_a_managed_network_lives_and_goes(tmp_path: Path) -> None:
    world = FakeWorld(blocks_per_second=2.0)

    async def body() -> None:
        given = context(tmp_path)
        deployer = await started(world, given, "n0", "n1", "n2")
        n0, n2 = client(world, deployer, "n0"), client(world, deployer, "n2")
        assert (await n0.probe(timeout=1)).ready
        assert (await n0.identify(timeout=1)).network.id == "fake-test-run"
        assert await n0.put("k", "v", timeout=1) == 1
        assert (await n2.get("k", timeout=1)).value == "v"
        assert not await n2.compare_and_set("k", "other", "w", timeout=1)
        assert await n2.compare_and_set("k", "v", "w", timeout=1)
        assert await n0.digest(timeout=1) == await n2.digest(timeout=1)
        assert [await n0.role(timeout=1), await n2.role(timeout=1)] == ["leader", "follower"]
        assert await n0.peers(timeout=1) == ("peer-n1", "peer-n2")
        before = await n0.height(timeout=1)
        await asyncio.sleep(10)
        assert await n0.height(timeout=1) == before + 20
        assert [path.name for path in deployer.log_files("n0")] == ["output.log"]
        assert await deployer.destroy() == []
        assert given.ledger.open_entries() == ()
        assert not any(node.alive for node in world.nodes.values())
        assert await deployer.destroy() == []

    run_virtual(body())


def test_every_capability_of_a_control_is_supported_and_can_be_taken_away(tmp_path: Path) -> None:
    world = FakeWorld()
    world.node("n1").cannot(Capability.EXEC, "no shell")

    async def body() -> None:
        deployer = await started(world, context(tmp_path), "n0", "n1")
        assert supported_by(deployer.control("n0")) == frozenset(PROTOCOL_OF)
        assert supported_by(deployer.control("n1")) == frozenset(PROTOCOL_OF) - {Capability.EXEC}
        assert isinstance(deployer.control("n0"), ReportsExit)

    run_virtual(body())


def test_lifecycle_acts_change_the_world(tmp_path: Path) -> None:
    world = FakeWorld()
    world.node("n0").changes_identity_on_restart().changes_port_on_restart()

    async def body() -> None:
        given = context(tmp_path)
        deployer = await started(world, given, "n0")
        control, talk = deployer.control("n0"), client(world, deployer, "n0")
        first = (await talk.identify(timeout=1)).peer_id
        await control.restart()
        assert (await talk.identify(timeout=1)).peer_id not in (None, first)
        assert world.at("http://n0.fake:8000") is None
        await control.pause()
        [entry] = [e for e in given.ledger.open_entries() if e.inverse]
        assert entry.by == "deployer:fake"
        with pytest.raises(NodeTimeout):
            await talk.get("k", timeout=2)
        await control.resume()
        assert [e for e in given.ledger.open_entries() if e.inverse] == []
        await control.kill()
        assert await control.state() == NodeState("stopped", f"pid {world.node('n0').pid}", "killed by SIGKILL")
        await control.start()
        await control.start()
        assert world.node("n0").starts == 3
        world.node("n0").answers_exec(["id"], ExecResult(3, "", "no"))
        assert (await control.exec(["id"], timeout=1)).status == 3
        assert (await control.exec(["echo", "x"], timeout=1)).stdout == "echo x\n"
        assert await control.logs(tail=1) == ("n0 started as peer-n0-3",)
        assert await control.logs(tail=0) == ()

    run_virtual(body())


def test_an_exit_is_an_event_and_ends_at_the_scripted_time(tmp_path: Path) -> None:
    world = FakeWorld()
    world.node("n0").fails_at_boot(status=2, last_lines=["no disk"], after=0.5)

    async def body() -> None:
        deployer = await started(world, context(tmp_path), "n0")
        began = VirtualClock().now()
        state = await deployer.control("n0").exited()
        assert (state.state, state.status) == ("exited", "exit status 2")
        assert VirtualClock().now() - began == pytest.approx(0.5)
        assert (await deployer.control("n0").logs(tail=1)) == ("no disk",)
        assert await deployer.control("n0").exited() == state

    run_virtual(body())


def test_a_stubborn_node_takes_its_grace(tmp_path: Path) -> None:
    world = FakeWorld()
    world.node("n0").ignores_stop()

    async def body() -> None:
        deployer = await started(world, context(tmp_path), "n0")
        began = VirtualClock().now()
        await deployer.control("n0").stop()
        assert VirtualClock().now() - began == pytest.approx(5.0, abs=0.1)
        assert (await deployer.control("n0").state()).status == "killed by SIGKILL"

    run_virtual(body())


@pytest.mark.parametrize("step", ["provision", "start"])
def test_provisioning_fails_on_demand_and_is_in_the_ledger_first(tmp_path: Path, step: str) -> None:
    world = FakeWorld()
    world.node("n1").fails_at(step, "no room")

    async def body() -> None:
        given = context(tmp_path)
        with pytest.raises(ProvisioningFailed, match="n1: no room"):
            await started(world, given, "n0", "n1")
        assert {entry.node for entry in given.ledger.open_entries()} == {"n0", "n1"}

    run_virtual(body())


@pytest.mark.parametrize("step", ["stop", "kill", "pause", "resume", "logs"])
def test_operations_fail_on_demand_until_the_node_recovers(tmp_path: Path, step: str) -> None:
    world = FakeWorld()

    async def body() -> None:
        deployer = await started(world, context(tmp_path), "n0")
        act = getattr(deployer.control("n0"), step)
        world.node("n0").fails_at(step, "broken")
        with pytest.raises(OperationFailed, match="broken"):
            await act()
        world.node("n0").recovers()
        await act()

    run_virtual(body())


def test_a_refused_ledger_means_that_nothing_is_made(tmp_path: Path) -> None:
    world = FakeWorld()
    ledger = MemoryLedger()
    ledger.fails_with(ReaperUnavailable("no reaper"), after=1)

    async def body() -> None:
        with pytest.raises(ReaperUnavailable):
            await started(world, context(tmp_path, ledger=ledger), "n0", "n1")

    run_virtual(body())
    assert world.node("n1").mark is None
    assert [entry.node for entry in ledger.recorded()] == ["n0"]


def test_what_cannot_be_removed_is_told_and_stays_in_the_ledger(tmp_path: Path) -> None:
    world = FakeWorld()

    async def body() -> None:
        given = context(tmp_path)
        deployer = await started(world, given, "n0", "n1")
        world.node("n0").fails_at("destroy", "held")
        assert await deployer.destroy() == ["node n0: held"]
        assert [entry.node for entry in given.ledger.open_entries()] == ["n0"]

    run_virtual(body())


def test_the_remover_leaves_what_another_run_marked(tmp_path: Path) -> None:
    world = FakeWorld()

    async def body() -> None:
        given = context(tmp_path)
        await started(world, given, "n0")
        world.node("n0").mark = "other-run@h@b"
        clock = VirtualClock()
        removal = RemovalContext(TEST_MARK, clock, FakeSecrets(), clock.now() + 5)
        outcomes = await FakeRemover(world).remove(given.ledger.open_entries(), removal)
        assert [getattr(o, "absent", None) for o in outcomes.values()] == [True]
        assert world.node("n0").alive

    run_virtual(body())


def test_readiness_climbs_the_ladder(tmp_path: Path) -> None:
    world = FakeWorld()
    world.node("n0").ready_after(4)

    async def body() -> None:
        deployer = await started(world, context(tmp_path), "n0")
        talk = client(world, deployer, "n0")
        rungs = []
        for _ in range(3):
            rungs.append((await talk.probe(timeout=1)).rung)
            await asyncio.sleep(2)
        assert rungs == [Rung.NOTHING, Rung.PORT_OPEN, Rung.HEIGHT]
        world.node("n0").can_never_be_ready("another network")
        assert (await talk.probe(timeout=1)).fatal == "another network"

    run_virtual(body())


def test_the_network_stands_still_without_a_majority() -> None:
    world = FakeWorld()

    async def body() -> None:
        a, _b, c = world.running("a", "b", "c")
        talk = at(world, a.url)
        c.killed()
        assert await talk.put("k", "v", timeout=1) == 1
        world.node("b").killed()
        height = await talk.height(timeout=1)
        await asyncio.sleep(60)
        assert await talk.height(timeout=1) == height
        with pytest.raises(NodeTimeout):
            await talk.put("k", "w", timeout=1)
        assert (await talk.get("k", timeout=1, local=True)).value == "v"
        assert await talk.role(timeout=1) is None
        assert not (await talk.probe(timeout=1)).ready

    run_virtual(body())


def test_bad_nodes_answer_badly() -> None:
    world = FakeWorld()
    world.running("html", "locked", "silent", "gone", "apart")

    async def body() -> None:
        world.node("html").talks_nonsense()
        world.node("locked").demands_auth("bearer")
        world.node("silent").hangs()
        world.node("gone").killed()
        world.node("apart").diverges()
        expected = {
            "html": NodeAnswerInvalid,
            "locked": AuthenticationFailed,
            "silent": NodeTimeout,
            "gone": NodeUnreachable,
        }
        for name, error in expected.items():
            with pytest.raises(error):
                await at(world, f"http://{name}.fake:8000").identify(timeout=1)
            assert not (await at(world, f"http://{name}.fake:8000").probe(timeout=1)).ready
        key = Auth.model_validate({"bearer": "env:TOKEN"})
        opened = await at(world, "http://locked.fake:8000", key).identify(timeout=1)
        assert opened.network.auth == "bearer"
        apart, whole = at(world, "http://apart.fake:8000"), at(world, "http://locked.fake:8000", key)
        assert await apart.digest(timeout=1) != await whole.digest(timeout=1)

    run_virtual(body())


def test_a_lagging_node_stands_still_until_it_catches_up() -> None:
    world = FakeWorld()
    world.running("a", "b", "c")

    async def body() -> None:
        a, b = at(world, "http://a.fake:8000"), at(world, "http://b.fake:8000")
        world.node("b").lags()
        await a.put("k", "v", timeout=1)
        await asyncio.sleep(10)
        assert (await b.get("k", timeout=1, local=True)).value is None
        assert await a.height(timeout=1) > await b.height(timeout=1)
        world.node("b").lags(False)
        assert (await b.get("k", timeout=1, local=True)).value == "v"
        assert await a.digest(timeout=1) == await b.digest(timeout=1)

    run_virtual(body())


def test_one_node_has_many_addresses() -> None:
    world = FakeWorld()
    [node] = world.running("a")
    world.alias("http://localhost:2379", "a")
    assert world.at("http://127.0.0.1:2379") is node
    assert world.at("http://127.0.0.1:2380") is None


def test_discovery_whole_partial_empty_and_failing(tmp_path: Path) -> None:
    world = FakeWorld()
    world.running("a", "b")

    async def body() -> None:
        given = context(tmp_path)
        provider = FakeAttachPlugin(world).create(FakeAttachOptions(), given)
        found = await provider.discover()
        assert [(node.name, node.kind, node.exclusive) for node in found.nodes] == [
            ("a", "fake", True),
            ("b", "fake", True),
        ]
        assert provider.endpoint("a", "api").url == "http://a.fake:8000"
        with pytest.raises(KeyError):
            provider.endpoint("z", "api")
        with pytest.raises(NodeUnreachable):
            provider.endpoint("a", "peer")
        world.node("b").killed()
        named = FakeAttachPlugin(world).create(FakeAttachOptions(nodes=("a", "b")), given)
        partial = await named.discover()
        assert (len(partial.nodes), partial.problems) == (1, ("b does not run",))
        world.node("a").killed()
        assert (await provider.discover()).nodes == ()
        world.discovery_failure = "no permission"
        with pytest.raises(DiscoveryFailed, match="no permission"):
            await provider.discover()

    run_virtual(body())


def test_joining_and_leaving_a_borrowed_network(tmp_path: Path) -> None:
    world = FakeWorld()
    world.running("a", "b", "c")

    async def body() -> None:
        given = context(tmp_path)
        kind, deployer = FakeKind(world), FakeDeployer(world, given)
        [plan] = plans("n0")
        places = await deployer.provision(deployer.plan([plan]))
        through = [JoinPoint("a", lambda _: Endpoint("http://a.fake:8000"))]
        deadline = given.clock.now() + 10
        request = JoinRequest(plan, places["n0"], through, given.transport, given.ledger, given.clock, deadline)
        ticket = await kind.join(request)
        material = kind.material([plan], mark=TEST_MARK, seed=1, pins=NetworkPins())
        launch = kind.render(RenderRequest(plan, places["n0"], [(plan, places["n0"])], (), material, ticket))
        await deployer.start([launch])
        talk = client(world, deployer, "n0")
        assert (await talk.identify(timeout=1)).network.id == "fake-net"
        assert await talk.role(timeout=1) == "learner"
        await kind.admit(request, ticket)
        assert await talk.role(timeout=1) == "follower"
        [entry] = [e for e in given.ledger.open_entries() if e.by == "kind:fake"]
        removal = RemovalContext(TEST_MARK, given.clock, given.secrets, deadline)
        for absent in (False, True):
            outcome = (await kind.remover(given.transport).remove([entry], removal))[entry.id]
            assert getattr(outcome, "absent", None) is absent
        assert world.network().members == {"a", "b", "c"}
        assert kind.join_problem(borrowed=3, joining=4)
        assert not kind.join_problem(borrowed=3, joining=3)

    run_virtual(body())


def test_a_node_that_nobody_registered_does_not_stay(tmp_path: Path) -> None:
    world = FakeWorld()

    async def body() -> None:
        deployer = FakeDeployer(world, context(tmp_path))
        await deployer.provision(deployer.plan(plans("n0")))
        await deployer.start([LaunchPlan("n0", "fake-node", ("--network", "x", "--join", "n0"))])
        assert (await deployer.control("n0").state()).status == "exit status 1"
        assert (await deployer.control("n0").logs(tail=1)) == ("not a member of x",)

    run_virtual(body())


def test_the_transport_answers_what_was_scripted() -> None:
    transport = FakeTransport()
    transport.reply("GET", "http://x:1/health", json={"n": 1}).reply("GET", "http://x:1/health", json={"n": 2})
    transport.reply("GET", "http://x:1/slow", text="late", delay=5)
    transport.reply("GET", "http://x:1/closed", status=403)
    transport.reply("GET", "http://x:1/broken", error=NodeUnreachable("reset"))
    endpoint = Endpoint("http://x:1/")

    async def body() -> None:
        answers = [(await transport.request(endpoint, "GET", "/health", timeout=1)).json() for _ in range(3)]
        assert answers == [{"n": 1}, {"n": 2}, {"n": 2}]
        for path, error in (
            ("/slow", NodeTimeout),
            ("/closed", AuthenticationFailed),
            ("/broken", NodeUnreachable),
            ("/other", NodeUnreachable),
        ):
            with pytest.raises(error):
                await transport.request(endpoint, "GET", path, timeout=1)
        assert (await transport.request(endpoint, "GET", "/slow", timeout=6)).text == "late"
        assert await transport.port_open(endpoint, timeout=1)
        assert not await transport.port_open(Endpoint("http://y:1"), timeout=1)
        assert transport.requests[0].url == "http://x:1/health"

    run_virtual(body())
