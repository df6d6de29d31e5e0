"""The end of a deployer's run: its own open entries carried out, settled and told. The same for every backend."""

from __future__ import annotations

from collections.abc import Callable

from nodeyard.domain import events
from nodeyard.errors.base import NodeyardError
from nodeyard.ports.ledger import LedgerEntry, RemovalContext, Remover, removal_order
from nodeyard.ports.plugins import PluginContext


async def remove_own(
    context: PluginContext, by: str, remover: Remover, *, within: float, where: Callable[[LedgerEntry], str]
) -> list[str]:
    """Carry out what the ledger has of ``by``; returns what could not be removed, as lines. These entries stay open.

    ``within`` is in seconds; ``where`` names the place of an entry to people.
    """
    entries = removal_order([entry for entry in context.ledger.open_entries() if entry.by == by])
    removal = RemovalContext(context.mark, context.clock, context.secrets, context.clock.now() + within)
    outcomes = await remover.remove(entries, removal)
    problems: list[str] = []
    for entry in entries:
        outcome, locator = outcomes[entry.id], where(entry)
        if isinstance(outcome, NodeyardError):
            problems.append(f"{entry.type} of {entry.node or locator}: {outcome.message}")
            context.emit(
                events.CleanupFailed(node=entry.node, resource=entry.type, locator=locator, reason=outcome.message)
            )
        else:
            context.ledger.settle(entry)
            context.emit(
                events.ResourceRemoved(node=entry.node, resource=entry.type, locator=outcome.detail or locator)
            )
    return problems
