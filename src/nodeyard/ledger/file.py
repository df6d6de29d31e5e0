"""The file of a ledger: lines that are appended whole, the lock of whoever carries it out, and its removal at the end.

Must not live here: what the lines mean (``state``), and who may act when (``app``).
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path

from nodeyard._aio import poll
from nodeyard._aio.clock import Clock
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.bootstrap import RunFolderUnusable
from nodeyard.errors.provider import CleanupIncomplete
from nodeyard.ledger.state import CLOSED_LINE, LedgerState, replay, settle_line
from nodeyard.ports.ledger import LedgerEntry

FOLDER = "ledgers"
SUFFIX = ".jsonl"
LOG_SUFFIX = ".reaper.log"
LOCK_PACE = poll.Pace(first=0.005, most=0.1)
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def ledger_path(state_folder: Path, run: str) -> Path:
    """Where the ledger of a run is: outside the run's folder, which a person may delete."""
    return ledgers_folder(state_folder) / f"{run}{SUFFIX}"


def ledgers_folder(state_folder: Path) -> Path:
    """Where all ledgers of a user are; need not exist."""
    return state_folder.absolute() / FOLDER


def reaper_log_path(ledger: Path) -> Path:
    """Where a reaper that had to act says what it could not do; removed with the ledger."""
    return ledger.with_name(f"{ledger.stem}{LOG_SUFFIX}")


def ledger_of_log(log: Path) -> Path:
    """The ledger that a reaper's log belongs to."""
    return log.with_name(f"{log.name.removesuffix(LOG_SUFFIX)}{SUFFIX}")


def unusable(path: Path, error: OSError) -> RunFolderUnusable:
    """A failed write as a typed error."""
    hint = "free some space" if error.errno in FULL else "let this user write there, or choose another state folder"
    return RunFolderUnusable(f"the ledger {path} cannot be written: {error.strerror}", hint=hint)


class AppendFile:
    """A file that only grows, by whole lines.

    A write that the disk cut short leaves a torn line; the next one then starts on a line of its own.
    """

    def __init__(self, path: Path, fd: int, *, torn: bool = False) -> None:
        self.path = path
        self._fd = fd
        self._torn = torn
        self._owed: list[bytes] = []

    @property
    def fd(self) -> int:
        return self._fd

    def write(self, line: bytes) -> None:
        """Append lines that were owed, and this one. Raises ``RunFolderUnusable``; then this one is not there."""
        while self._owed:
            self._append(self._owed[0])
            self._owed.pop(0)
        self._append(line)

    def write_or_owe(self, line: bytes) -> None:
        """Append a line whose loss harms nobody (what it settles is found absent again); try again with the next."""
        try:
            self.write(line)
        except RunFolderUnusable:
            self._owed.append(line)

    def sync(self) -> None:
        """Return when the file survives a crash of the machine. Raises ``RunFolderUnusable``."""
        try:
            getattr(os, "fdatasync", os.fsync)(self._fd)
        except OSError as error:
            raise unusable(self.path, error) from error

    def close(self) -> None:
        """Idempotent."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _append(self, line: bytes) -> None:
        try:
            whole = b"\n" + line if self._torn else line
            written = os.write(self._fd, whole)
        except OSError as error:
            raise unusable(self.path, error) from error
        self._torn = written != len(whole)
        if self._torn:
            raise unusable(self.path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))


def create(path: Path, first: bytes) -> AppendFile:
    """A new file with its first line, which appears whole or not at all.

    Raises ``RunFolderUnusable``, also when there is a ledger of this name already.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd, draft = _open_draft(path)
    except OSError as error:
        raise unusable(path, error) from error
    file = AppendFile(path, fd)
    try:
        file.write(first)
        # Only where a descriptor is given is the link in /proc followed; an absolute path takes no heed of it.
        os.link(draft, path, src_dir_fd=fd, follow_symlinks=True)
    except FileExistsError as error:
        file.close()
        raise RunFolderUnusable(
            f"the ledger {path} exists already",
            hint="two runs cannot have one name; 'nodeyard gc' removes what a dead run left",
        ) from error
    except OSError as error:
        file.close()
        raise unusable(path, error) from error
    except NodeyardError:
        file.close()
        raise
    finally:
        if draft.parent == path.parent:
            with suppress(OSError):
                draft.unlink()
    return file


