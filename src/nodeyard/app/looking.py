"""Runs seen from outside: which there are, what one is like, its nodes' output. Also their end by ``down``, ``gc``."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodeyard._aio.clock import SystemClock
from nodeyard.app.config import Settings
from nodeyard.app.gc import Action, GcReport, GcRow, Judgement, collect, judge
from nodeyard.app.gc import take_down as carry_out_run
from nodeyard.app.reaper import installed_tools, quiet
from nodeyard.app.registry import installed
from nodeyard.app.run_folder import RunFolder, find_run, runs_in
from nodeyard.bootstrap.cleanup import CleanupReport
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.validation import UsageError
from nodeyard.ledger import file as ledgers
from nodeyard.ledger.host import is_alive, this_host
from nodeyard.ledger.state import LedgerState
from nodeyard.observability.bus import EventBus
from nodeyard.observability.files import node_folder
from nodeyard.observability.journal import Journal
from nodeyard.observability.report import write_report
from nodeyard.observability.tables import RunRow
from nodeyard.ports.observer import Emit
from nodeyard.ports.plugins import CanCollect, Collection, Leftover

STATE_OF = {
    Judgement.LIVE: "running",
    Judgement.DETACHED: "up",
    Judgement.FOREIGN_HOST: "elsewhere",
}
DOWN_TIME = 60.0
LOG_FILES = ("stdout.log", "stderr.log", "fetched.log")


@dataclass(frozen=True)
class RunView:
    """One run: its row, and the documents of its folder where they are there."""

    row: RunRow
    folder: RunFolder
    verdict: dict[str, Any] | None
    inventory: dict[str, Any] | None


def list_runs(settings: Settings, *, everything: bool) -> tuple[RunRow, ...]:
    """Runs that still have something, newest last; with ``everything`` also those of the output folder that ended."""
    rows = {row.run: row for row in _standing(settings)}
    if everything:
        for folder in runs_in(settings.output):
            rows.setdefault(folder.run, _ended(folder))
    return tuple(sorted(rows.values(), key=lambda row: (row.started, row.run)))


def _standing(settings: Settings) -> Iterator[RunRow]:
    for path in sorted(ledgers.ledgers_folder(settings.state).glob(f"*{ledgers.SUFFIX}")):
        try:
            state = ledgers.read(path)
        except (NodeyardError, OSError):
            yield RunRow(path.stem, "damaged")
            continue
        yield _row(state)


def _row(state: LedgerState) -> RunRow:
    header = state.header
    judged = judge(state, this_host(), is_alive, SystemClock().utc().timestamp())
    nodes = {entry.node for entry in state.entries if entry.node is not None}
    return RunRow(
        run=header.mark.run,
        state=STATE_OF.get(judged, "dead"),
        scenario=Path(header.scenario).name,
        started=header.started.isoformat(timespec="seconds"),
        nodes=len(nodes),
        left=len(state.entries),
        folder=header.folder,
    )


def _ended(folder: RunFolder) -> RunRow:
    verdict, inventory = _read(folder.verdict) or {}, _read(folder.inventory) or {}
    started = ""
    try:
        with folder.journal.open(encoding="utf-8") as file:
            first = json.loads(file.readline())
        started = str(first.get("time", ""))
    except (OSError, ValueError):
        first = {}
    return RunRow(
        run=folder.run,
        state="ended",
        verdict=str(verdict.get("verdict", "")),
        scenario=str(first.get("scenario", "")),
        started=started,
        nodes=len(inventory.get("nodes", ())),
        folder=str(folder.path),
    )


def view(settings: Settings, run: str) -> RunView:
    """One run by id, beginning, folder or ``latest``. Raises ``UsageError``."""
    folder = locate(settings, run)
    standing = next((row for row in _standing(settings) if row.run == folder.run), None)
    return RunView(standing or _ended(folder), folder, _read(folder.verdict), _read(folder.inventory))


def locate(settings: Settings, run: str) -> RunFolder:
    """The folder of a run, also of one that still stands and was made elsewhere. Raises ``UsageError``."""
    for row in _standing(settings):
        if row.run == run and (Path(row.folder) / "journal.jsonl").is_file():
            return RunFolder(Path(row.folder))
    return find_run(settings.output, run)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def node_logs(settings: Settings, run: str, node: str, *, tail: int | None) -> tuple[str, ...]:
    """The last lines of a node's output, or all of it, file after file. Raises ``UsageError``."""
    folder = locate(settings, run)
    where = folder.nodes / node_folder(node)
    files = [where / name for name in LOG_FILES if (where / name).is_file()]
    if not files:
        raise UsageError(
            f"the run '{folder.run}' has no output of a node '{node}'",
            evidence=[f"nodes with output: {', '.join(_nodes_with_output(folder)) or 'none'}"],
            hint="a run that passed keeps its nodes' output only with '--keep always'",
        )
    kept: deque[str] = deque(maxlen=tail)
    for path in files:
        kept.extend(path.read_text(encoding="utf-8", errors="replace").splitlines())
    return tuple(kept)


