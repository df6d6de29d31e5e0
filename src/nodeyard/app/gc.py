"""Ending runs from outside: ``nodeyard gc`` for what dead runs left, ``nodeyard down`` for one that was handed over.

Decides from a ledger alone whether its run may be touched, and then does what the reaper does. Must not live here:
how anything is removed, and what a deployer keeps outside ledgers (lock files of ports, say).
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from nodeyard._aio import poll
from nodeyard._aio.clock import Clock
from nodeyard._aio.tasks import side_by_side
from nodeyard.app.reaper import Equip, carry_out_ledger
from nodeyard.bootstrap.cleanup import CleanupReport, resource_name
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import CleanupIncomplete
from nodeyard.errors.validation import UsageError
from nodeyard.ledger import file as files
from nodeyard.ledger.file import HeldLedger
from nodeyard.ledger.host import Host, ProcessRef, is_alive, signal_exactly, this_host
from nodeyard.ledger.state import Header, LedgerState
from nodeyard.ports.observer import Emit

WITHIN = 30.0
"""Seconds for carrying out one ledger."""
AT_ONCE = 8
DISMISSING = 5.0
"""Seconds in which a watcher that is killed must be gone."""
LITTER_AGE = 3600.0
"""Seconds after which a file that no ledger needs is certainly nobody's any more."""

Alive = Callable[[ProcessRef], bool]


class Judgement(StrEnum):
    """What a ledger says of its run, here and now."""

    LIVE = "live"
    DETACHED = "detached"
    EXPIRED = "expired"
    DEAD = "dead"
    OTHER_BOOT = "other-boot"
    OVER = "over"
    FOREIGN_HOST = "foreign-host"

    @property
    def removable(self) -> bool:
        """Whether ``gc`` may carry it out."""
        return self in (Judgement.EXPIRED, Judgement.DEAD, Judgement.OTHER_BOOT, Judgement.OVER)


def judge(state: LedgerState, here: Host, alive: Alive, now: float) -> Judgement:
    """The judgement of a run; ``now`` is a time of day in seconds since 1970. Pure but for ``alive``.

    Process numbers mean something on their own host and boot only, so these are looked at first. A run that was handed
    over is judged by its time alone: its runner is meant to be gone.
    """
    mark = state.header.mark
    if mark.host != here.host:
        return Judgement.FOREIGN_HOST
    if state.over or state.closed:
        return Judgement.OVER
    if mark.boot != here.boot:
        return Judgement.OTHER_BOOT
    if state.detached is not None:
        return Judgement.DETACHED if now < state.detached.until else Judgement.EXPIRED
    return Judgement.LIVE if alive(state.header.runner) else Judgement.DEAD


class Action(StrEnum):
    """What ``gc`` did with one ledger."""

    KEPT = "kept"
    WOULD_REMOVE = "would-remove"
    REMOVED = "removed"
    INCOMPLETE = "incomplete"
    BUSY = "busy"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class GcRow:
    """One ledger. ``resources`` are the names of what was removed or would be, ``failed`` of what could not be, each
    with its reason. ``judgement`` and ``header`` are ``None`` for a damaged ledger.
    """

    run: str
    path: Path
    action: Action
    judgement: Judgement | None = None
    header: Header | None = None
    resources: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class GcReport:
    """Every ledger of a state folder, by run."""

    rows: tuple[GcRow, ...] = ()

    def error(self) -> CleanupIncomplete | None:
        """What could not be removed as one error, or ``None``; a damaged ledger counts as well."""
        bad = [row for row in self.rows if row.action in (Action.INCOMPLETE, Action.DAMAGED)]
        if not bad:
            return None
        evidence = [f"{row.run}: {row.reason}" for row in bad if row.reason]
        evidence += [f"{row.run}: {name}: {why}" for row in bad for name, why in row.failed]
        count = "1 run" if len(bad) == 1 else f"{len(bad)} runs"
        return CleanupIncomplete(
            f"what {count} left could not be removed", evidence=evidence, hint="see to it and run 'nodeyard gc' again"
        )


@dataclass(frozen=True)
class _Order:
    """What one collection works with."""

    equip: Equip
    clock: Clock
    emit: Emit
    dry_run: bool = False
    older_than: float = 0.0
    within: float = WITHIN
    here: Host = field(default_factory=this_host)
    alive: Alive = is_alive

    def judged(self, state: LedgerState) -> Judgement:
        return judge(state, self.here, self.alive, self._now())

    def too_young(self, header: Header) -> bool:
        return self._now() - header.started.timestamp() < self.older_than

    def _now(self) -> float:
        return self.clock.utc().timestamp()


async def collect(
    state_folder: Path,
    *,
    equip: Equip,
    clock: Clock,
    emit: Emit,
    dry_run: bool = False,
    older_than: float = 0.0,
    within: float = WITHIN,
) -> GcReport:
    """Remove what dead runs of this host left, and report on every ledger there is.

    Runs that started less than ``older_than`` seconds ago are kept. ``dry_run`` changes nothing. ``within`` bounds the
    seconds for one run. Never raises for a ledger: what is wrong with it stands in its row.
    """
    order = _Order(equip, clock, emit, dry_run, older_than, within)
    folder = files.ledgers_folder(state_folder)
    paths = sorted(folder.glob(f"*{files.SUFFIX}"))
    rows: list[GcRow] = []
    for outcome in await side_by_side(lambda path: _one(path, order), paths, at_once=AT_ONCE):
        if isinstance(outcome, Exception):
            raise outcome
        rows += [outcome] if outcome else []
    if not dry_run:
        _sweep_litter(folder, clock.utc().timestamp() - LITTER_AGE)
    return GcReport(tuple(rows))


