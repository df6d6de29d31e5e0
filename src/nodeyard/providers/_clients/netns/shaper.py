"""Puts the rules of one node in force inside its network namespace, reads them back, and takes them away again.

Every change is in the ledger before; ``undo`` carries out such an entry from its data alone, in the session and in the
reaper alike. Only chains with our comment, the tree with our handle and our own process are ever touched.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nodeyard._aio import poll
from nodeyard._aio.clock import Clock
from nodeyard.domain.network_rules import Effect, NetworkRule
from nodeyard.domain.run_identity import MARK_VARIABLE
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import CleanupIncomplete, OperationFailed
from nodeyard.ports.ledger import Json, Ledger, LedgerEntry, RemovalContext, Removed
from nodeyard.ports.node_control import Echo
from nodeyard.providers._clients import process
from nodeyard.providers._clients.netns import delay_program, echo_program, firewall, means, queueing
from nodeyard.providers._clients.netns.firewall import Chains
from nodeyard.providers._clients.netns.namespace import MACHINE, Commands, Namespace, end_commands, environment_of
from nodeyard.providers._clients.process import ProcessId
from nodeyard.providers._clients.process_child import Child, spawn
from nodeyard.providers._clients.process_run import Finished
from nodeyard.providers._clients.process_sweep import NODE_VARIABLE

SHAPED = "network-rules"
"""The type of the ledger's entries: an inverse. ``data``: the namespace, ``mark`` and ``name`` of the shape, and the
``device`` and ``delayer`` (a process) where there are such."""
TAKEN = 5.0
"""Seconds for a queue to be opened: the start of a Python."""


@dataclass
class _Shape:
    entry: LedgerEntry
    namespace: Namespace
    delayer: Child | None = None


@dataclass
class Shaper:
    """The rules of one node. ``namespace`` gives the one that it lives in now, ``by`` is the plugin in the ledger."""

    node: str
    by: str
    ledger: Ledger
    clock: Clock
    namespace: Callable[[], Awaitable[Namespace | None]]
    environment: Mapping[str, str]
    _shapes: dict[str, _Shape] = field(default_factory=dict)

    @property
    def _commands(self) -> Commands:
        return Commands.of(self.environment, self.ledger.mark)

    async def shape(self, name: str, rules: Sequence[NetworkRule]) -> None:
        """See ``CanShapeNetwork``."""
        if name in self._shapes:
            return
        where = await self._here()
        can = await means.look(self._commands)
        problems = can.problems({rule.effect for rule in rules})
        if problems:
            raise self._failed(problems[0], "choose another fault, or another machine")
        mark = self.ledger.mark.text
        entry = await self.ledger.record(
            self.by, SHAPED, node=self.node, data={**where.data(), "mark": mark, "name": name}, inverse=True
        )
        shape = self._shapes[name] = _Shape(entry, where)
        try:
            await self._make(shape, Chains.of(mark, name), rules, can)
        except BaseException:
            # Not awaited by whoever is cancelled: healing comes next, and the ledger has it in any case.
            if shape.delayer is not None:
                shape.delayer.signal_group(signal.SIGKILL)
            raise

    async def _make(self, shape: _Shape, chains: Chains, rules: Sequence[NetworkRule], can: means.Means) -> None:
        queued = "nfqueue" in (can.way_to(Effect.DELAY) or ())
        text = firewall.added(chains, rules, queued=queued)
        if any(rule.effect is Effect.DELAY for rule in rules) and queued:
            await self._start_delayer(shape, chains, next(r.amount for r in rules if r.effect is Effect.DELAY))
        held = [r for r in rules if r.effect is Effect.BANDWIDTH or (r.effect is Effect.DELAY and not queued)]
        if len(held) < len(rules):
            argv = shape.namespace.inside(("iptables-restore", "--noflush", "--wait=5"))
            self._must(await self._commands.run(argv, text), "put rules in force")
        for rule in held:
            await self._hold(shape, rule)

    async def _start_delayer(self, shape: _Shape, chains: Chains, seconds: float) -> None:
        argv = [sys.executable, "-I", str(Path(delay_program.__file__)), str(chains.queue), str(seconds)]
        environment = {
            **environment_of(self.environment), NODE_VARIABLE: self.node, MARK_VARIABLE: self.ledger.mark.text
        }  # fmt: skip
        with tempfile.TemporaryFile() as out:
            inside = shape.namespace.inside(argv)
            child = spawn(
                inside, cwd=MACHINE, env=environment, stdout=out.fileno(), stderr=out.fileno(), on_end=lambda _: None
            )
            shape.delayer = child
            who: dict[str, Json] = {"pid": child.id.pid, "start": child.id.start, "boot": child.id.boot}
            shape.entry = self.ledger.amend(shape.entry, {"delayer": who})

            async def ready() -> poll.Done[None] | str:
                out.seek(0)
                said = out.read().decode("utf-8", "replace")
                if child.ended:
                    raise self._failed(f"packets cannot be held back: {said.strip()[-200:]}", "is the queue in use?")
                return poll.Done(None) if said.startswith("ready") else said

            try:
                await poll.until(ready, clock=self.clock, deadline=self.clock.now() + TAKEN, pace=poll.Pace(0.003))
            except poll.Timeout:
                raise self._failed("packets cannot be held back: the queue was not opened", "try it again") from None

    async def _hold(self, shape: _Shape, rule: NetworkRule) -> None:
        device = await _device(self._commands, shape.namespace, rule.peers[0])
        if device is None:
            raise self._failed(f"no interface of it leads to {rule.peers[0]}", "are the nodes in one network?")
        shown = await self._commands.run(shape.namespace.inside(("tc", "qdisc", "show", "dev", device)))
        if queueing.root_of(shown.stdout) is not None:
            raise self._failed(
                f"the traffic of {device} is shaped already", "one fault at a time can delay or limit a node"
            )
        shape.entry = self.ledger.amend(shape.entry, {"device": device})
        argv = shape.namespace.inside(("tc", "-batch", "-"))
        self._must(await self._commands.run(argv, queueing.added(device, rule)), "limit traffic")

    async def shaped(self, name: str) -> Sequence[str]:
        """See ``CanShapeNetwork``."""
        shape = self._shapes.get(name)
        where = shape.namespace if shape is not None else await self._here()
        if not where.exists:
            return ()
        listing = await self._commands.run(where.inside(("iptables", "--wait", "-S")))
        found = list(firewall.in_force(Chains.of(self.ledger.mark.text, name), listing.stdout))
        device = shape.entry.data.get("device") if shape is not None else None
        if isinstance(device, str):
            shown = await self._commands.run(where.inside(("tc", "class", "show", "dev", device)))
            held = f"{queueing.HANDLE}:2 "
            found += [line.strip() for line in shown.stdout.splitlines() if held in line]
        if shape is not None and shape.delayer is not None and shape.delayer.ended:
            return ()
        return tuple(found)

    async def unshape(self, name: str) -> None:
        """See ``CanShapeNetwork``."""
        shape = self._shapes.get(name)
        if shape is None:
            return
        if shape.delayer is not None:
            shape.delayer.signal_group(signal.SIGKILL)
            await shape.delayer.wait()
        outcome = await undo(shape.entry, self._commands)
        if isinstance(outcome, NodeyardError):
            raise self._failed(outcome.message, "try it again")
        self.ledger.settle(shape.entry)
        del self._shapes[name]

    async def echo(self, address: str, *, count: int, size: int, within: float) -> Echo:
        """See ``CanShapeNetwork``."""
        where = await self._here()
        program = [sys.executable, "-I", str(Path(echo_program.__file__)), address, str(count), str(size), str(within)]
        done = await self._commands.run(where.inside(program), within=within + 5.0)
        try:
            said = json.loads(done.stdout)
            return Echo(int(said["sent"]), tuple(said["times"]), float(said["span"]), int(said["size"]))
        except (ValueError, KeyError, TypeError):
            raise self._failed(
                f"echo requests cannot be sent: {done.stderr.strip()[-200:] or done.status}", "it takes root"
            ) from None

    async def _here(self) -> Namespace:
        where = await self.namespace()
        if where is None or not where.exists:
            raise self._failed("has no network now: it does not run", "start it first")
        return where

    def _must(self, done: Finished, what: str) -> None:
        if done.code:
            said = done.stderr.strip().splitlines() or [done.status]
            raise self._failed(f"could not {what}: {said[0][:200]}", "'nodeyard preflight' shows what is missing")

    def _failed(self, fact: str, hint: str) -> OperationFailed:
        return OperationFailed(fact, node=self.node, operation="network", hint=hint)


async def undo_all(entries: Sequence[LedgerEntry], context: RemovalContext) -> Mapping[str, Removed | NodeyardError]:
    """Take away what these entries of ``SHAPED`` tell of, whatever the run was doing when it ended; by id."""
    if not entries:
        return {}
    try:
        await end_commands(context)
    except TimeoutError as error:
        return {entry.id: _incomplete(entry, error) for entry in entries}
    commands = Commands(environment_of({}))
    return {entry.id: await undo(entry, commands) for entry in entries}


async def undo(entry: LedgerEntry, commands: Commands) -> Removed | NodeyardError:
    """Take away what an entry of ``SHAPED`` tells of. Idempotent; a namespace that is gone took its rules along."""
    data = entry.data
    with contextlib.suppress(PermissionError):
        end_delayer(data)
    where = Namespace.of(data)
    if not where.exists:
        return Removed(absent=True)
    try:
        done = [
            await _remove_rules(where, Chains.of(str(data.get("mark")), str(data.get("name"))), commands),
            await _remove_queueing(where, str(data.get("device") or ""), commands),
        ]
    except (OSError, TimeoutError) as error:
        if not where.exists:
            return Removed(absent=True)
        return _incomplete(entry, error)
    return Removed(absent=not any(done), detail="; ".join(filter(None, done)))


def _incomplete(entry: LedgerEntry, error: Exception) -> CleanupIncomplete:
    return CleanupIncomplete(
        f"its network rules could not be removed: {error}", node=entry.node, hint="'nodeyard gc' tries again"
    )


def end_delayer(data: Mapping[str, Json]) -> None:
    """End the process that holds packets back; the kernel then lets them go."""
    said = data.get("delayer")
    if isinstance(said, Mapping):
        pid, start, boot = said.get("pid"), said.get("start"), said.get("boot")
        if isinstance(pid, int) and isinstance(start, int) and isinstance(boot, str):
            process.send_group(ProcessId(pid, start, boot), signal.SIGKILL)


async def _remove_rules(where: Namespace, chains: Chains, commands: Commands) -> str:
    listing = await commands.run(where.inside(("iptables", "--wait", "-S")))
    text = firewall.removed(chains, listing.stdout)
    if not text:
        return ""
    done = await commands.run(where.inside(("iptables-restore", "--noflush", "--wait=5")), text)
    if done.code:
        raise OSError(done.stderr.strip()[:200] or done.status)
    return "rules removed"


async def _remove_queueing(where: Namespace, device: str, commands: Commands) -> str:
    if not device:
        return ""
    shown = await commands.run(where.inside(("tc", "qdisc", "show", "dev", device)))
    if queueing.root_of(shown.stdout) != "ours":
        return ""
    done = await commands.run(where.inside(queueing.removed(device)))
    if done.code:
        raise OSError(done.stderr.strip()[:200] or done.status)
    return "limit removed"


async def _device(commands: Commands, where: Namespace, address: str) -> str | None:
    found = await commands.run(where.inside(("ip", "-j", "route", "get", address)))
    return queueing.device_of(found.stdout)
