"""One run from its folder to its verdict: what ``run``, ``up`` and ``open_network`` share.

Lives here: the order in which things are opened, used and closed. Must not live here: what bootstrap and steps do,
how a run is ended and taken down (``finishing``), and signals (``signals``).
"""

from __future__ import annotations

import asyncio
import socket
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from random import SystemRandom
from typing import Any

from nodeyard._aio.clock import Clock, SystemClock
from nodeyard.app.config import Keep, Secrets, Settings
from nodeyard.app.finishing import Finisher, RunResult
from nodeyard.app.function_checks import check_functions
from nodeyard.app.provenance import versions_document
from nodeyard.app.reaper_link import ReaperLink
from nodeyard.app.registry import Registry
from nodeyard.app.run_folder import RunFolder, make_run_folder, new_run_id
from nodeyard.app.spec_loader import LoadedScenario, dump_resolved
from nodeyard.app.wiring import Wires, bootstrap_request, check_labels, step_labels
from nodeyard.bootstrap.orchestrator import Orchestrator
from nodeyard.bootstrap.plan_view import plan_document
from nodeyard.domain import events
from nodeyard.domain.history import HistoryRecord
from nodeyard.domain.node_inventory import NodeInventory
from nodeyard.errors.base import InternalError, Interrupted, NodeyardError
from nodeyard.errors.runtime import DeadlineExceeded
from nodeyard.kinds._http import HttpTransport
from nodeyard.ledger.gate import ReaperGate
from nodeyard.ledger.host import new_mark, this_process
from nodeyard.ledger.ledger import FileLedger
from nodeyard.ledger.state import Header
from nodeyard.observability.bus import EventBus
from nodeyard.observability.files import inventory_event, write_json, write_text
from nodeyard.observability.history_file import HistoryFile
from nodeyard.observability.journal import Journal
from nodeyard.observability.redaction import Redactor
from nodeyard.observability.summary import repeat_command, why_command
from nodeyard.ports.deployer import CanHandOver
from nodeyard.ports.observer import Observer
from nodeyard.ports.plugins import close_all
from nodeyard.runtime.bounded import Overran, bounded
from nodeyard.runtime.exits import ExitWatch
from nodeyard.runtime.fault_watch import FaultWatch
from nodeyard.runtime.history import History
from nodeyard.runtime.network import LiveNetwork
from nodeyard.runtime.scenario_runtime import RuntimeRequest, ScenarioRuntime
from nodeyard.runtime.steps.faulting import FaultScheduler

SEEDS = 2**31
"""A seed that nobody chose is below this, so that a person can type it."""


@dataclass(frozen=True)
class SessionRequest:
    """What a run is. ``repeat`` are the options of the command that repeats it, beside file and seed; ``on_network`` is
    told the inventory once the network is up.
    """

    loaded: LoadedScenario
    settings: Settings
    registry: Registry
    seed: int | None = None
    observers: Sequence[Observer] = ()
    repeat: Sequence[str] = ()
    on_network: Callable[[NodeInventory], None] | None = None
    clock: Clock = field(default_factory=SystemClock)


