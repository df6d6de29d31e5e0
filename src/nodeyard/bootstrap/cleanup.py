"""Carrying out a ledger: the same for the session, the reaper, ``down`` and ``gc``.

Decides the order purely, asks removers, settles what is done and reports what remains. Must not live here: who may
carry out a ledger and when (its lock), and how anything is removed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from nodeyard._aio.tasks import side_by_side
from nodeyard.domain.events import CleanupFailed, CleanupStarted, ResourceRemoved
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import CleanupIncomplete
from nodeyard.ports.ledger import LedgerEntry, RemovalContext, Removed, Remover, removal_order
from nodeyard.ports.observer import Emit

RemoverOf = Callable[[str], Remover | None]
"""The remover of a plugin by ``GROUP:NAME``; ``None`` when that plugin is not installed."""
Outcome = Removed | NodeyardError
INVERSES_SHARE = 0.5
"""Of the time there is, what inverses may take: a borrowed cluster that does not answer must not keep our own
processes alive.
"""
OVERTIME = 1.0
"""Seconds that a remover may take beyond its deadline before it is cancelled."""
RETRY = "'nodeyard gc' tries again"


class OpenLedger(Protocol):
    """The part of a ledger that carrying out needs."""

    def open_entries(self) -> tuple[LedgerEntry, ...]: ...

    def settle(self, entry: LedgerEntry) -> None: ...


@dataclass(frozen=True)
class Batch:
    """Entries for one call of one remover, in the order in which they should go."""

    by: str
    entries: tuple[LedgerEntry, ...]


@dataclass(frozen=True)
class CleanupReport:
    """What carrying out a ledger came to. ``failed`` entries are still open, each with its reason."""

    removed: tuple[tuple[LedgerEntry, Removed], ...] = ()
    failed: tuple[tuple[LedgerEntry, NodeyardError], ...] = ()

    @property
    def complete(self) -> bool:
        return not self.failed

    def error(self) -> CleanupIncomplete | None:
        """Everything that remains as one error, or ``None``."""
        if self.complete:
            return None
        count = len(self.failed)
        return CleanupIncomplete(
            f"{count} {'resource' if count == 1 else 'resources'} of the run could not be removed",
            evidence=[f"{resource_name(entry)}: {error.message}" for entry, error in self.failed],
            hint=RETRY,
        )


def batches(entries: Sequence[LedgerEntry]) -> tuple[tuple[Batch, ...], tuple[Batch, ...]]:
    """Inverses, then resources; in each, one batch per remover, side by side. Pure."""
    ordered = removal_order(entries)
    return _by_remover([e for e in ordered if e.inverse]), _by_remover([e for e in ordered if not e.inverse])


def _by_remover(entries: Sequence[LedgerEntry]) -> tuple[Batch, ...]:
    groups: dict[str, list[LedgerEntry]] = {}
    for entry in entries:
        groups.setdefault(entry.by, []).append(entry)
    return tuple(Batch(by, tuple(group)) for by, group in groups.items())


def resource_name(entry: LedgerEntry) -> str:
    """How an entry is named to people: ``local process of n1``."""
    what = f"{entry.by.partition(':')[2] or entry.by} {entry.type}"
    return f"{what} of {entry.node}" if entry.node else what


async def carry_out(ledger: OpenLedger, remover_of: RemoverOf, context: RemovalContext, emit: Emit) -> CleanupReport:
    """Remove what the ledger lists and settle what is gone. Call with the ledger's lock held.

    Never raises for a remover that fails, hangs past ``context.deadline`` or is not installed: that is in the report,
    and the entry stays open.
    """
    entries = ledger.open_entries()
    emit(CleanupStarted(resources=len(entries)))
    inverses, resources = batches(entries)
    report = CleanupReport()
    for stage, share in ((inverses, INVERSES_SHARE), (resources, 1.0)):
        now = context.clock.now()
        limit = replace(context, deadline=now + share * max(0.0, context.deadline - now))

        async def settle(batch: Batch, limit: RemovalContext = limit) -> CleanupReport:
            return _settle(ledger, batch, await _remove(batch, remover_of, limit), emit)

        for part in await side_by_side(settle, stage):
            if isinstance(part, Exception):
                raise part
            report = CleanupReport(report.removed + part.removed, report.failed + part.failed)
    return report


async def _remove(batch: Batch, remover_of: RemoverOf, context: RemovalContext) -> Mapping[str, Outcome]:
    limit = max(0.0, context.deadline - context.clock.now()) + OVERTIME
    try:
        remover = remover_of(batch.by)
        if remover is None:
            return _all(batch, _not_installed(batch.by))
        async with asyncio.timeout(limit):
            return await remover.remove(batch.entries, context)
    except TimeoutError:
        return _all(batch, CleanupIncomplete(f"{batch.by} did not finish in time", hint=RETRY))
    except NodeyardError as error:
        return _all(batch, error)
    except Exception as error:  # noqa: BLE001 - a plugin's defect must not keep others from being cleaned up
        return _all(batch, CleanupIncomplete(f"{batch.by} failed: {type(error).__name__}: {error}", hint=RETRY))


def _all(batch: Batch, error: NodeyardError) -> Mapping[str, Outcome]:
    return {entry.id: error for entry in batch.entries}


def _not_installed(by: str) -> NodeyardError:
    return CleanupIncomplete(
        f"the plugin '{by}' that made it is not installed here",
        hint="install the package that provides it, then run 'nodeyard gc'",
    )


def _settle(ledger: OpenLedger, batch: Batch, outcomes: Mapping[str, Outcome], emit: Emit) -> CleanupReport:
    removed: list[tuple[LedgerEntry, Removed]] = []
    failed: list[tuple[LedgerEntry, NodeyardError]] = []
    silent = CleanupIncomplete(f"{batch.by} did not say what became of it", hint=RETRY)
    for entry in batch.entries:
        outcome = outcomes.get(entry.id, silent)
        name = resource_name(entry)
        if isinstance(outcome, NodeyardError):
            failed.append((entry, outcome))
            emit(CleanupFailed(node=entry.node, resource=name, locator=entry.id, reason=outcome.message))
            continue
        ledger.settle(entry)
        removed.append((entry, outcome))
        if not outcome.absent:
            emit(ResourceRemoved(node=entry.node, resource=name, locator=outcome.detail or entry.id))
    return CleanupReport(tuple(removed), tuple(failed))
