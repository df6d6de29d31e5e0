"""Ports of this machine, reserved by one lock file each, so that runs side by side never share one.

A lock is ``<cache>/ports/NUMBER`` and holds the mark of its run and who took it. It appears complete and at once (a
hard link to a file that is already written). Lives here: choosing, locking, unlocking. Must not live here: nodes.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import random
import socket
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nodeyard._aio import poll
from nodeyard._aio.clock import Clock
from nodeyard.domain.run_identity import RunMark
from nodeyard.errors.provider import ProvisioningFailed
from nodeyard.providers._clients import process, process_sweep
from nodeyard.providers._clients.process import ProcessId

LOOPBACK, ANYWHERE = "127.0.0.1", "0.0.0.0"
TAKING = 30.0
"""Seconds to wait for another run that cleans the folder; it needs milliseconds."""


@dataclass(frozen=True)
class Lock:
    """What a lock file says: whose it is, and which process took it."""

    mark: str
    owner: ProcessId

    def text(self) -> str:
        return json.dumps(
            {"mark": self.mark, "pid": self.owner.pid, "start": self.owner.start, "boot": self.owner.boot}
        )

    @staticmethod
    def parse(text: str) -> Lock | None:
        """The lock in ``text``; ``None`` where it is none."""
        try:
            data = json.loads(text)
            return Lock(str(data["mark"]), ProcessId(int(data["pid"]), int(data["start"]), str(data["boot"])))
        except (ValueError, KeyError, TypeError):
            return None


def bindable(port: int, *, strict: bool) -> bool:
    """Whether a server could listen here now, on loopback and everywhere.

    ``strict`` also refuses a port whose old connections still linger, for servers that do not ask to ignore them.
    """
    for host in (LOOPBACK, ANYWHERE):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            if not strict:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
                probe.listen(1)
            except OSError as error:
                if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                    return False
                raise
    return True


class PortLocks:
    """The lock files of one cache folder: one for each number that somebody has, ports or other things."""

    def __init__(self, cache: Path, what: str = "ports") -> None:
        self.folder = cache / what

    def taken(self) -> frozenset[int]:
        """Every number that has a lock, stale ones included."""
        try:
            return frozenset(int(name) for name in os.listdir(self.folder) if name.isdigit())
        except FileNotFoundError:
            return frozenset()

    def read(self, port: int) -> Lock | None:
        try:
            return Lock.parse((self.folder / str(port)).read_text())
        except OSError:
            return None

    def take(self, numbers: Iterable[int], mark: RunMark) -> list[int]:
        """Lock as many of these as are free, and return those. Each lock appears at once or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        owner = process.identify(os.getpid()) or ProcessId(os.getpid(), 0, process.boot_id())
        # One file with the text, linked to each number: the locks of a batch are the same text, and a link is atomic.
        draft = self.folder / f".{os.getpid()}-{random.SystemRandom().getrandbits(64):x}"
        won: list[int] = []
        try:
            draft.write_text(Lock(mark.text, owner).text())
            for number in numbers:
                with contextlib.suppress(FileExistsError):
                    os.link(draft, self.folder / str(number))
                    won.append(number)
        finally:
            draft.unlink(missing_ok=True)
        return won

    def drop_own(self, numbers: Iterable[int]) -> None:
        """Give back locks that this process took just now."""
        for number in numbers:
            (self.folder / str(number)).unlink(missing_ok=True)

    async def release(self, numbers: Collection[int], mark: RunMark, *, clock: Clock, deadline: float) -> list[int]:
        """Unlock those of these ports that hold ``mark``, and return them. Raises ``poll.Timeout``."""
        held = [number for number in numbers if self._holds(number, mark)]
        if not held:
            return []
        async with self._alone(clock, deadline):
            released = [number for number in held if self._holds(number, mark)]
            self.drop_own(released)
        return released

    async def reclaim(self, numbers: Iterable[int], *, clock: Clock, deadline: float) -> list[int]:
        """Unlock what no living run can use any more, and return those. Raises ``poll.Timeout``."""
        seen: dict[str, bool] = {}
        suspects = [number for number in numbers if self._stale(number, alive=seen)]
        if not suspects:
            return []
        async with self._alone(clock, deadline):
            alive: dict[str, bool] = {}
            stale = [number for number in suspects if self._stale(number, alive=alive)]
            self.drop_own(stale)
        return stale

    def _holds(self, number: int, mark: RunMark) -> bool:
        lock = self.read(number)
        return lock is not None and lock.mark == mark.text

    def _stale(self, number: int, *, alive: dict[str, bool]) -> bool:
        """A lock of an earlier boot, or of a run whose taker has ended and of which no process is left.

        Only the taker starts nodes, so once it has ended, no new process of the run can come to use the port.
        ``alive`` remembers what a scan said of a mark.
        """
        lock = self.read(number)
        mark = RunMark.parse(lock.mark) if lock else None
        if lock is None or mark is None or not lock.owner.boot:
            return False
        if lock.owner.boot != process.boot_id():
            return True
        if process.alive(lock.owner):
            return False
        if lock.mark not in alive:
            alive[lock.mark] = bool(process_sweep.find(mark, ()).members)
        return not alive[lock.mark]

    @contextlib.contextmanager
    def usable(self) -> Iterator[None]:
        """Around the use of locks by whoever provisions: raises ``ProvisioningFailed`` where the folder gives none."""
        try:
            yield
        except (OSError, poll.Timeout) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise ProvisioningFailed(
                f"nothing can be reserved in {self.folder}: {reason}",
                operation="provision",
                hint="free some space there, or name another folder in NODEYARD_CACHE_DIR",
            ) from error

    @contextlib.asynccontextmanager
    async def _alone(self, clock: Clock, deadline: float) -> AsyncIterator[None]:
        """Whoever removes locks does it alone: else one could remove what another has just taken anew."""
        path = self.folder.with_suffix(".lock")
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:

            async def attempt() -> poll.Done[None] | str:
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return "held by another run"
                return poll.Done(None)

            await poll.until(attempt, clock=clock, deadline=deadline, pace=poll.Pace(first=0.002, most=0.05))
            yield
        finally:
            os.close(fd)
