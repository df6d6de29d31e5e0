"""The ledger of a live run, as its runner writes it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from nodeyard._aio import poll
from nodeyard._aio.clock import Clock
from nodeyard.domain.run_identity import RunMark
from nodeyard.ledger import file as files
from nodeyard.ledger import state as lines
from nodeyard.ledger.host import ProcessRef
from nodeyard.ledger.state import Detached, Header
from nodeyard.ports.ledger import Json, LedgerEntry

Gate = Callable[[], Awaitable[None]]
"""Returns once a reaper watches. Raises ``ReaperUnavailable``."""


def outlives_boot(entry: LedgerEntry) -> bool:
    """The default of ``FileLedger(durable=...)``: a change on somebody else's side is there after a crash as well."""
    return entry.inverse


class FileLedger:
    """``ports.ledger.Ledger`` over the file of ``file.ledger_path``. Made by one runner, in one event loop.

    ``durable`` picks the entries that are forced to the disk before ``record`` returns, because what they name
    outlives the boot; the others survive the end of any process, which is enough for what ends with the boot.
    """

    def __init__(
        self,
        state_folder: Path,
        header: Header,
        *,
        gate: Gate,
        durable: Callable[[LedgerEntry], bool] = outlives_boot,
    ) -> None:
        """Creates the file. Raises ``RunFolderUnusable``."""
        self._header = header
        self._gate = gate
        self._durable = durable
        self._open: dict[str, LedgerEntry] = {}
        self._count = 0
        self._file = files.create(files.ledger_path(state_folder, header.mark.run), lines.header_line(header))

    @property
    def mark(self) -> RunMark:
        return self._header.mark

    @property
    def path(self) -> Path:
        return self._file.path

    async def record(
        self, by: str, type: str, *, node: str | None, data: Mapping[str, Json], inverse: bool = False
    ) -> LedgerEntry:
        """See ``ports.ledger.Ledger.record``."""
        self._count += 1
        entry = LedgerEntry(f"e{self._count}", by, type, node, dict(data), inverse)
        self._file.write(lines.open_line(entry))
        self._open[entry.id] = entry
        try:
            if self._durable(entry):
                await asyncio.to_thread(self._file.sync)
            await self._gate()
        except BaseException:
            self.settle(entry)  # the caller never learns of it, so the act will not happen
            raise
        return entry

    def amend(self, entry: LedgerEntry, data: Mapping[str, Json]) -> LedgerEntry:
        """See ``ports.ledger.Ledger.amend``. On a full disk it is written later; the mark finds the resource."""
        known = self._open.get(entry.id)
        if known is None:
            return lines.amended(entry, data)
        self._open[entry.id] = lines.amended(known, data)
        self._file.write_or_owe(lines.amend_line(entry.id, data))
        return self._open[entry.id]

    def settle(self, entry: LedgerEntry) -> None:
        """See ``ports.ledger.Ledger.settle``. On a full disk it is written later; it would be found absent."""
        if self._open.pop(entry.id, None) is not None:
            self._file.write_or_owe(lines.settle_line(entry.id))

    def open_entries(self) -> tuple[LedgerEntry, ...]:
        """What remains, oldest first, with amendments applied."""
        return tuple(self._open.values())

    def note_reaper(self, reaper: ProcessRef) -> None:
        """Write who watches now, for people to read. On a full disk it is written later."""
        self._file.write_or_owe(lines.reaper_line(reaper))

    def note_detached(self, ttl: float) -> Detached:
        """Write that the run goes on without its runner for ``ttl`` seconds. Raises ``RunFolderUnusable``."""
        detached = Detached(ttl, time.time() + ttl)
        self._file.write(lines.detached_line(detached))
        return detached

    def note_over(self) -> None:
        """Write that this runner has given the run up, although its process may go on. No effect after ``close``."""
        self._file.write_or_owe(lines.OVER_LINE)

    async def lock(self, *, clock: Clock, deadline: float) -> None:
        """Become the one who carries it out. Kept until ``close``.

        Raises ``CleanupIncomplete`` when somebody else holds it until ``deadline``, ``FileNotFoundError`` when
        somebody else has carried it out and closed it.
        """

        async def attempt() -> poll.Done[None] | None:
            return poll.Done(None) if files.try_lock(self._file.fd, self.path) else None

        try:
            await poll.until(attempt, clock=clock, deadline=deadline, pace=files.LOCK_PACE)
        except poll.Timeout:
            raise files.still_locked(self.path) from None

    def close(self) -> bool:
        """Let go of the file; ``True`` when nothing was open and it was removed. Call with the lock held.

        With something open it is left to others, and says that this runner has given the run up. Raises
        ``RunFolderUnusable`` when it cannot be removed. Idempotent.
        """
        if self._file.fd < 0:
            return not self._open
        try:
            if self._open:
                self.note_over()
            else:
                files.remove(self._file)
            return not self._open
        finally:
            self._file.close()

    def abandon(self) -> None:
        """Let go of the file and leave it to others, whatever is open. Idempotent."""
        self._file.close()
