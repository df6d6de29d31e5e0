"""The readiness barrier in virtual time: what opens it, what ends it early, what it says when it fails."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from nodeyard._aio.clock import SystemClock
from nodeyard.bootstrap.readiness import Barrier, Watched
from nodeyard.domain import policy
from nodeyard.domain.node_client import Identification, Probe, Rung
from nodeyard.domain.node_handle import OriginClass
from nodeyard.errors.bootstrap import IdentityConflict, NodeExited, NotReady
from nodeyard.errors.provider import NodeUnreachable
from nodeyard.ports.node_control import NoControl, NodeState
from nodeyard.testing import run_virtual


@dataclass
class Client:
    """Answers well from ``ready_at`` seconds on; ``flaps`` are attempts that fail again."""

    ready_at: float = 0.0
    hangs: bool = False
    fatal: str | None = None
    flaps: frozenset[int] = frozenset()
    attempts: int = 0
    born: float | None = None

    async def probe(self, *, timeout: float) -> Probe:
        self.attempts += 1
        if self.born is None:
            self.born = asyncio.get_running_loop().time()
        if self.hangs:
            await asyncio.sleep(timeout)
            return Probe(False, Rung.PORT_OPEN, "no answer in time")
        if self.fatal:
            return Probe(False, Rung.PEERS, "another network", fatal=self.fatal)
        good = asyncio.get_running_loop().time() >= self.born + self.ready_at and self.attempts not in self.flaps
        return Probe(good, Rung.HEIGHT if good else Rung.ALIVE, "height 3" if good else "connection refused")

    async def identify(self, *, timeout: float) -> Identification:
        raise AssertionError("the barrier asks through on_answer")


@dataclass
class Control(NoControl):
    """A process that ends after ``ends_after`` seconds."""

    ends_after: float | None = None
    lines: tuple[str, ...] = ()

    async def exited(self) -> NodeState:
        if self.ends_after is None:
            await asyncio.Event().wait()
        await asyncio.sleep(self.ends_after or 0.0)
        return NodeState("exited", status="exit status 2")

    async def logs(self, *, tail: int | None = None) -> tuple[str, ...]:
        return self.lines[-(tail or len(self.lines)) :] if self.lines else ()


@dataclass
class Case:
    """A barrier over some nodes, with what it told."""

    nodes: list[Watched]
    spec: policy.ReadinessSpec = field(default_factory=policy.ReadinessSpec)
    told: list[object] = field(default_factory=list)
    on_answer: object = None
    undiscovered: int = 0

    async def wait(self) -> tuple[str, ...]:
        clock = SystemClock()
        members = [policy.Member(OriginClass.MANAGED if n.managed else OriginClass.EXTERNAL, n.id) for n in self.nodes]
        members += [policy.Member(OriginClass.ATTACHED, None)] * self.undiscovered
        barrier = Barrier(
            nodes=self.nodes,
            demands=policy.needs(self.spec, members),
            spec=self.spec,
            clock=clock,
            emit=self.told.append,
            deadline=clock.now() + self.spec.timeout,
            exit_is_fatal=policy.lost_managed_is_fatal(self.spec),
            on_answer=self.on_answer,
        )
        self.started = clock.now()
        try:
            return await barrier.wait()
        finally:
            self.took = clock.now() - self.started


def quorum(least: int) -> policy.ReadinessSpec:
    return policy.ReadinessSpec(policy="quorum", min=least)


def test_opens_when_all_are_ready():
    case = Case([Watched("a", Client(1.0), NoControl()), Watched("b", Client(3.0), NoControl())])
    assert run_virtual(case.wait()) == ("a", "b")
    assert 3.0 <= case.took < 3.5


def test_needs_consecutive_good_probes():
    client = Client(flaps=frozenset({2, 4, 6}))
    case = Case([Watched("a", client, NoControl())], policy.ReadinessSpec(consecutive=3))
    run_virtual(case.wait())
    assert client.attempts == 9


def test_a_quorum_does_not_wait_for_the_rest():
    case = Case([Watched("a", Client(1.0), NoControl()), Watched("b", Client(50.0), NoControl())], quorum(1))
    assert run_virtual(case.wait()) == ("a",)
    assert case.took < 1.5


def test_a_managed_exit_ends_the_wait_at_once_under_every_policy():
    control = Control(ends_after=2.0, lines=("first", "panic: no"))
    for spec in (policy.ReadinessSpec(), quorum(1)):
        case = Case([Watched("a", Client(99.0), control, managed=True), Watched("b", Client(50.0), NoControl())], spec)
        with pytest.raises(NodeExited) as caught:
            run_virtual(case.wait())
        assert case.took == pytest.approx(2.0)
        assert caught.value.node == "a"
        assert "exit status 2" in caught.value.message
        assert caught.value.evidence == ("first", "panic: no")


def test_a_ready_node_that_exits_before_the_barrier_counts_as_exited():
    case = Case(
        [Watched("a", Client(0.0), Control(ends_after=2.0), managed=True), Watched("b", Client(50.0), NoControl())]
    )
    with pytest.raises(NodeExited):
        run_virtual(case.wait())
    assert case.took == pytest.approx(2.0)


def test_source_aware_with_a_lowered_minimum_survives_an_exit():
    spec = policy.ReadinessSpec(policy="source-aware", managed=1)
    case = Case(
        [
            Watched("a", Client(99.0), Control(ends_after=1.0), managed=True),
            Watched("b", Client(5.0), Control(), managed=True),
        ],
        spec,
    )
    assert run_virtual(case.wait()) == ("b",)


def test_the_time_is_up_names_every_laggard_its_rung_and_its_last_lines():
    case = Case(
        [
            Watched("a", Client(0.0), NoControl()),
            Watched("b", Client(999.0), Control(lines=("waiting",))),
            Watched("c", Client(hangs=True), NoControl()),
        ],
        policy.ReadinessSpec(timeout="5s"),
    )
    with pytest.raises(NotReady) as caught:
        run_virtual(case.wait())
    assert case.took == pytest.approx(5.0)
    text = str(caught.value)
    assert "b: reached 'alive'; last answer: connection refused" in text
    assert "b log: waiting" in text
    assert "c: reached 'port open'; last answer: no answer in time" in text
    assert "(1 of 3 nodes ready)" in text


def test_proof_of_another_network_ends_the_wait_at_once():
    case = Case(
        [Watched("a", Client(fatal="it is in network 7"), NoControl()), Watched("b", Client(99.0), NoControl())]
    )
    with pytest.raises(NotReady, match="it is in network 7"):
        run_virtual(case.wait())
    assert case.took < 0.1


def test_undiscovered_members_make_all_impossible():
    case = Case([Watched("a", Client(0.0), NoControl())], undiscovered=1)
    with pytest.raises(NotReady, match="only 1 can still become ready"):
        run_virtual(case.wait())


def test_silence_at_identification_is_asked_again_and_conflicts_end_the_wait():
    asked: list[str] = []

    async def on_answer(node: str) -> None:
        asked.append(node)
        if len(asked) < 3:
            raise NodeUnreachable("not yet")

    case = Case([Watched("a", Client(0.0), NoControl())], on_answer=on_answer)
    assert run_virtual(case.wait()) == ("a",)
    assert asked == ["a"] * 3

    async def conflict(node: str) -> None:
        raise IdentityConflict("two at one place")

    with pytest.raises(IdentityConflict):
        run_virtual(Case([Watched("a", Client(0.0), NoControl())], on_answer=conflict).wait())


def test_why_a_node_that_answers_was_never_identified_is_told():
    async def on_answer(node: str) -> None:
        raise NodeUnreachable("tells no peer_id")

    case = Case([Watched("a", Client(0.0), NoControl())], on_answer=on_answer)
    with pytest.raises(NotReady) as raised:
        run_virtual(case.wait())
    assert "a: who it is could not be found out: tells no peer_id" in raised.value.evidence


def test_cancellation_ends_all_watching():
    async def main() -> None:
        case = Case([Watched("a", Client(999.0), Control(), managed=True)])
        task = asyncio.create_task(case.wait())
        await asyncio.sleep(1.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(asyncio.all_tasks()) == 1

    run_virtual(main())


def test_only_changes_are_told():
    case = Case([Watched("a", Client(20.0), NoControl())])
    run_virtual(case.wait())
    assert [type(e).__name__ for e in case.told] == ["NodeProbed", "NodeProbed", "NodeReady"]
