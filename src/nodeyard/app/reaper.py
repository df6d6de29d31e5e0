"""Carries out the ledger of a run that its runner does not end itself: the reaper's program, and ``nodeyard down``.

Must not live here: watching a runner (``reaper_watch``, ``reaper_link``) and judging dead runs (``gc``).
"""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from nodeyard._aio import poll
from nodeyard._aio.clock import Clock, SystemClock
from nodeyard.bootstrap.cleanup import CleanupReport, RemoverOf, carry_out
from nodeyard.domain.events import Event
from nodeyard.domain.secrets import SecretSource
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import LedgerInvalid
from nodeyard.ledger.file import HeldLedger, hold, reaper_log_path
from nodeyard.ledger.state import LedgerState
from nodeyard.ports.ledger import RemovalContext
from nodeyard.ports.observer import Emit

PATIENCE = 60.0
"""Seconds that a reaper tries; after them the ledger is left to ``gc``."""
ATTEMPT = 30.0
"""Seconds for one try."""
PACE = poll.Pace(first=0.25, factor=2.0, most=8.0)


@dataclass(frozen=True)
class Tools:
    """What carrying out one ledger needs."""

    remover_of: RemoverOf
    secrets: SecretSource


Equip = Callable[[LedgerState], AbstractAsyncContextManager[Tools]]
"""Makes the tools for one ledger: its secrets start from its own folder, and it opens only what its entries need."""


def installed_tools(environment: Mapping[str, str]) -> Equip:
    """Tools over the installed plugins, and over the values that ``environment`` holds for ``env:`` secrets."""

    @asynccontextmanager
    async def equip(state: LedgerState) -> AsyncIterator[Tools]:
        from nodeyard.app.config import Secrets
        from nodeyard.app.registry import installed
        from nodeyard.kinds._http import HttpTransport

        base = Path(state.header.base)
        secrets = Secrets(environment, base)
        transport = HttpTransport(secrets, base)
        tools = Tools(installed().removers(transport), secrets)
        if not any(entry.by.startswith("kind:") for entry in state.entries):
            yield tools  # only kinds use the transport, and opening it takes as long as all the rest
            return
        async with transport:
            yield tools

    return equip


async def carry_out_ledger(
    held: HeldLedger, *, remover_of: RemoverOf, secrets: SecretSource, clock: Clock, deadline: float, emit: Emit
) -> CleanupReport:
    """Remove what a held ledger lists, and close it if nothing remains. ``deadline`` is a time of ``clock``.

    Raises ``RunFolderUnusable`` when everything is gone and the ledger itself cannot be removed.
    """
    context = RemovalContext(held.state.header.mark, clock, secrets, deadline)
    report = await carry_out(held, remover_of, context, emit)
    held.close_if_done()
    return report


async def reap(path: Path, *, equip: Equip, clock: Clock, patience: float = PATIENCE) -> bool:
    """Carry out a ledger, again and again until nothing remains or for ``patience`` seconds; whether it is gone.

    What keeps it from being done stands in the reaper's log beside the ledger, which goes with it.
    """
    deadline = clock.now() + patience

    async def attempt() -> poll.Done[None] | None:
        try:
            with await hold(path, clock=clock, deadline=deadline) as held:
                async with equip(held.state) as tools:
                    report = await carry_out_ledger(
                        held,
                        remover_of=tools.remover_of,
                        secrets=tools.secrets,
                        clock=clock,
                        deadline=min(clock.now() + ATTEMPT, deadline),
                        emit=quiet,
                    )
        except FileNotFoundError:
            return poll.Done(None)  # somebody else has done everything
        except LedgerInvalid:
            raise
        except NodeyardError as error:
            note(path, str(error).splitlines(), clock.utc())
            return None
        if report.complete:
            return poll.Done(None)
        note(path, str(report.error()).splitlines(), clock.utc())
        return None

    try:
        await poll.until(attempt, clock=clock, deadline=deadline, pace=PACE)
    except LedgerInvalid as error:
        note(path, str(error).splitlines(), clock.utc())
        return False
    except poll.Timeout:
        note(path, ["given up; 'nodeyard gc' tries again"], clock.utc())
        return False
    with suppress(OSError):  # it was opened for us before somebody else had closed the ledger
        reaper_log_path(path).unlink()
    return True


def quiet(_: Event) -> None:
    """Nobody listens where a reaper works; what matters stands in its log."""


def note(ledger: Path, lines: Sequence[str], at: datetime) -> None:
    """Add to the log of the reaper. A disk that takes nothing must not keep it from removing more."""
    try:
        with reaper_log_path(ledger).open("a", encoding="utf-8") as log:
            log.writelines(f"{at.isoformat(timespec='milliseconds')} {line}\n" for line in lines)
    except OSError:
        return


def main(argv: Sequence[str]) -> int:
    """Carry out the ledger named by ``argv[0]``; 0 when it is gone."""
    path = Path(argv[0])
    try:
        from nodeyard.app.config import Settings

        equip = installed_tools(Settings.load().environment)
        return 0 if asyncio.run(reap(path, equip=equip, clock=SystemClock())) else 1
    except Exception:  # noqa: BLE001 - there is no terminal here; a defect must be found where people look
        note(path, traceback.format_exc().splitlines(), datetime.now(UTC))
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