def _nodes_with_output(folder: RunFolder) -> Sequence[str]:
    try:
        return sorted(path.name for path in folder.nodes.iterdir() if path.is_dir())
    except OSError:
        return ()


def standing_ledger(settings: Settings, run: str) -> Path:
    """The ledger of a run that still has something, by id or a unique beginning. Raises ``UsageError``."""
    folder = ledgers.ledgers_folder(settings.state)
    names = sorted(path.stem for path in folder.glob(f"*{ledgers.SUFFIX}"))
    wanted = Path(run).name if "/" in run else run
    close = [name for name in names if name == wanted] or [name for name in names if name.startswith(wanted)]
    if wanted == "latest" and names:
        close = [max(names, key=lambda name: (folder / f"{name}{ledgers.SUFFIX}").stat().st_mtime)]
    if len(close) == 1:
        return folder / f"{close[0]}{ledgers.SUFFIX}"
    fact = f"'{run}' is the beginning of several runs" if close else _none_stands(run)
    raise UsageError(fact, evidence=close or names[-10:], hint="'nodeyard ps' lists what runs")


def _none_stands(run: str) -> str:
    return "no run is up" if run == "latest" else f"there is no run '{run}' that is up"


async def take_down(settings: Settings, run: str) -> tuple[str, CleanupReport]:
    """Take down a run that was handed over; its id, and what became of its resources. Raises as ``gc.take_down``.

    The run's journal goes on, and its report is written anew, where its folder is still there.
    """
    path = standing_ledger(settings, run)
    folder = RunFolder(Path(ledgers.read(path).header.folder))
    clock = SystemClock()
    deadline = clock.now() + DOWN_TIME
    emit, close = _continued(folder, clock)
    try:
        report = await carry_out_run(
            path, equip=installed_tools(settings.environment), clock=clock, deadline=deadline, emit=emit
        )
    finally:
        close()
    if folder.journal.is_file():
        write_report(folder.journal, folder.report)
    return path.stem, report


def _continued(folder: RunFolder, clock: SystemClock) -> tuple[Emit, Callable[[], None]]:
    """An ``Emit`` into the journal of a run that somebody else began, and what closes it. Without a folder: nothing."""
    if not folder.journal.is_file():
        return quiet, _nothing
    try:
        journal = Journal(folder.journal, clock=clock)
    except NodeyardError:
        return quiet, _nothing  # a folder that cannot be written must not keep its processes alive
    return EventBus(journal), journal.close


def _nothing() -> None:
    """There is no journal to close."""


async def collect_garbage(
    settings: Settings, *, dry_run: bool, older_than: float, context: str | None = None
) -> GcReport:
    """Remove what dead runs of this host left. See ``gc.collect``. With ``context`` also what runs of any host left in
    the backends that know a context of that name.
    """
    report = await collect(
        settings.state, equip=installed_tools(settings.environment), clock=SystemClock(), emit=quiet,
        dry_run=dry_run, older_than=older_than,
    )  # fmt: skip
    if context is None:
        return report
    order = Collection(settings.environment, SystemClock(), dry_run, older_than)
    known = {row.run for row in report.rows if row.action is not Action.KEPT}
    rows: list[GcRow] = []
    for plugin in installed().deployers.usable().values():
        if isinstance(plugin, CanCollect):
            rows += [_row_of(left, order) for left in await plugin.collect(context, order) if left.run not in known]
    return GcReport((*report.rows, *rows))


def _row_of(left: Leftover, order: Collection) -> GcRow:
    """What a backend told of one run, as a row among those of ledgers."""
    if left.error is not None:
        action = Action.INCOMPLETE
    elif left.live:
        action = Action.KEPT
    else:
        action = Action.WOULD_REMOVE if order.dry_run else Action.REMOVED
    judgement = Judgement.LIVE if left.live else Judgement.EXPIRED
    reason = left.error.message if left.error is not None else f"in {left.place}"
    return GcRow(left.run, Path(left.place), action, judgement, resources=left.resources, reason=reason)
