"""Control over one node that is a process of this machine.

Operations on one node take turns. Each leaves a consistent state behind when it is cancelled: the process, the ledger
and what is told about them are changed together, without a pause between.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nodeyard._aio import poll
from nodeyard.domain import events
from nodeyard.domain.capability import Capability
from nodeyard.domain.launch_plan import LaunchPlan, NodePlan
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import OperationFailed, ProvisioningFailed
from nodeyard.ports.ledger import LedgerEntry
from nodeyard.ports.node_control import ExecResult, Launched, NodeState
from nodeyard.ports.plugins import PluginContext
from nodeyard.providers._clients import node_files, process
from nodeyard.providers._clients.netns.namespace import Namespace
from nodeyard.providers._clients.netns.shaper import Shaper
from nodeyard.providers._clients.netns.shaping import Shaping
from nodeyard.providers._clients.process_child import Child, spawn
from nodeyard.providers._clients.process_run import run_briefly
from nodeyard.providers.deployer.local import folders, logfile
from nodeyard.providers.deployer.local.environment import node_environment
from nodeyard.providers.deployer.local.isolation import NOT_ISOLATED
from nodeyard.providers.deployer.local.options import LocalOptions
from nodeyard.providers.deployer.local.resources import (
    BY,
    COMMAND,
    PAUSED,
    PROCESS,
    SECRETS,
    LocalPlace,
    process_data,
)

FORCED = 10.0
"""Seconds for SIGKILL or SIGSTOP to take effect: milliseconds, unless the process is inside a call to a dead disk."""
LAST_LINES = 12
STOPPED = "T"
"""The state letter of a process that was stopped by a signal."""


@dataclass
class Run:
    """What all controls of one deployer share. ``closed``: nothing may be started any more."""

    options: LocalOptions
    context: PluginContext
    closed: bool = False
    programs: dict[str, str] = field(default_factory=dict)


class LocalControl(Shaping):
    """One node. Implements every optional protocol of ``ports.node_control``."""

    def __init__(self, node: NodePlan, place: LocalPlace, run: Run) -> None:
        self.place = place
        self.launch: LaunchPlan | None = None
        self._node = node
        self._run = run
        self._child: Child | None = None
        self._asked_to_end = False
        self._frozen: LedgerEntry | None = None
        self._turn = asyncio.Lock()
        context = run.context
        self.shaper = Shaper(node.name, BY, context.ledger, context.clock, self._namespace, context.environment)

    def missing(self) -> Mapping[Capability, str]:
        return {} if self.place.namespace is not None else {Capability.NETWORK: NOT_ISOLATED}

    async def address(self) -> str:
        return self.place.address

    async def _namespace(self) -> Namespace | None:
        return self.place.namespace

    def _inside(self, argv: Sequence[str]) -> tuple[str, ...]:
        """The command line that runs ``argv`` where the node's network is."""
        return self.place.namespace.inside(argv) if self.place.namespace is not None else tuple(argv)

    async def state(self) -> NodeState:
        child = self._child
        if child is None:
            return NodeState("stopped")
        known = None if child.ended else process.facts(child.pid)
        if known is None or known.ended:
            status = await child.wait()
            return NodeState("stopped" if self._asked_to_end else "exited", status=status)
        return NodeState("paused" if known.state == STOPPED else "running", locator=self._locator(child))

    async def exited(self) -> NodeState:
        if self._child is not None:
            await self._child.wait()
        return await self.state()

    async def start(self) -> None:
        async with self._operation("start"):
            if self._asked_to_end and self._running() is not None:  # an end that was cut short: see it through
                self.end_now()
                await self._ended("start")
            if self._running() is None:
                await self._begin()

    async def stop(self) -> None:
        async with self._operation("stop"):
            await self._end_gracefully()

    async def restart(self) -> None:
        async with self._operation("restart"):
            await self._end_gracefully()
            await self._begin()

    async def apply(self, launch: LaunchPlan) -> None:
        async with self._operation("patch"):
            await self._end_gracefully()
            self.launch = launch
            await self._begin()

    async def kill(self) -> None:
        async with self._operation("kill"):
            self.end_now()
            await self._ended("kill")

    async def pause(self) -> None:
        async with self._operation("pause"):
            child = self._running()
            if child is None:
                raise self._failed("pause", "is not running, so it cannot be paused", "start it first")
            if self._frozen is None:
                self._frozen = await self._run.context.ledger.record(
                    BY, PAUSED, node=self._node.name, data=process_data(child.id), inverse=True
                )
            child.signal_group(signal.SIGSTOP)
            await self._until_state("pause", lambda state: state == STOPPED)

    async def resume(self) -> None:
        async with self._operation("resume"):
            child = self._running()
            if child is None:
                raise self._failed("resume", "is not running, so it cannot be resumed", "start it first")
            child.signal_group(signal.SIGCONT)
            await self._until_state("resume", lambda state: state != STOPPED)
            self._thawed()

    async def launched(self) -> Launched:
        child = self._running()
        args = process.arguments(child.pid) if child is not None else ()
        before = self._inside(())
        args = args[len(before) :] if before and args[: len(before)] == before else args  # it is just becoming the node
        files = self.launch.files if self.launch is not None else ()
        return Launched(args[1:], node_files.digests(self.place.folder / "config", [file.path for file in files]))

    async def wipe(self) -> None:
        async with self._operation("wipe"):
            if self._running() is not None:
                raise self._failed("wipe", "runs, so its data folder cannot be wiped", "stop it first")
            try:
                await asyncio.to_thread(folders.empty_data, self.place.folder, self._run.context.mark)
            except OSError as error:
                raise self._failed(
                    "wipe", f"{error.filename} could not be removed: {error.strerror}", "whose is that file?"
                ) from error

    async def data_entries(self) -> int:
        return len(os.listdir(self.place.data_dir))

    async def logs(self, *, tail: int | None = None) -> Sequence[str]:
        return logfile.output(self.place.log_files, tail)

    async def exec(self, argv: Sequence[str], *, timeout: float) -> ExecResult:
        ledger = self._run.context.ledger
        entry = await ledger.record(BY, COMMAND, node=self._node.name, data={})
        try:
            done = await run_briefly(self._inside(argv), cwd=self._cwd, env=self._environment(), timeout=timeout)
        except TimeoutError:
            raise self._failed("exec", f"'{argv[0]}' did not end within {timeout:g}s", "give it more time") from None
        except OSError as error:
            reason = error.strerror or str(error)
            raise self._failed(
                "exec", f"'{argv[0]}' cannot be run: {reason}", "name a program of this machine"
            ) from error
        # Not settled when it was cut short: then a child of it may live on, and the entry is what finds that.
        ledger.settle(entry)
        return ExecResult(done.code, done.stdout, done.stderr)

    async def launch_first(self) -> None:
        """The start of bootstrap: as ``start``, but a failure is one of provisioning. Raises ``ProvisioningFailed``."""
        async with self._turn:
            if self._running() is None:
                await self._begin()

    async def _begin(self) -> None:
        """Start with the present launch plan. Raises ``ProvisioningFailed``. Only for whoever has the turn."""
        launch = self.launch
        if launch is None:
            raise self._unstartable("has no launch plan yet", "a node can be started once the network was brought up")
        program = self._run.programs.get(self._node.name, launch.program)
        argv = (program, *launch.args)
        environment = self._environment()
        await self._write_files(launch)
        ledger = self._run.context.ledger
        entry = await ledger.record(BY, PROCESS, node=self._node.name, data={"program": program})
        if self._run.closed:
            raise self._unstartable("is not started: its network is being taken down", "start a new run")
        # From here to the end nothing waits: a process without its pid in the ledger exists only if we are killed now.
        child = self._spawn(argv, environment)
        ledger.amend(entry, process_data(child.id))
        self._child, self._asked_to_end = child, False
        self._run.context.emit(events.NodeStarted(node=self._node.name, locator=self._locator(child), argv=argv))

    def end_now(self) -> None:
        """Kill the whole process group. Returns before it has ended; needs no turn."""
        if (child := self._running()) is not None:
            self._asked_to_end = True
            child.signal_group(signal.SIGKILL)

    async def close(self, *, within: float) -> None:
        """Wait for the end after ``end_now``, then stop watching in any case."""
        if (child := self._running()) is not None:
            try:
                async with asyncio.timeout(within):
                    await child.wait()
            except TimeoutError:
                child.release()  # its entry stays open, and whoever carries out the ledger says so

    @property
    def _cwd(self) -> Path:
        return Path(self.place.data_dir)

    def _running(self) -> Child | None:
        return self._child if self._child is not None and not self._child.ended else None

    @staticmethod
    def _locator(child: Child) -> str:
        return f"pid:{child.pid}"

    def _environment(self) -> Mapping[str, str]:
        return node_environment(self._node, self.launch, self._run.options.inherit, self._run.context)

    @asynccontextmanager
    async def _operation(self, name: str) -> AsyncIterator[None]:
        async with self._turn:
            try:
                yield
            except ProvisioningFailed as error:
                raise OperationFailed(
                    error.message, node=self._node.name, operation=name, evidence=error.evidence, hint=error.hint
                ) from error

    async def _write_files(self, launch: LaunchPlan) -> None:
        secret = [file.path for file in launch.files if file.secret]
        if secret:
            data = {"folder": str(self.place.folder), "paths": secret}
            await self._run.context.ledger.record(BY, SECRETS, node=self._node.name, data=data)
        node_files.write_files(self.place.folder / "config", launch.files, node=self._node.name)
        node_files.write_missing(Path(self.place.data_dir), launch.initial, node=self._node.name)

    def _spawn(self, argv: Sequence[str], environment: Mapping[str, str]) -> Child:
        opened: list[int] = []
        try:
            for path in self.place.log_files:  # one by one, so that the first is closed if the second cannot be opened
                opened += [os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)]
            return spawn(
                self._inside(argv),
                cwd=self._cwd,
                env=environment,
                stdout=opened[0],
                stderr=opened[1],
                on_end=self._on_end,
            )
        except OSError as error:
            raise ProvisioningFailed(
                f"'{argv[0]}' cannot be started: {error.strerror or error}",
                node=self._node.name,
                operation="start",
                evidence=[f"in {self._cwd}"],
                hint="try the program by hand; 'nodeyard preflight' checks it too",
            ) from error
        finally:
            for fd in opened:
                os.close(fd)

    def _on_end(self, status: str) -> None:
        """Called by the loop: there is no step to raise to, so what keeps it from being told ends the run."""
        self._thawed()
        ended = events.NodeExited(
            node=self._node.name,
            status=status,
            expected=self._asked_to_end,
            last_lines=tuple(logfile.output(self.place.log_files, LAST_LINES)),
        )
        try:
            self._run.context.emit(ended)
        except NodeyardError as error:
            self._run.context.give_up(error)

    async def _end_gracefully(self) -> None:
        child = self._running()
        if child is None:
            return
        policy = self.launch.stop if self.launch else LaunchPlan("", "", ()).stop
        self._asked_to_end = True
        child.signal(policy.signal)
        child.signal_group(signal.SIGCONT)  # a frozen process takes the signal only when it goes on
        try:
            async with asyncio.timeout(self._run.options.stop_grace or policy.grace):
                await child.wait()
        except TimeoutError:
            child.signal_group(signal.SIGKILL)
            await self._ended("stop")

    async def _ended(self, operation: str) -> None:
        if (child := self._running()) is None:
            return
        try:
            async with asyncio.timeout(FORCED):
                await child.wait()
        except TimeoutError:
            raise self._failed(
                operation, f"did not end within {FORCED:g}s of SIGKILL", "is its disk or network mount gone?"
            ) from None

    async def _until_state(self, operation: str, wanted: Callable[[str], bool]) -> None:
        async def look() -> poll.Done[None] | str:
            known = process.facts(child.pid) if (child := self._running()) else None
            if known is None or known.ended:
                raise self._failed(operation, f"ended before it could {operation}", "see its last lines")
            return poll.Done(None) if wanted(known.state) else known.state

        clock = self._run.context.clock
        try:
            await poll.until(look, clock=clock, deadline=clock.now() + FORCED, pace=poll.Pace(first=0.0005))
        except poll.Timeout as late:
            raise self._failed(operation, f"is still in state {late.last} after {FORCED:g}s", "try it again") from None

    def _thawed(self) -> None:
        if self._frozen is not None:
            self._run.context.ledger.settle(self._frozen)
            self._frozen = None

    def _failed(self, operation: str, fact: str, hint: str) -> OperationFailed:
        lines = logfile.output(self.place.log_files, LAST_LINES)
        return OperationFailed(fact, node=self._node.name, operation=operation, evidence=lines, hint=hint)

    def _unstartable(self, fact: str, hint: str) -> ProvisioningFailed:
        return ProvisioningFailed(fact, node=self._node.name, operation="start", hint=hint)