def _open_draft(path: Path) -> tuple[int, Path]:
    """A file beside ``path`` that has no name yet, so that no kill can leave it there, and a path to link it by.

    Where the kernel or the file system cannot do that it has the name of a draft, which ``gc`` knows.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
    nameless = getattr(os, "O_TMPFILE", 0)
    if nameless:
        with suppress(OSError):
            fd = os.open(path.parent, flags | nameless, 0o600)
            return fd, Path(f"/proc/self/fd/{fd}")
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    return os.open(draft, flags | os.O_CREAT | os.O_TRUNC, 0o600), draft


def read(path: Path) -> LedgerState:
    """The ledger as it stands. Raises ``FileNotFoundError`` when it was closed, ``LedgerInvalid``, ``OSError``."""
    return replay(path.read_bytes())


def try_lock(fd: int, path: Path) -> bool:
    """Take the lock of the ledger behind ``fd``, unless somebody has it.

    Raises ``FileNotFoundError`` when the ledger was closed: whoever had the lock has done everything.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    # The lock is of a file, not of a name: what was removed before we had it is nobody's ledger any more.
    named, held = os.stat(path), os.fstat(fd)
    if (named.st_dev, named.st_ino) != (held.st_dev, held.st_ino):
        raise FileNotFoundError(errno.ENOENT, "the ledger was closed", str(path))
    return True


def remove(file: AppendFile) -> None:
    """Close a ledger of which nothing is open; call with its lock held."""
    file.write_or_owe(CLOSED_LINE)
    with suppress(OSError):
        reaper_log_path(file.path).unlink()
    try:
        file.path.unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        raise unusable(file.path, error) from error


class HeldLedger:
    """A ledger whose lock we hold: the state of a run that others started, to be carried out. Use as ``with``."""

    def __init__(self, file: AppendFile, state: LedgerState) -> None:
        self._file = file
        self.state = state
        self._open = {entry.id: entry for entry in state.entries}

    @property
    def path(self) -> Path:
        return self._file.path

    def open_entries(self) -> tuple[LedgerEntry, ...]:
        """What remains, oldest first."""
        return tuple(self._open.values())

    def settle(self, entry: LedgerEntry) -> None:
        """See ``ports.ledger.Ledger.settle``."""
        if self._open.pop(entry.id, None) is not None:
            self._file.write_or_owe(settle_line(entry.id))

    def close_if_done(self) -> bool:
        """Remove the file if nothing remains; whether it did. Raises ``RunFolderUnusable``."""
        if self._open:
            return False
        remove(self._file)
        return True

    def __enter__(self) -> HeldLedger:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def try_hold(path: Path) -> HeldLedger | None:
    """Lock a ledger and read it; ``None`` while somebody else carries it out.

    Raises ``FileNotFoundError`` when it was closed, ``LedgerInvalid``, ``RunFolderUnusable`` when this user may not.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise unusable(path, error) from error
    try:
        if not try_lock(fd, path):
            os.close(fd)
            return None
        content = path.read_bytes()
        state = replay(content)
    except BaseException:
        os.close(fd)
        raise
    return HeldLedger(AppendFile(path, fd, torn=not content.endswith(b"\n")), state)


async def hold(path: Path, *, clock: Clock, deadline: float) -> HeldLedger:
    """As ``try_hold``, but wait for whoever has it until ``deadline``; then raises ``CleanupIncomplete``."""

    async def attempt() -> poll.Done[HeldLedger] | None:
        held = try_hold(path)
        return poll.Done(held) if held else None

    try:
        return await poll.until(attempt, clock=clock, deadline=deadline, pace=LOCK_PACE)
    except poll.Timeout:
        raise still_locked(path) from None


def still_locked(path: Path) -> CleanupIncomplete:
    return CleanupIncomplete(
        f"somebody else still carries out {path}", hint="a reaper or another 'nodeyard gc' is at work; try again later"
    )
