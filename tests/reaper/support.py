"""What the tests of reaper and gc share: runners that can be killed, processes whose end is awaited, fake removers."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from nodeyard.app.reaper import Equip, Tools
from nodeyard.domain.secrets import Secret
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import CleanupIncomplete
from nodeyard.ledger.file import ledger_path, read
from nodeyard.ledger.state import LedgerState
from nodeyard.ports.ledger import LedgerEntry, RemovalContext, Removed, Remover
from nodeyard.providers._clients import process

RUNNER = Path(__file__).with_name("runner.py")
PATIENCE = 30.0
"""Seconds that a test waits for what must come, on however busy a machine."""


class Watched:
    """A process whose end can be awaited without being its parent."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._handle = os.pidfd_open(pid)

    def ends(self, within: float = PATIENCE) -> bool:
        poller = select.poll()
        poller.register(self._handle, select.POLLIN)
        return bool(poller.poll(within * 1000))

    @property
    def runs(self) -> bool:
        return not self.ends(0.0)

    def signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, number)

    def close(self) -> None:
        self.signal(signal.SIGKILL)
        self.ends()
        os.close(self._handle)


@dataclass
class RunnerProcess:
    """``runner.py`` in a process of its own; ``watched`` are all processes that came of it."""

    state: Path
    run: str
    watched: list[Watched] = field(default_factory=list)

    def __post_init__(self) -> None:
        argv = [sys.executable, str(RUNNER), str(self.state), self.run]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        assert self.read() == "ready"

    @property
    def ledger(self) -> Path:
        return ledger_path(self.state, self.run)

    @property
    def ledger_state(self) -> LedgerState:
        return read(self.ledger)

    def read(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def ask(self, line: str) -> str:
        self.tell(line)
        return self.read()

    def tell(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")

    def node(self, word: str = "start") -> Watched:
        """One more process of the run."""
        return self.watch(int(self.ask(word)))

    def reaper(self) -> Watched:
        """The process that watches over it now, by what the ledger says; call once something was recorded."""
        reaper = self.ledger_state.reaper
        assert reaper
        return self.watch(reaper.pid)

    def watch(self, pid: int) -> Watched:
        self.watched.append(Watched(pid))
        return self.watched[-1]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        """Let it come to its own end."""
        assert self.process.stdin
        self.process.stdin.close()
        return self.process.wait()

    def close(self) -> None:
        """Leave nothing behind, whatever the test left."""
        self.kill()
        for one in reversed(self.watched):
            one.close()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe
            pipe.close()


def runs(pid: int) -> bool:
    known = process.facts(pid)
    return known is not None and not known.ended


class NoSecrets:
    def reveal(self, secret: Secret) -> str:
        raise AssertionError(f"nobody should ask for {secret}")


@dataclass
class FakeRemover:
    """Fails as often as ``failures`` says, then removes; remembers what it was asked for."""

    failures: int = 0
    calls: list[list[str]] = field(default_factory=list)
    contexts: list[RemovalContext] = field(default_factory=list)
    during: Callable[[], object] = lambda: None

    async def remove(
        self, entries: Sequence[LedgerEntry], context: RemovalContext
    ) -> Mapping[str, Removed | NodeyardError]:
        self.calls.append([entry.id for entry in entries])
        self.contexts.append(context)
        self.during()
        self.failures -= 1
        if self.failures >= 0:
            return {entry.id: CleanupIncomplete("it would not go") for entry in entries}
        return {entry.id: Removed(absent=False, detail="gone") for entry in entries}


def equip_with(removers: Mapping[str, Remover], seen: list[LedgerState] | None = None) -> Equip:
    @asynccontextmanager
    async def equip(state: LedgerState) -> AsyncIterator[Tools]:
        if seen is not None:
            seen.append(state)
        yield Tools(removers.get, NoSecrets())

    return equip
