"""The conformance suite of deployers: what every one must do, whatever its nodes are.

Subclass ``DeployerConformance`` in a test module under a name that starts with ``Test`` and say how to set a ``Stage``.
The suite brings the tests; pytest collects them. A test of a capability that the plugin does not promise is empty.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast, get_args

from nodeyard.domain.capability import Capability
from nodeyard.domain.events import Event, NodeExited, NodeStarted
from nodeyard.domain.network_rules import Effect, NetworkRule
from nodeyard.domain.sources import DeployerOptions
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.bootstrap import ReaperUnavailable
from nodeyard.ports.ledger import Removed
from nodeyard.ports.node_control import NodeControl, NodeState, supported_by
from nodeyard.testing.conformance_stage import LAST_WORD, OTHER_WORD, WORD, OnStage, Stage, WatchedLedger


class DeployerConformance(OnStage):
    """What every deployer must do."""

    # -- what it is ---------------------------------------------------------------------------------------------------

    def test_the_plugin_says_what_it_is(self) -> None:
        assert self.plugin.name
        assert self.plugin.summary
        assert issubclass(self.plugin.options, DeployerOptions)
        word = self.plugin.options.model_fields["type"].annotation
        assert get_args(word) == (self.plugin.name,), "the options' type is a Literal of the plugin's name"

    def test_resolving_and_planning_create_nothing(self) -> None:
        async def act(stage: Stage, ledger: WatchedLedger, told: list[Event]) -> None:
            assert not await stage.deployer.resolve(stage.nodes, stage.programs)
            plan = stage.deployer.plan(stage.nodes)
            again = stage.deployer.plan(stage.nodes)
            assert (plan.nodes, plan.resources, plan.programs) == (again.nodes, again.resources, again.programs)
            assert plan.resources, "people want to see what would be made"
            names = {node.name for node in stage.nodes}
            assert set(plan.places) == set(plan.programs) == names
            assert not ledger.history
            assert not told
            assert not stage.remains()

        self._on_stage(act)

    def test_a_node_that_cannot_run_is_a_problem_that_names_it(self) -> None:
        async def act(stage: Stage, ledger: WatchedLedger, told: list[Event]) -> None:
            problems = await stage.deployer.resolve([*stage.nodes, stage.unrunnable], stage.programs)
            assert len(problems) == 1
            assert stage.unrunnable.name in problems[0]

        self._on_stage(act)

    # -- lifecycle ----------------------------------------------------------------------------------------------------

    def test_provisioning_reserves_a_place_for_every_node_and_starts_none(self) -> None:
        async def act(stage: Stage, ledger: WatchedLedger, told: list[Event]) -> None:
            await stage.provision()
            addresses = [stage.places[node.name].listen(p.name) for node in stage.nodes for p in node.ports]
            reached = [stage.places[node.name].advertise(p.name) for node in stage.nodes for p in node.ports]
            assert len(set(reached)) == len(reached) == len(addresses)
            for node in stage.nodes:
                control = stage.deployer.control(node.name)
                assert control is stage.deployer.control(node.name)
                assert not (await control.state()).alive
                assert supported_by(control) <= self.plugin.capabilities
                _raises(KeyError, partial(stage.places[node.name].listen, "no-such-port"))
            assert ledger.open_entries()
            assert {entry.by for entry in ledger.open_entries()} == {f"deployer:{self.plugin.name}"}

        self._on_stage(act)

    def test_started_nodes_run_are_told_and_print(self) -> None:
        async def act(stage: Stage, ledger: WatchedLedger, told: list[Event]) -> None:
            await stage.up()
            for node in stage.nodes:
                state = await stage.deployer.control(node.name).state()
                assert state.state == "running"
                assert state.locator
                assert [e.locator for e in told if isinstance(e, NodeStarted) and e.node == node.name] == [
                    state.locator
                ]
                for port in node.ports:
                    assert "://" in stage.deployer.endpoint(node.name, port.name).url
                await self._prints(stage.deployer.control(node.name), WORD)

        self._on_stage(act)

    async def _prints(self, control: NodeControl, word: str) -> None:
        async def there() -> bool:
            return any(word in line for line in await cast(Any, control).logs(tail=20))

        if self._promises(Capability.LOGS):
            await self._until(there)

    def test_an_end_is_an_event_and_its_last_words_are_kept(self) -> None:
        async def act(stage: Stage, ledger: WatchedLedger, told: list[Event]) -> None:
            await stage.provision()
            await stage.deployer.start(stage.launches(stage.failing))
            control = self._first(stage)
            async with asyncio.timeout(self.patience):
                state = await control.exited()
            assert (state.state, state.status) == ("exited", "exit status 3")
            (end,) = (e for e in told if isinstance(e, NodeExited) and e.node == stage.nodes[0].name)
            assert not end.expected
            assert any(LAST_WORD in line for line in end.last_lines)
            await self._prints(control, LAST_WORD)
            async with asyncio.timeout(self.patience):
                assert await control.exited() == state, "a past end is told at once"

        self._on_stage(act)

    def test_stop_and_kill_end_a_node_and_may_be_repeated(self) -> None:
        async def act(stage: Stage, ledger: WatchedLedger, told: list[Event]) -> None:
            await stage.up()
            control = self._first(stage)
            for end in (control.stop, control.kill):
                await control.start()
                await end()
                await end()
                assert (await control.state()).state == "stopped"
            ends = [e for e in told if isinstance(e, NodeExited) and e.node == stage.nodes[0].name]
            assert [e.expected for e in ends] == [True, True]
            other = await stage.deployer.control(stage.nodes[1].name).state()
            assert other.state == "running", "the other node was not touched"

        if self._promises(Capability.STOP, Capability.KILL, Capability.START):
            self._on_stage(act)

    def test_a_restart_keeps_the_address_and_starting_twice_is_starting_once(self) -> None:
        async def act(stage: Stage, ledger: WatchedLedger, told: list[Event]) -> None:
            await stage.up()
            control, node = self._first(stage), stage.nodes[0]
            before = [stage.places[node.name].advertise(p.name) for p in node.ports]
            first = await control.state()
            await control.start()
            assert (await control.state()) == first
            await control.restart()
            second = await control.state()
            assert second.state == "running"
            assert second.locator != first.locator
            assert [stage.places[node.name].advertise(p.name) for p in node.ports] == before

        if self._promises(Capability.RESTART, Capability.START):
            self._on_stage(act)

    def test_pausing_freezes_until_resumed_and_is_in_the_ledger(self) -> None:
        async def act(stage: Stage, ledger: WatchedLedger, told: list[Event]) -> None:
            await stage.up()
            control = self._first(stage)
            for _ in range(2):
                await control.pause()
                assert (await control.state()).state == "paused"
            (inverse,) = (entry for entry in ledger.open_entries() if entry.inverse)
            assert stage.exists(inverse)
            for _ in range(2):
                await control.resume()
                assert (await control.state()).state == "running"
            assert not any(entry.inverse for entry in ledger.open_entries())
            await control.pause()
            await control.stop()
            assert (await control.state()).state == "stopped"
            assert not any(entry.inverse for entry in ledger.open_entries())

        if self._promises(Capability.PAUSE, Capability.STOP):
            self._on_stage(act)

    def test_a_new_launch_plan_takes_effect(self) -> None:
        async def act(stage: Stage, ledger: WatchedLedger, told: list[Event]) -> None:
            await stage.up()
            control, node = self._first(stage), stage.nodes[0]
            await control.apply(stage.other(node, stage.places[node.name]))
            assert (await control.state()).state == "running"
            await self._prints(control, OTHER_WORD)

        if self._promises(Capability.PATCH):
            self._on_stage(act)

    def test_rules_on_a_network_take_effect_are_in_the_ledger_and_go(self) -> None:
        async def act(stage: Stage, ledger: WatchedLedger, told: list[Event]) -> None:
            await stage.up()
            control, other = self._first(stage), cast(Any, stage.deployer.control(stage.nodes[1].name))
            if Capability.NETWORK not in supported_by(control):
                assert control.missing()[Capability.NETWORK], "what is missing has a reason"
                return
            there = await other.address()
            look = partial(control.echo, there, count=5, size=56, within=0.5)
            assert len((await look()).times) == 5
            rule = NetworkRule(Effect.CUT, (there,))
            for _ in range(2):
                await control.shape("conformance", [rule])
                assert await control.shaped("conformance")
            assert not (await look()).times
            (inverse,) = (entry for entry in ledger.open_entries() if entry.inverse)
            assert inverse.node == stage.nodes[0].name
            for _ in range(2):
                await control.unshape("conformance")
                assert not await control.shaped("conformance")
            assert len((await look()).times) == 5
            assert not any(entry.inverse for entry in ledger.open_entries())

        if self._promises(Capability.NETWORK):
            self._on_stage(act)

    def test_an_on_demand_node_starts_when_it_is_asked_to(self) -> None:
        async def act(stage: Stage, ledger: WatchedLedger, told: list[Event]) -> None:
            await stage.provision()
            first, *others = stage.launches(stage.lasting)
            await stage.deployer.start(others)
            stage.deployer.prepare(first)
            control = self._first(stage)
            assert await control.state() == NodeState("stopped")
            await control.start()
            assert (await control.state()).state == "running"

        if self._promises(Capability.START):
            self._on_stage(act)

    def test_operations_on_one_node_take_turns(self) -> None:
        async def act(stage: Stage, ledger: WatchedLedger, told: list[Event]) -> None:
            await stage.up()
            control = self._first(stage)
            await asyncio.gather(control.restart(), control.kill(), control.start(), control.restart(), control.stop())
            assert (await control.state()).state == "stopped"
            await asyncio.gather(control.start(), control.start())
            mine = [e for e in told if isinstance(e, NodeStarted | NodeExited) and e.node == stage.nodes[0].name]
            assert [type(e) for e in mine] == [NodeStarted, NodeExited] * (len(mine) // 2) + [NodeStarted]

        if self._promises(Capability.START, Capability.STOP, Capability.RESTART, Capability.KILL):
            self._on_stage(act)

    # -- removal ------------------------------------------------------------------------------------------------------

    def test_destroying_is_always_permitted_and_may_be_repeated(self) -> None:
        async def nothing(stage: Stage) -> None:
            assert await stage.deployer.destroy() == []

        async def all_of_it(stage: Stage) -> None:
            await stage.up()

        for before in (nothing, Stage.provision, all_of_it):

            async def act(
                stage: Stage,
                ledger: WatchedLedger,
                told: list[Event],
                before: Callable[[Stage], Awaitable[None]] = before,
            ) -> None:
                await before(stage)
                for _ in range(2):
                    assert list(await stage.deployer.destroy()) == []
                    assert not ledger.open_entries()
                    assert not stage.remains()

            self._on_stage(act)

    def test_nothing_starts_after_destroying(self) -> None:
        async def act(stage: Stage, ledger: WatchedLedger, told: list[Event]) -> None:
            await stage.up()
            await stage.deployer.destroy()
            hint: str | None = None
            try:
                await self._first(stage).start()
            except NodeyardError as error:
                hint = error.hint
            assert hint, "starting a node of a network that was taken down is refused, with a hint"

        if self._promises(Capability.START):
            self._on_stage(act)

    def test_without_an_entry_nothing_is_made(self) -> None:
        """Let the ledger refuse its first, second, ... entry, until a whole start goes through."""
        refused = True
        for granted in range(100):

            async def act(stage: Stage, ledger: WatchedLedger, told: list[Event], granted: int = granted) -> None:
                nonlocal refused
                ledger.fails_with(ReaperUnavailable("no reaper acknowledged"), after=granted)
                try:
                    await stage.up()
                except* ReaperUnavailable:
                    known = {entry.node for entry in ledger.open_entries()}
                    assert {e.node for e in told if isinstance(e, NodeStarted)} <= known
                else:
                    refused = False
                assert list(await stage.deployer.destroy()) == []
                assert not stage.remains()

            if refused:
                self._on_stage(act)
        assert not refused

    def test_a_cancelled_start_leaves_nothing_behind(self) -> None:
        for steps in (0, 1, 2, 3, 5, 8, 13, 21, 34):

            async def act(stage: Stage, ledger: WatchedLedger, told: list[Event], steps: int = steps) -> None:
                task = asyncio.ensure_future(stage.up())
                for _ in range(steps):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                assert list(await stage.deployer.destroy()) == []
                assert not stage.remains()

            self._on_stage(act)

    def test_a_cancelled_operation_leaves_a_node_that_can_be_used(self) -> None:
        wanted = (Capability.PAUSE, Capability.RESTART, Capability.STOP, Capability.START)
        for name in ("restart", "pause", "stop"):
            for steps in (1, 2, 3, 5, 8):

                async def act(
                    stage: Stage, ledger: WatchedLedger, told: list[Event], name: str = name, steps: int = steps
                ) -> None:
                    await stage.up()
                    control = self._first(stage)
                    task = asyncio.ensure_future(getattr(control, name)())
                    for _ in range(steps):
                        await asyncio.sleep(0)
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)
                    await control.stop()
                    await control.start()
                    assert (await control.state()).state == "running"

                if self._promises(*wanted):
                    self._on_stage(act)

    def test_a_start_sees_an_end_through_that_was_cut_short(self) -> None:
        for steps in (1, 3, 6):

            async def act(stage: Stage, ledger: WatchedLedger, told: list[Event], steps: int = steps) -> None:
                await stage.up()
                control = self._first(stage)
                task = asyncio.ensure_future(control.kill())
                for _ in range(steps):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await control.start()
                ended = asyncio.ensure_future(control.exited())
                await asyncio.wait({ended}, timeout=0.3)
                assert not ended.done(), "what the cut kill had begun came after the start"
                ended.cancel()

            if self._promises(Capability.KILL, Capability.START):
                self._on_stage(act)

    def test_the_remover_needs_only_the_entries(self) -> None:
        async def act(stage: Stage, ledger: WatchedLedger, told: list[Event]) -> None:
            await stage.up()
            entries = ledger.open_entries()
            for turn in range(2):
                outcomes = await self.plugin.remover().remove(entries, self._removal(ledger.mark))
                assert set(outcomes) == {entry.id for entry in entries}
                for entry in entries:
                    outcome = outcomes[entry.id]
                    assert isinstance(outcome, Removed), outcome
                    assert outcome.absent or turn == 0
                assert not stage.remains()
            async with asyncio.timeout(self.patience):
                assert not (await self._first(stage).exited()).alive

        self._on_stage(act)

    def test_the_remover_leaves_what_carries_another_mark(self) -> None:
        async def act(stage: Stage, ledger: WatchedLedger, told: list[Event]) -> None:
            await stage.up()
            there = sorted(stage.remains())
            # An entry may name what belongs to another run; the mark on the resource itself decides.
            await self.plugin.remover().remove(ledger.open_entries(), self._removal(self.mark("c-other")))
            assert sorted(stage.remains()) == there
            for node in stage.nodes:
                assert (await stage.deployer.control(node.name).state()).state == "running"

        self._on_stage(act)


def _raises(kind: type[Exception], act: Callable[[], object]) -> None:
    try:
        act()
    except kind:
        return
    raise AssertionError(f"{kind.__name__} was expected")
