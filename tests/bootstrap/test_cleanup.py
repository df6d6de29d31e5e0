"""Carrying out a ledger: the order, the time, and removers that fail, hang or say nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeyard.bootstrap.cleanup import OVERTIME, CleanupReport, batches, carry_out, resource_name
from nodeyard.domain.events import CleanupFailed, CleanupStarted, ResourceRemoved
from nodeyard.domain.secrets import Secret
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import CleanupIncomplete
from nodeyard.ports.ledger import LedgerEntry, RemovalContext, Removed, Remover
from nodeyard.testing.recording import TEST_MARK, MemoryLedger, RecordingObserver
from nodeyard.testing.virtual_time import VirtualClock, run_virtual

GONE = Removed(absent=False, detail="pid 5")


class NoSecrets:
    def reveal(self, secret: Secret) -> str:
        raise AssertionError(f"nobody should ask for {secret}")


@dataclass
class Toy:
    """Answers each entry with ``outcome``, after ``act``."""

    outcome: Removed | NodeyardError = GONE
    act: Callable[[RemovalContext], Awaitable[object]] | None = None
    silent: bool = False
    calls: list[tuple[str, ...]] = field(default_factory=list)
    contexts: list[RemovalContext] = field(default_factory=list)

    async def remove(
        self, entries: Sequence[LedgerEntry], context: RemovalContext
    ) -> Mapping[str, Removed | NodeyardError]:
        self.calls.append(tuple(entry.id for entry in entries))
        self.contexts.append(context)
        if self.act is not None:
            await self.act(context)
        return {} if self.silent else {entry.id: self.outcome for entry in entries}


@dataclass
class Story:
    """One ledger that is carried out in virtual time."""

    removers: Mapping[str, Remover | None]
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    seen: RecordingObserver = field(default_factory=RecordingObserver)
    within: float = 10.0
    took: float = 0.0

    def tell(self, *entries: tuple[str, bool]) -> CleanupReport:
        """Record an entry for each ``(by, inverse)``, then carry out."""

        async def act() -> CleanupReport:
            for by, inverse in entries:
                await self.ledger.record(by, "thing", node="n1", data={}, inverse=inverse)
            clock = VirtualClock()
            start = clock.now()
            context = RemovalContext(TEST_MARK, clock, NoSecrets(), start + self.within)
            report = await carry_out(self.ledger, self.removers.get, context, self.seen.see)
            self.took = clock.now() - start
            return report

        return run_virtual(act())


entries = st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=12).map(
    lambda kinds: [LedgerEntry(f"e{i}", f"x:{by}", "t", None, {}, inverse) for i, (by, inverse) in enumerate(kinds)]
)


@settings(deadline=None)
@given(entries)
def test_inverses_go_first_each_newest_first_and_none_is_lost(given_entries: list[LedgerEntry]) -> None:
    inverses, resources = batches(given_entries)
    for stage, wanted in ((inverses, True), (resources, False)):
        assert len({batch.by for batch in stage}) == len(stage)
        for batch in stage:
            assert list(batch.entries) == [
                entry for entry in reversed(given_entries) if (entry.by, entry.inverse) == (batch.by, wanted)
            ]
    assert sum(len(batch.entries) for batch in inverses + resources) == len(given_entries)


def test_what_is_gone_is_settled_and_told() -> None:
    local, kind = Toy(), Toy(outcome=Removed(absent=True))
    story = Story({"deployer:local": local, "kind:etcd": kind})
    report = story.tell(("deployer:local", False), ("kind:etcd", True), ("deployer:local", False))
    assert report.complete
    assert report.error() is None
    assert [entry.id for entry, _ in report.removed] == ["e2", "e3", "e1"]
    assert (kind.calls, local.calls) == ([("e2",)], [("e3", "e1")])
    assert story.ledger.open_entries() == ()
    assert [event.resources for event in story.seen.of(CleanupStarted)] == [3]
    removed = story.seen.of(ResourceRemoved)
    assert [(event.node, event.resource, event.locator) for event in removed] == [
        ("n1", "local thing of n1", "pid 5")
    ] * 2
    assert local.contexts[0].mark == TEST_MARK


def test_an_empty_ledger_is_done() -> None:
    story = Story({})
    assert story.tell() == CleanupReport()
    assert story.seen.names == ["cleanup-started"]


async def _raise(_: RemovalContext) -> None:
    raise RuntimeError("a defect")


async def _refuse(_: RemovalContext) -> None:
    raise CleanupIncomplete("the engine is down")


async def _time_out(_: RemovalContext) -> None:
    raise TimeoutError


async def _hang(_: RemovalContext) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (Toy(outcome=CleanupIncomplete("it would not go")), "it would not go"),
        (Toy(act=_raise), "x:bad failed: RuntimeError: a defect"),
        (Toy(act=_refuse), "the engine is down"),
        (Toy(act=_time_out), "x:bad did not finish in time"),
        (Toy(act=_hang), "x:bad did not finish in time"),
        (Toy(silent=True), "x:bad did not say what became of it"),
        (None, "the plugin 'x:bad' that made it is not installed here"),
    ],
    ids=["outcome", "defect", "error", "timeout", "hanging", "silent", "absent"],
)
def test_a_remover_that_fails_harms_no_other(bad: Toy | None, reason: str) -> None:
    good = Toy()
    story = Story({"x:bad": bad, "x:good": good})
    report = story.tell(("x:good", True), ("x:bad", False), ("x:good", False), ("x:bad", True))
    assert [(entry.id, error.message) for entry, error in report.failed] == [("e4", reason), ("e2", reason)]
    assert good.calls == [("e1",), ("e3",)]
    assert [entry.id for entry in story.ledger.open_entries()] == ["e2", "e4"]
    assert [(event.locator, event.reason) for event in story.seen.of(CleanupFailed)] == [("e4", reason), ("e2", reason)]
    error = report.error()
    assert error
    assert error.message == "2 resources of the run could not be removed"
    assert error.evidence == (f"bad thing of n1: {reason}",) * 2
    assert error.hint


def test_one_resource_is_one_resource() -> None:
    error = Story({}).tell(("x:absent", False)).error()
    assert error
    assert error.message == "1 resource of the run could not be removed"


def test_a_plugin_that_cannot_be_loaded_is_a_reason() -> None:
    def broken(by: str) -> Remover:
        raise CleanupIncomplete(f"{by} cannot be loaded")

    async def act() -> CleanupReport:
        ledger, clock = MemoryLedger(), VirtualClock()
        await ledger.record("x:y", "thing", node=None, data={})
        context = RemovalContext(TEST_MARK, clock, NoSecrets(), clock.now() + 1)
        return await carry_out(ledger, broken, context, lambda _: None)

    ((_, error),) = run_virtual(act()).failed
    assert error.message == "x:y cannot be loaded"


def test_a_borrowed_cluster_that_does_not_answer_leaves_half_of_the_time_for_our_own() -> None:
    hanging, local = Toy(act=_hang), Toy()
    story = Story({"kind:etcd": hanging, "deployer:local": local}, within=10.0)
    report = story.tell(("deployer:local", False), ("kind:etcd", True))
    assert [entry.id for entry, _ in report.failed] == ["e2"]
    assert local.calls == [("e1",)]
    assert story.took == 5.0 + OVERTIME
    assert hanging.contexts[0].deadline == local.contexts[0].deadline - 5.0


def test_after_the_deadline_everybody_still_gets_a_moment() -> None:
    story = Story({"x:y": Toy()}, within=-5.0)
    assert story.tell(("x:y", False)).complete


def test_one_batch_does_not_wait_for_another() -> None:
    arrived: list[str] = []

    def meeting(name: str) -> Toy:
        async def act(_: RemovalContext) -> None:
            arrived.append(name)
            while len(arrived) < 2:
                await asyncio.sleep(0.1)

        return Toy(act=act)

    assert Story({"x:a": meeting("a"), "x:b": meeting("b")}).tell(("x:a", False), ("x:b", False)).complete


def test_cancellation_passes_and_leaves_entries_open() -> None:
    ledger = MemoryLedger()

    async def act() -> None:
        clock = VirtualClock()
        await ledger.record("x:y", "thing", node=None, data={})
        context = RemovalContext(TEST_MARK, clock, NoSecrets(), clock.now() + 60)
        removing = asyncio.create_task(carry_out(ledger, {"x:y": Toy(act=_hang)}.get, context, lambda _: None))
        await asyncio.sleep(1)
        removing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await removing

    run_virtual(act())
    assert len(ledger.open_entries()) == 1


@pytest.mark.parametrize(
    ("by", "node", "name"),
    [
        ("deployer:local", "n1", "local process of n1"),
        ("kind:etcd", None, "etcd process"),
        ("odd", None, "odd process"),
    ],
)
def test_a_resource_has_a_name_for_people(by: str, node: str | None, name: str) -> None:
    assert resource_name(LedgerEntry("e1", by, "process", node)) == name
