"""Removing what a run of the Compose deployer left, from its ledger entries alone: in the session, the reaper and gc.

What is removed carries the run's own mark as a label; names decide nothing.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from nodeyard._aio import poll
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import CleanupIncomplete, OperationFailed
from nodeyard.ports.ledger import LedgerEntry, RemovalContext, Removed
from nodeyard.providers._clients import node_files, process_sweep
from nodeyard.providers._clients.docker import calls, objects
from nodeyard.providers._clients.docker.address import EngineAddress
from nodeyard.providers._clients.docker.engine import Engine
from nodeyard.providers._clients.docker.labels import MARK, marked
from nodeyard.providers._clients.docker.objects import Gone
from nodeyard.providers._clients.netns.shaper import SHAPED, undo_all
from nodeyard.providers.deployer.compose.resources import (
    COMMAND,
    CONTAINER,
    IMAGE,
    NETWORK,
    PAUSED,
    SECRETS,
    VOLUME,
    texts,
)

Outcomes = dict[str, Removed | NodeyardError]
RETRY = "'nodeyard gc' tries again"
QUIET = 1.0
"""Seconds without a new resource after which none is on its way any more: making one takes the engine a tenth."""
STEPS: Sequence[tuple[str, Callable[[Engine, Mapping[str, str]], Awaitable[list[Gone]]]]] = (
    (CONTAINER, objects.remove_containers),
    (NETWORK, objects.remove_networks),
    (VOLUME, objects.remove_volumes),
    (IMAGE, objects.remove_images),
)
"""In this order, because each is in use by what goes before it."""


class ComposeRemover:
    """Commands first, so that nobody makes more; then what they made."""

    async def remove(
        self, entries: Sequence[LedgerEntry], context: RemovalContext
    ) -> Mapping[str, Removed | NodeyardError]:
        """See ``Remover``. Entries of one engine share its searches."""
        by_type: dict[str, list[LedgerEntry]] = defaultdict(list)
        for entry in entries:
            by_type[entry.type].append(entry)
        outcomes: Outcomes = {}
        commands = by_type.pop(COMMAND, [])
        if commands:
            outcomes |= await _end_commands(commands, context)
        outcomes |= await undo_all(by_type.pop(SHAPED, []), context)
        for entry in by_type.pop(PAUSED, ()):
            outcomes[entry.id] = await _resume(entry, context)
        for entry in by_type.pop(SECRETS, ()):
            outcomes[entry.id] = await asyncio.to_thread(_remove_secrets, entry, context)
        engines: dict[str, list[LedgerEntry]] = defaultdict(list)
        for kind, _ in STEPS:
            for entry in by_type.pop(kind, ()):
                engines[repr(entry.data.get("engine"))].append(entry)
        for mine in engines.values():
            outcomes |= await _remove_all(mine, context, hurried=bool(commands))
        for unknown in (entry for rest in by_type.values() for entry in rest):
            outcomes[unknown.id] = CleanupIncomplete(
                f"'{unknown.type}' is not a resource of the compose deployer",
                node=unknown.node,
                hint="was it written by a later version? use that one",
            )
        return outcomes


async def _end_commands(entries: Sequence[LedgerEntry], context: RemovalContext) -> Outcomes:
    first, left = await process_sweep.end_all(context.mark, (), clock=context.clock, deadline=context.deadline)
    if left.members:
        pids = ", ".join(map(str, sorted(left.members)))
        return {e.id: CleanupIncomplete(f"docker commands would not end: {pids}", hint=RETRY) for e in entries}
    count = len(first.members)
    return {e.id: Removed(absent=not count, detail=f"killed {count}" if count else "") for e in entries}


async def _resume(entry: LedgerEntry, context: RemovalContext) -> Removed | NodeyardError:
    try:
        engine, container = Engine(EngineAddress.of(entry.data.get("engine"))), str(entry.data.get("container"))
        found = await calls.look(engine, container)
        if found is None or found.state != "paused" or found.labels.get(MARK) != context.mark.text:
            return Removed(absent=True)
        await calls.unpause(engine, container, node=entry.node or container)
    except OperationFailed:
        return Removed(absent=True)  # it went away meanwhile
    except NodeyardError as error:
        return error
    return Removed(absent=False, detail="resumed")


def _remove_secrets(entry: LedgerEntry, context: RemovalContext) -> Removed | NodeyardError:
    folder = Path(str(entry.data.get("folder")))
    if context.mark.run not in folder.parts:
        return Removed(absent=True)
    try:
        count = node_files.remove_files(folder, texts(entry.data, "paths"))
    except OSError as error:
        return CleanupIncomplete(
            f"{error.filename} could not be removed: {error.strerror}", node=entry.node, hint=RETRY
        )
    return Removed(absent=not count, detail=f"{count} secret files" if count else "")


async def _remove_all(entries: Sequence[LedgerEntry], context: RemovalContext, *, hurried: bool) -> Outcomes:
    """Everything of the run in one engine. ``hurried``: a command was cut short, so more may still come to light."""
    try:
        engine = Engine(EngineAddress.of(entries[0].data.get("engine")))
        found = await _sweep(engine, context)
        if hurried or not all(entry.data.get("made") for entry in entries):
            await _until_quiet(engine, context, found)
    except NodeyardError as error:
        return {entry.id: error for entry in entries}
    return {entry.id: _outcome(entry, found[entry.type]) for entry in entries}


Found = dict[str, list[Gone]]


async def _sweep(engine: Engine, context: RemovalContext) -> Found:
    """One removal of everything that carries the mark, kind after kind."""
    return {kind: await remove(engine, marked(context.mark)) for kind, remove in STEPS}


async def _until_quiet(engine: Engine, context: RemovalContext, found: Found) -> None:
    """Go on until nothing new has come for a while: the engine finishes a request whose sender was killed."""
    clock = context.clock
    last = clock.now()

    async def look() -> poll.Done[None] | None:
        nonlocal last
        new = await _sweep(engine, context)
        for kind, gone in new.items():
            found[kind] = [*(g for g in found[kind] if g.error is None), *gone]
            if any(g.error is None for g in gone):
                last = clock.now()
        return poll.Done(None) if clock.now() - last >= QUIET else None

    try:
        await poll.until(look, clock=clock, deadline=context.deadline, pace=poll.Pace(first=0.2, most=0.3))
    except poll.Timeout:
        raise CleanupIncomplete("the engine went on making resources of the run", hint=RETRY) from None


def _outcome(entry: LedgerEntry, gone: Sequence[Gone]) -> Removed | NodeyardError:
    mine = [g for g in gone if entry.node is None or g.thing.node in (entry.node, None)]
    failed = [g for g in mine if g.error is not None]
    if failed:
        return CleanupIncomplete(
            f"{entry.type} {failed[0].thing.name} could not be removed: {failed[0].error.message}",  # type: ignore[union-attr]
            node=entry.node,
            evidence=[line for g in failed if g.error for line in g.error.evidence],
            hint=RETRY,
        )
    return Removed(absent=not mine, detail=", ".join(sorted({g.thing.name or g.thing.id for g in mine})[:3]))
