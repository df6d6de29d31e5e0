"""The runner's end of the reaper: starts the watching process, keeps one there, and tells it how the run ended.

Must not live here: what the watcher does (``reaper_watch``) and what a reaper removes (``reaper``).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from nodeyard._aio import poll
from nodeyard._aio.clock import Clock
from nodeyard._aio.tasks import give_way
from nodeyard.domain.events import ReaperReady, ReaperReplaced
from nodeyard.domain.run_identity import MARK_VARIABLE
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.bootstrap import ReaperUnavailable
from nodeyard.ledger.gate import ReaperGate
from nodeyard.ledger.host import ProcessRef, process_start
from nodeyard.ledger.ledger import FileLedger
from nodeyard.ports.observer import Emit

WATCHER = Path(__file__).with_name("reaper_watch.py")
ACK = 10.0
"""Seconds that a watcher may take to answer; it needs about 0.02."""
ENDING = 5.0
"""Seconds that a watcher may take to end once it was told to."""
COLLECTING = 10.0
"""Seconds between closing its descriptors and being collectable; on an idle machine these are microseconds."""
ATTEMPTS = 3
STEADY = 5.0
"""A watcher that lived this many seconds was no failed attempt, whatever ended it."""
HINT = "is something ending processes of this user, or is a limit on processes or memory reached?"


class Watcher:
    """One watching process, our child. Its end is the end of its ACK pipe, which works on every kernel."""

    def __init__(self, ledger: Path, environment: Mapping[str, str], on_end: Callable[[], None]) -> None:
        """Starts it. Raises ``OSError``; then nothing is left of it."""
        self._loop = asyncio.get_running_loop()
        self._on_end = on_end
        self._heard = b""
        self._changed = asyncio.Event()
        self._collected = False
        self.ended = False
        with contextlib.ExitStack() as undo:
            control, self._control = _pipe(undo)
            self._ack, ack = _pipe(undo)
            self.pid = _spawn(ledger, control, ack, environment)
            undo.pop_all()
        os.close(control)
        os.close(ack)
        os.set_blocking(self._ack, False)
        self._loop.add_reader(self._ack, self._hear)
        self.ref = ProcessRef(self.pid, process_start(self.pid) or 0)

    def tell(self, line: str) -> None:
        """Write one line. No effect when it has ended."""
        if self._control >= 0:
            with contextlib.suppress(BrokenPipeError):
                os.write(self._control, line.encode() + b"\n")

    async def says(self, word: str) -> bool:
        """Wait until it said ``word``; ``False`` when it ended instead."""
        while word not in self._heard.decode().split("\n")[:-1]:
            if self.ended:
                return False
            await self._next_change()
        return True

    async def wait(self) -> None:
        """Return once it has ended."""
        while not self.ended:
            await self._next_change()

    def kill(self) -> None:
        """End it by force, before its pipe closes, so that it does not take us for dead."""
        if not self._collected:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    async def collect(self, clock: Clock) -> None:
        """Collect it once it has ended, and close what remains of its pipes."""

        async def attempt() -> poll.Done[None] | None:
            return poll.Done(None) if self._try_collect() else None

        try:
            with contextlib.suppress(poll.Timeout):
                pace = poll.Pace(first=0.001, most=0.02)
                await poll.until(attempt, clock=clock, deadline=clock.now() + COLLECTING, pace=pace)
        finally:
            self.let_go()

    def let_go(self) -> None:
        """Close our ends. A watcher that was told nothing takes it as our death. Idempotent."""
        self._stop_hearing()
        if self._control >= 0:
            os.close(self._control)
            self._control = -1
        if not self._try_collect():
            # It outlives this link, and its number stays taken until somebody waits for it.
            self._collected = True
            threading.Thread(target=_wait_for, args=(self.pid,), daemon=True, name=f"reaper-{self.pid}").start()

    async def _next_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _hear(self) -> None:
        try:
            heard = os.read(self._ack, 4096)
        except BlockingIOError:
            return
        self._heard += heard
        if not heard:
            self._stop_hearing()
            self._on_end()
        self._changed.set()

    def _stop_hearing(self) -> None:
        if self._ack >= 0:
            self._loop.remove_reader(self._ack)
            os.close(self._ack)
            self._ack = -1
            self.ended = True

    def _try_collect(self) -> bool:
        if not self._collected:
            try:
                self._collected = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG) is not None
            except ChildProcessError:  # somebody who waits for any child was quicker
                self._collected = True
        return self._collected


def _pipe(undo: contextlib.ExitStack) -> tuple[int, int]:
    ends = os.pipe()
    for end in ends:
        undo.callback(os.close, end)
    return ends


def _spawn(ledger: Path, control: int, ack: int, environment: Mapping[str, str]) -> int:
    paths = dict.fromkeys(os.path.abspath(path) for path in sys.path)
    argv = [sys.executable, "-I", "-S", str(WATCHER), str(ledger), str(control), str(ack), str(os.getpid()), *paths]
    child = subprocess.Popen(
        argv,
        cwd="/",
        env={name: value for name, value in environment.items() if name != MARK_VARIABLE},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(control, ack),
        start_new_session=True,
    )
    child.returncode = 0  # it is collected here, and may outlive this process without a warning
    return child.pid


def _wait_for(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitid(os.P_PID, pid, os.WEXITED)


class ReaperLink:
    """Keeps a reaper watching over one run. ``async with link:`` around everything that the run makes.

    Entering returns at once; whoever makes something waits at the gate. Leaving without ``finish`` or ``detach`` tells
    the reaper that this run was given up: it carries out the ledger. Trouble shows at the gate alone and never ends
    the block; what the block raises passes through as it is, which a ``TaskGroup`` would not let it.
    """

    def __init__(
        self,
        ledger: FileLedger,
        gate: ReaperGate,
        *,
        clock: Clock,
        environment: Mapping[str, str],
        emit: Emit | None = None,
    ) -> None:
        """``environment`` is the reaper's: it holds what ``env:`` secrets and adapters need."""
        self._ledger = ledger
        self._gate = gate
        self._clock = clock
        self._environment = environment
        self._emit = emit
        self._watcher: Watcher | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._until: float | None = None
        self._handed_over = False
        self._lost = ""

    @property
    def pid(self) -> int | None:
        """The process that watches now."""
        return self._watcher.pid if self._watcher is not None else None

    async def __aenter__(self) -> Self:
        self._keeper = asyncio.create_task(self._keep(), name="reaper-link")
        # The watcher starts while the runner goes on preparing, and the first resource need not wait for it.
        try:
            await give_way()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self._stop_keeping()
        finally:
            watcher, self._watcher = self._watcher, None
            if watcher is not None:
                watcher.let_go()

    async def detach(self, ttl: float) -> None:
        """Hand the run over: the reaper carries it out in ``ttl`` seconds unless somebody does so earlier.

        Returns once a reaper has agreed. Raises ``ReaperUnavailable`` or ``RunFolderUnusable``; then nothing is handed
        over. Idempotent.
        """
        if self._handed_over:
            return
        if self._until is None:
            self._ledger.note_detached(ttl)
            self._until = self._clock.now() + ttl
        try:
            async with asyncio.timeout(ACK):
                while not await self._hand_over():
                    continue
        except TimeoutError:
            raise ReaperUnavailable("the reaper did not agree to take the run over", hint=HINT) from None
        self._handed_over = True

    async def finish(self) -> None:
        """Nothing remains: end the reaper and return once it has ended. No effect after ``detach``. Idempotent."""
        if self._handed_over:
            return
        await self._stop_keeping()
        watcher, self._watcher = self._watcher, None
        if watcher is None:
            return
        watcher.tell("finish")
        try:
            async with asyncio.timeout(ENDING):
                await watcher.wait()
        except TimeoutError:
            watcher.kill()
        finally:
            await watcher.collect(self._clock)

    async def _hand_over(self) -> bool:
        await self._gate()
        watcher = self._watcher
        if watcher is None or self._until is None:
            raise ReaperUnavailable("the run was finished or left already", hint="hand over inside the block")
        watcher.tell(f"detach {max(0.0, self._until - self._clock.now()):.3f}")
        return await watcher.says("detached")

    async def _stop_keeping(self) -> None:
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait({keeper})

    async def _keep(self) -> None:
        failures = 0
        try:
            while failures < ATTEMPTS:
                started = self._clock.now()
                self._lost = await self._watch_once()
                failures = 1 if self._clock.now() - started >= STEADY else failures + 1
        except Exception as error:  # noqa: BLE001 - whoever waits at the gate must learn of it
            self._lost = f"{type(error).__name__}: {error}"
        self._gate.fail(
            ReaperUnavailable(
                "no reaper watches over this run, so nothing may be made", evidence=[self._lost], hint=HINT
            )
        )

    async def _watch_once(self) -> str:
        """Keep one watcher for as long as it lives; returns why there is none any more."""
        try:
            watcher = Watcher(self._ledger.path, self._environment, self._gate.shut)
        except OSError as error:
            return f"{sys.executable} cannot be started: {error.strerror or error}"
        self._watcher = watcher
        why = await self._attend(watcher)
        self._gate.shut()
        self._watcher = None
        await watcher.collect(self._clock)
        return why

    async def _attend(self, watcher: Watcher) -> str:
        try:
            async with asyncio.timeout(ACK):
                ready = await watcher.says("ready")
        except TimeoutError:
            watcher.kill()
            return f"the watching process {watcher.pid} did not answer within {ACK:g} s"
        if not ready:
            return f"the watching process {watcher.pid} ended before it answered"
        self._ledger.note_reaper(watcher.ref)
        if self._handed_over and self._until is not None:
            watcher.tell(f"detach {max(0.0, self._until - self._clock.now()):.3f}")
        self._gate.open()
        self._tell_observers(watcher.pid)
        await watcher.wait()
        return f"the watching process {watcher.pid} ended"

    def _tell_observers(self, pid: int) -> None:
        if self._emit is not None:
            # A journal that cannot be written ends the run by its own words, not as trouble with the reaper.
            with contextlib.suppress(NodeyardError):
                self._emit(ReaperReplaced(pid=pid, reason=self._lost) if self._lost else ReaperReady(pid=pid))
