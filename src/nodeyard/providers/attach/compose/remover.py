"""Undoing what a run did to borrowed containers: by the id of the very container, and only what is still so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nodeyard._aio.tasks import raise_first, side_by_side
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import CleanupIncomplete, OperationFailed
from nodeyard.ports.ledger import LedgerEntry, RemovalContext, Removed
from nodeyard.providers._clients.docker import calls
from nodeyard.providers._clients.docker.address import EngineAddress
from nodeyard.providers._clients.docker.engine import Engine
from nodeyard.providers._clients.netns.shaper import SHAPED, undo_all
from nodeyard.providers.attach.compose.control import PAUSED, STOPPED


class ComposeAttachRemover:
    """Lets paused containers go on and starts stopped ones. Removes nothing."""

    async def remove(
        self, entries: Sequence[LedgerEntry], context: RemovalContext
    ) -> Mapping[str, Removed | NodeyardError]:
        """See ``Remover``."""
        shaped = await undo_all([entry for entry in entries if entry.type == SHAPED], context)
        rest = [entry for entry in entries if entry.type != SHAPED]
        outcomes = raise_first(await side_by_side(_undo, rest, at_once=16))
        return {**shaped, **dict(zip([entry.id for entry in rest], outcomes, strict=True))}


async def _undo(entry: LedgerEntry) -> Removed | NodeyardError:
    node, container = entry.node or "", str(entry.data.get("container"))
    try:
        engine = Engine(EngineAddress.of(entry.data.get("engine")))
        found = await calls.look(engine, container)
        if found is None:
            return Removed(absent=True, detail="its container was removed by somebody else")
        if entry.type == PAUSED and found.state == "paused":
            await calls.unpause(engine, container, node=node)
            return Removed(absent=False, detail="resumed")
        if entry.type == STOPPED and not found.runs:
            await calls.start(engine, container, node=node)
            return Removed(absent=False, detail="started again")
    except OperationFailed:
        return Removed(absent=True, detail="its container was removed by somebody else")
    except NodeyardError as error:
        return error
    if entry.type not in (PAUSED, STOPPED):
        return CleanupIncomplete(
            f"'{entry.type}' is not a change that compose attach makes", node=entry.node,
            hint="was it written by a later version? use that one",
        )  # fmt: skip
    return Removed(absent=True)