class Session:
    """One run. ``async with session.opened(): await session.start(); ...; await session.finish(failure)``."""

    def __init__(self, request: SessionRequest) -> None:
        self._request = request
        self._clock = request.clock
        spec = request.loaded.spec
        chosen = request.seed if request.seed is not None else spec.seed
        self.seed = chosen if chosen is not None else SystemRandom().randrange(SEEDS)
        self.spec = spec.model_copy(update={"seed": self.seed})
        self._loaded = replace(request.loaded, spec=self.spec)
        self.exits = ExitWatch()
        self.faults = FaultWatch(self._clock)
        self.redactor = Redactor()
        self.runtime: ScenarioRuntime | None = None
        self.network: LiveNetwork | None = None
        self._working: asyncio.Task[None] | None = None
        self._interrupted_by = ""
        self._given_up: NodeyardError | None = None
        self._cancelled: asyncio.CancelledError | None = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Session]:
        """Folder, journal, ledger, reaper and transport. Raises ``RunFolderUnusable``; then nothing was made."""
        request, settings = self._request, self._request.settings
        clock = self._clock
        self.folder = make_run_folder(settings.output, lambda: new_run_id(self.spec.name, clock.utc()))
        self.run_id = self.folder.run
        self.began = clock.utc()
        self.deadline = clock.now() + self.spec.deadline
        secrets = Secrets(settings.environment, self._loaded.base)
        secrets.learned = self.redactor.add
        write_text(self.folder.scenario, dump_resolved(self.spec))
        journal = Journal(self.folder.journal, clock=clock, redactor=self.redactor)
        try:
            self.emit = EventBus(journal, [self.exits, self.faults, *request.observers])
            started = self._run_started(self.folder)
            self.history_file = HistoryFile(self.folder.history, redactor=self.redactor)
            self.history = History(clock, start=journal.zero, sink=self._keep_call)
            gate = ReaperGate()
            self.ledger = FileLedger(settings.state, self._header(), gate=gate)
            try:
                environment = settings.environment
                self.link = ReaperLink(self.ledger, gate, clock=clock, environment=environment, emit=self.emit)
                async with self.link, HttpTransport(secrets, self._loaded.base) as transport:
                    self.emit(started)  # from its first word on, a run has a process that watches over it
                    self._wire(transport, secrets)
                    try:
                        yield self
                    finally:
                        await close_all((self.bootstrap.deployer, self.bootstrap.attach))
            finally:
                self.ledger.abandon()
        finally:
            journal.close()

    def _keep_call(self, record: HistoryRecord) -> None:
        self.history_file.record(record)
        self.emit.record(record)

    def _wire(self, transport: HttpTransport, secrets: Secrets) -> None:
        request = self._request
        wires = Wires(
            mark=self.ledger.mark,
            folder=self.folder.path,
            ledger=self.ledger,
            clock=self._clock,
            emit=self.emit,
            transport=transport,
            secrets=secrets,
            seed=self.seed,
            deadline=self.deadline,
            give_up=self.give_up,
        )
        self.bootstrap = bootstrap_request(self._loaded, request.settings, request.registry, wires)
        self.orchestrator = Orchestrator(self.bootstrap)
        self._finisher = Finisher(self, request.registry.removers(transport), request.settings.keep)

    def _header(self) -> Header:
        return Header(
            mark=new_mark(self.run_id),
            runner=this_process(),
            folder=str(self.folder.path),
            scenario=str(self._loaded.path.absolute()),
            started=self._clock.utc(),
            base=str(self._loaded.base),
        )

    def _run_started(self, folder: RunFolder) -> events.RunStarted:
        settings = self._request.settings
        output = None if settings.default_output else str(settings.output)
        options = [*self._request.repeat, *(("--output", output) if output is not None else ())]
        self.repeat = repeat_command(str(self._loaded.path), self.seed, options)
        self.why = why_command(folder.run, output=output)
        return events.RunStarted(
            run=folder.run,
            scenario=self.spec.name,
            seed=self.seed,
            version=version("nodeyard"),
            host=socket.gethostname(),
            pid=this_process().pid,
            repeat=self.repeat,
            why=self.why,
        )

    async def start(self) -> LiveNetwork:
        """The nine bootstrap steps, by the deadline of the run. Raises the errors of bootstrap and providers."""
        await self._write_plan()
        await check_functions(self._loaded)
        ended = await bounded(self.orchestrator.run(), clock=self._clock, deadline=self.deadline)
        if isinstance(ended, Overran):
            if isinstance(ended.error, NodeyardError):
                raise ended.error
            raise DeadlineExceeded(
                "the run's deadline passed during bootstrap",
                operation="bootstrap",
                hint="raise 'deadline:' of the scenario, or see in the journal what bootstrap was waiting for",
            )
        network = LiveNetwork(
            ended.value,
            gate=self.orchestrator.gate,
            clock=self._clock,
            emit=self.emit,
            readiness=self.spec.readiness,
            deadline=self.deadline,
        )
        self.network = network
        self.publish_inventory()
        if self._request.on_network is not None:
            self._request.on_network(network.inventory)
        self.runtime = ScenarioRuntime(self._runtime_request(network))
        return network

    async def _write_plan(self) -> None:
        plan = await plan_document(
            self.bootstrap, run=self.run_id, steps=step_labels(self.spec), checks=check_labels(self.spec)
        )
        write_json(self.folder.plan, plan, self.redactor)

    async def _write_versions(self) -> None:
        """What the run is made with. After the network is up, because hashing programs takes a moment."""
        document = await asyncio.to_thread(versions_document, self.orchestrator, self.orchestrator.programs)
        write_json(self.folder.versions, document, self.redactor)

    def _runtime_request(self, network: LiveNetwork) -> RuntimeRequest:
        registry = self._request.registry
        return RuntimeRequest(
            steps=self.spec.all_steps,
            expectations=self.spec.expectations,
            operations=registry.operations,
            checkers=registry.expectations,
            workloads=registry.workloads,
            fault_schedule=FaultScheduler(registry.faults),
            base=self._loaded.base,
            history=self.history,
            network=network,
            exits=self.exits,
            faults=self.faults,
            clock=self._clock,
            emit=self.emit,
            seed=self.seed,
            deadline=self.deadline,
        )

    def publish_inventory(self) -> None:
        """Write ``inventory.json`` and tell the inventory as it stands."""
        inventory = self.network.inventory if self.network is not None else self.orchestrator.network.inventory
        told = inventory_event(inventory)
        document = {"run": self.run_id, "revision": told.revision, "nodes": told.nodes}
        write_json(self.folder.inventory, document, self.redactor)
        self.emit(told)

    async def run(self) -> RunResult:
        """The whole scenario inside ``opened``: bootstrap, steps, expectations, evidence, cleanup, verdict.

        Raises cancellation only, after everything was taken down.
        """
        failure = await self.supervise(self._scenario())
        result = await self.finish(failure)
        self.pass_on_cancellation()
        return result

    async def supervise(self, work: Coroutine[Any, Any, None]) -> NodeyardError | None:
        """Do ``work`` until it ends or is interrupted; returns what ended it. A cancellation of the caller is kept
        for ``pass_on_cancellation``, so that cleanup comes first.
        """
        self._working = asyncio.create_task(work, name="session-work")
        if self._interrupted_by or self._given_up:
            self._working.cancel()
        while not self._working.done():
            try:
                await asyncio.wait({self._working})
            except asyncio.CancelledError as error:
                self._cancelled = error
                self._working.cancel()
        return self._given_up or self.failure_of(_outcome_of(self._working))

    def pass_on_cancellation(self) -> None:
        """Raise the cancellation that ``supervise`` kept, if there was one."""
        if self._cancelled is not None:
            raise self._cancelled

    async def _scenario(self) -> None:
        await self.start()
        if self.runtime is None:
            raise InternalError("bootstrap ended without a runtime")
        await self._write_versions()
        self.emit(events.PhaseStarted(phase="steps"))
        await self.runtime.run_steps()
        self.emit(events.PhaseStarted(phase="expectations"))
        await self.runtime.evaluate()

    async def finish(self, failure: NodeyardError | None) -> RunResult:
        """Evidence, cleanup, verdict and reports, although the caller may be cancelled meanwhile."""
        return await self._finisher.finish(failure)

    async def hand_over(self, ttl: float) -> None:
        """Leave the network running under the reaper's care for ``ttl`` seconds. Raises ``ReaperUnavailable``."""
        if self.network is not None:
            await self.network.ops.close()
        if isinstance(self.bootstrap.deployer, CanHandOver):
            await self.bootstrap.deployer.hand_over(ttl)
        await self.link.detach(ttl)
        self.emit(events.RunDetached(ttl=ttl, reaper=self.link.pid or 0))

    def interrupt(self, by: str) -> None:
        """Ask the run to end: its work is cancelled, evidence and cleanup follow. A second call changes nothing."""
        self._interrupted_by = self._interrupted_by or by
        if self._working is not None:
            self._working.cancel()

    def give_up(self, error: NodeyardError) -> None:
        """End the run's work with this error, which no node is to blame for; evidence and cleanup follow."""
        self._given_up = self._given_up or error
        if self._working is not None:
            self._working.cancel()

    def abort(self, by: str) -> None:
        """Write down that this run was ended at once; the reaper carries out the ledger when this process has gone."""
        self._finisher.write_aborted(self.interrupted(by))

    def interrupted(self, by: str = "") -> Interrupted:
        """The error of a run that a person ended."""
        return Interrupted(
            f"ended by {by or self._interrupted_by or 'cancellation'}",
            hint="what the run made is taken down; 'nodeyard ps' shows runs that still stand",
        )

    def failure_of(self, error: BaseException | None) -> NodeyardError | None:
        """What ended the run, as a typed error; a defect leaves its traceback in the run's folder."""
        if error is None or isinstance(error, NodeyardError):
            return error
        if isinstance(error, asyncio.CancelledError | KeyboardInterrupt):
            return self.interrupted()
        text = "".join(traceback.format_exception(error))
        try:
            write_text(self.folder.traceback, self.redactor.text(text))
            where = f"its traceback is in {self.folder.traceback}"
        except NodeyardError:
            where = f"on Python {sys.version.split()[0]}"
        return InternalError(f"{type(error).__name__}: {error}", evidence=[where], hint="please report this defect")


def _outcome_of(task: asyncio.Task[None]) -> BaseException | None:
    return asyncio.CancelledError() if task.cancelled() else task.exception()


__all__ = ["Keep", "RunResult", "Session", "SessionRequest"]
