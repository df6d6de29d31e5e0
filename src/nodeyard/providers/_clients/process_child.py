"""A process that we started: its end is an event, and nobody else can be hit by what was meant for it.

Lives here: spawning, watching, signalling one child. Must not live here: nodes, ledgers, retries.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from nodeyard.providers._clients import process


def exit_text(info: os.waitid_result) -> str:
    """``exit status 2``, or ``killed by SIGKILL``."""
    if info.si_code == os.CLD_EXITED:
        return f"exit status {info.si_status}"
    try:
        return f"killed by {signal.Signals(info.si_status).name}"
    except ValueError:
        return f"killed by signal {info.si_status}"


class Child:
    """One running child, leader of its own session and process group. Belongs to the event loop that spawned it.

    Until it is collected (which only this class does) its pid can't come to mean anybody else, so signals to it and to
    its group are safe exactly while ``ended`` is false.
    """

    def __init__(self, pid: int, on_end: Callable[[str], None]) -> None:
        self.pid = pid
        self.id = process.identify(pid) or process.ProcessId(pid, 0, process.boot_id())
        self.status = ""
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[str] = self._loop.create_future()
        self._pidfd = process.open_pidfd(pid)
        if self._pidfd is not None:
            self._loop.add_reader(self._pidfd, self._collect)
        else:
            threading.Thread(target=self._wait_in_thread, daemon=True, name=f"wait-{pid}").start()

    @property
    def ended(self) -> bool:
        return bool(self.status)

    async def wait(self) -> str:
        """Return how it ended, once it has. Cancelling the wait does not touch the child."""
        return await asyncio.shield(self._ended)

    def signal(self, number: int) -> None:
        """Signal the process itself. No effect once it has ended."""
        if not self.ended:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number) if self._pidfd is None else signal.pidfd_send_signal(self._pidfd, number)

    def signal_group(self, number: int) -> None:
        """Signal its whole process group. No effect once it has ended."""
        if not self.ended:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def release(self) -> None:
        """Stop watching, for good; the process itself is left as it is."""
        if self._pidfd is not None:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None

    def _collect(self) -> None:
        """Called once the leader has ended: take the rest of its group along, then collect it."""
        if self.ended:
            return
        # While the leader is not collected its number is still reserved for this group, so this hits nobody else. A
        # node is its whole group: what stays behind would hold its ports and its data against the next start.
        with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody left, or a member that changed its user
            os.killpg(self.pid, signal.SIGKILL)
        info = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG)
        if info is None:
            return
        self.release()
        self.status = exit_text(info)
        self._ended.set_result(self.status)
        self._on_end(self.status)

    def _wait_in_thread(self) -> None:
        """For kernels without pidfd: one thread that waits and leaves the collecting to the loop."""
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with contextlib.suppress(RuntimeError):  # the loop was closed, and with it everybody who would want to know
            self._loop.call_soon_threadsafe(self._collect)


@cache
def _keep_inherited_to_ourselves() -> None:
    """Mark what our own parent left open as close-on-exec too: a node would hold a shell's or make's pipe open."""
    for name in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError):  # the descriptor of the listing itself is closed by now
            if int(name) > 2:
                os.set_inheritable(int(name), False)


def spawn(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdout: int,
    stderr: int,
    on_end: Callable[[str], None],
    stdin: int = subprocess.DEVNULL,
) -> Child:
    """Start a program in a session of its own; the descriptors of files become its own.

    Raises ``OSError`` when it cannot be started; then no process is left.
    """
    _keep_inherited_to_ourselves()
    # close_fds=False on purpose. Every descriptor of ours is close-on-exec (PEP 446), so the program gets none of
    # them; but between fork and exec the child still holds the pipe that the reaper listens on. If we are killed in
    # that moment the pipe closes only when the child has become the program, with the run's mark in its environment,
    # and so the reaper cannot look too early. It also lets the standard library use vfork, which is faster.
    child = subprocess.Popen(
        list(argv),
        cwd=cwd,
        env=dict(env),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        close_fds=False,
        start_new_session=True,
    )
    # We collect it ourselves, by pidfd. Without this the object would complain about, and later collect, a running pid.
    child.returncode = 0
    return Child(child.pid, on_end)
