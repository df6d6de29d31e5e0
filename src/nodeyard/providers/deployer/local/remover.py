"""Removing what a run of the local deployer left, from its ledger entries alone: in the session, the reaper and gc."""

from __future__ import annotations

import asyncio
import signal
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from nodeyard._aio import poll
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import CleanupIncomplete
from nodeyard.ports.ledger import LedgerEntry, RemovalContext, Removed
from nodeyard.providers._clients import node_files, process, process_sweep
from nodeyard.providers._clients.netns.shaper import SHAPED, undo_all
from nodeyard.providers._clients.process_sweep import Family
from nodeyard.providers.deployer.local import folders, isolation
from nodeyard.providers.deployer.local.ports import PortLocks
from nodeyard.providers.deployer.local.resources import (
    COMMAND,
    FOLDERS,
    NETWORKS,
    PAUSED,
    PORTS,
    PROCESS,
    SECRETS,
    numbers,
    process_of,
    texts,
)

Outcomes = dict[str, Removed | NodeyardError]
RETRY = "'nodeyard gc' tries again"


class LocalRemover:
    """Processes first, so that nobody uses the ports and folders that go after them."""

    async def remove(
        self, entries: Sequence[LedgerEntry], context: RemovalContext
    ) -> Mapping[str, Removed | NodeyardError]:
        """One scan of the machine for all processes; see ``Remover``."""
        by_type: dict[str, list[LedgerEntry]] = defaultdict(list)
        for entry in entries:
            by_type[entry.type].append(entry)
        outcomes: Outcomes = {}
        for entry in by_type.pop(PAUSED, ()):
            outcomes[entry.id] = _resume(entry)
        outcomes |= await undo_all(by_type.pop(SHAPED, []), context)
        processes = by_type.pop(PROCESS, []) + by_type.pop(COMMAND, [])
        if processes:
            outcomes |= await _end_processes(processes, context)
        in_use = any(isinstance(outcome, NodeyardError) for outcome in outcomes.values())
        for entry in by_type.pop(NETWORKS, ()):
            outcomes[entry.id] = _kept(entry) if in_use else await isolation.remove(entry, context)
        for entry in by_type.pop(PORTS, ()):
            outcomes[entry.id] = _kept(entry) if in_use else await _unlock(entry, context)
        files = [(e, _remove_secrets) for e in by_type.pop(SECRETS, ())]
        files += [(e, _remove_folders) for e in by_type.pop(FOLDERS, ())]
        for entry, remove in files:
            outcomes[entry.id] = _kept(entry) if in_use else await asyncio.to_thread(remove, entry, context)
        for unknown in (entry for rest in by_type.values() for entry in rest):
            outcomes[unknown.id] = CleanupIncomplete(
                f"'{unknown.type}' is not a resource of the local deployer",
                node=unknown.node,
                hint="was it written by a later version? use that one",
            )
        return outcomes


def _resume(entry: LedgerEntry) -> Removed | NodeyardError:
    who = process_of(entry.data)
    try:
        done = who is not None and process.send_group(who, signal.SIGCONT)
    except PermissionError as error:
        return CleanupIncomplete(f"could not be resumed: {error.strerror}", node=entry.node, hint=RETRY)
    return Removed(absent=not done, detail="resumed" if done else "")


async def _end_processes(entries: Sequence[LedgerEntry], context: RemovalContext) -> Outcomes:
    leaders = [who for entry in entries if (who := process_of(entry.data))]
    first, left = await process_sweep.end_all(context.mark, leaders, clock=context.clock, deadline=context.deadline)
    # Whom nobody can be blamed for (its node's name is lost) keeps every entry open, so that none is forgotten.
    known = {entry.node for entry in entries}
    anybody = any(left.nodes.get(pid) not in known for pid in left.members)
    outcomes: Outcomes = {}
    for entry in entries:
        remaining = sorted(left.members) if anybody else _of(entry, left)
        if remaining:
            outcomes[entry.id] = CleanupIncomplete(
                f"{'process' if len(remaining) == 1 else 'processes'} {', '.join(map(str, remaining))} would not end",
                node=entry.node,
                evidence=[f"pid {pid} is in state {left.members[pid].state}" for pid in remaining],
                hint=RETRY,
            )
        else:
            gone = _of(entry, first)
            outcomes[entry.id] = Removed(absent=not gone, detail=f"killed {len(gone)}" if gone else "")
    return outcomes


def _of(entry: LedgerEntry, family: Family) -> list[int]:
    """The processes of one entry: its leader, and whoever carries the name of its node."""
    who = process_of(entry.data)
    return sorted(
        pid
        for pid, known in family.members.items()
        if family.nodes.get(pid) == entry.node or (who and (pid, known.start) == (who.pid, who.start))
    )


def _kept(entry: LedgerEntry) -> NodeyardError:
    return CleanupIncomplete("kept, because processes that may use it still run", node=entry.node, hint=RETRY)


async def _unlock(entry: LedgerEntry, context: RemovalContext) -> Removed | NodeyardError:
    cache = entry.data.get("cache")
    locks = PortLocks(Path(str(cache)))
    try:
        released = await locks.release(
            numbers(entry.data, "ports"), context.mark, clock=context.clock, deadline=context.deadline
        )
    except (OSError, poll.Timeout) as error:
        return CleanupIncomplete(f"ports in {locks.folder} could not be unlocked: {error}", hint=RETRY)
    return Removed(absent=not released, detail=f"{len(released)} ports" if released else "")


def _remove_folders(entry: LedgerEntry, context: RemovalContext) -> Removed | NodeyardError:
    done: list[str] = []
    failed: list[str] = []
    for path in texts(entry.data, "paths"):
        try:
            done.append(folders.remove_data(Path(path), context.mark))
        except OSError as error:
            failed.append(f"{path}: {error.strerror or error}")
    if failed:
        return CleanupIncomplete("folders could not be removed", node=entry.node, evidence=failed, hint=RETRY)
    return Removed(absent=not any(done), detail="; ".join(filter(None, done[:3])))


def _remove_secrets(entry: LedgerEntry, context: RemovalContext) -> Removed | NodeyardError:
    folder = Path(str(entry.data.get("folder")))
    if folders.owner_of(folder) != context.mark.text:
        return Removed(absent=True)
    try:
        count = node_files.remove_files(folder / "config", texts(entry.data, "paths"))
    except OSError as error:
        return CleanupIncomplete(
            f"{error.filename} could not be removed: {error.strerror}", node=entry.node, hint=RETRY
        )
    return Removed(absent=not count, detail=f"{count} secret files" if count else "")