async def _one(path: Path, order: _Order) -> GcRow | None:
    """Judge and carry out one ledger; ``None`` when it went away meanwhile."""
    row = GcRow(path.stem, path, Action.KEPT)
    try:
        state = files.read(path)
        row = replace(row, judgement=order.judged(state), header=state.header)
        if not order.judged(state).removable:
            return row
        if order.too_young(state.header):
            return replace(row, reason="it is not old enough")
        held = files.try_hold(path)
    except FileNotFoundError:
        return None
    except (NodeyardError, OSError) as error:
        reason = error.message if isinstance(error, NodeyardError) else f"it cannot be read: {error.strerror}"
        return replace(row, action=Action.INCOMPLETE if row.header else Action.DAMAGED, reason=reason)
    if held is None:
        return replace(row, action=Action.BUSY, reason="a reaper, or somebody else, carries it out at this moment")
    with held:
        return await _carry_out(held, replace(row, judgement=order.judged(held.state)), order)


async def _carry_out(held: HeldLedger, row: GcRow, order: _Order) -> GcRow:
    if row.judgement is None or not row.judgement.removable:
        return row  # it was handed over between our look and our lock
    if order.dry_run:
        names = tuple(resource_name(entry) for entry in held.open_entries())
        return replace(row, action=Action.WOULD_REMOVE, resources=names)
    deadline = order.clock.now() + order.within
    try:
        report = await _with_tools(held, order.equip, order.clock, deadline, order.emit)
    except NodeyardError as error:
        return replace(row, action=Action.INCOMPLETE, reason=error.message)
    return replace(
        row,
        action=Action.REMOVED if report.complete else Action.INCOMPLETE,
        resources=tuple(resource_name(entry) for entry, removed in report.removed if not removed.absent),
        failed=tuple((resource_name(entry), error.message) for entry, error in report.failed),
    )


async def _with_tools(held: HeldLedger, equip: Equip, clock: Clock, deadline: float, emit: Emit) -> CleanupReport:
    async with equip(held.state) as tools:
        return await carry_out_ledger(
            held, remover_of=tools.remover_of, secrets=tools.secrets, clock=clock, deadline=deadline, emit=emit
        )


async def take_down(path: Path, *, equip: Equip, clock: Clock, deadline: float, emit: Emit) -> CleanupReport:
    """Carry out the ledger of one run, whoever else waits for its end; ``deadline`` is a time of ``clock``.

    Raises ``UsageError`` for a run that is not there, that its runner still drives, or that is of another host;
    ``CleanupIncomplete`` when somebody else holds it until the deadline; ``LedgerInvalid``; ``RunFolderUnusable``.
    """
    run = path.stem
    if not path.exists():
        raise UsageError(f"there is no run '{run}' to take down", hint="'nodeyard ps' lists what runs")
    try:
        held = await files.hold(path, clock=clock, deadline=deadline)
    except FileNotFoundError:
        return CleanupReport()  # whoever had it has removed everything
    with held:
        header = held.state.header
        match judge(held.state, this_host(), is_alive, clock.utc().timestamp()):
            case Judgement.LIVE:
                raise UsageError(
                    f"the run '{run}' is driven by process {header.runner.pid}",
                    hint="interrupt that process; it takes down what it made",
                )
            case Judgement.FOREIGN_HOST:
                raise UsageError(
                    f"the run '{run}' belongs to another host, {header.mark.host}", hint="take it down there"
                )
        report = await _with_tools(held, equip, clock, deadline, emit)
    if report.complete and held.state.reaper is not None:
        await _dismiss(held.state.reaper, clock)
    return report


async def _dismiss(reaper: ProcessRef, clock: Clock) -> None:
    """End the process that waits for the end of a run of which nothing remains; it would notice on its own later."""

    async def attempt() -> poll.Done[None] | None:
        return None if signal_exactly(reaper, signal.SIGKILL) and is_alive(reaper) else poll.Done(None)

    with suppress(poll.Timeout):
        await poll.until(
            attempt, clock=clock, deadline=clock.now() + DISMISSING, pace=poll.Pace(first=0.001, most=0.02)
        )


def _sweep_litter(folder: Path, before: float) -> None:
    """Remove drafts of ledgers that were never made, and logs of reapers whose ledger is gone, from before a time."""
    drafts: Iterable[Path] = folder.glob(f".*{files.SUFFIX}.*.new")
    logs = (log for log in folder.glob(f"*{files.LOG_SUFFIX}") if not files.ledger_of_log(log).exists())
    for path in (*drafts, *logs):
        with suppress(OSError):
            if path.stat().st_mtime < before:
                path.unlink()
