"""Facts about the processes of this machine, and signals that reach the right one.

A pid alone names nobody: it is always joined with the start time of its process and the boot it belongs to. Lives here:
reading ``/proc`` and sending signals. Must not live here: what a process means to a run.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PROC = Path("/proc")
KERNEL_THREAD = 0x0020_0000
"""``PF_KTHREAD`` of the kernel's ``sched.h``."""
GONE = frozenset("ZX")
"""States of a process that has ended and only waits to be collected."""


@dataclass(frozen=True)
class ProcessId:
    """One process and no other: ``start`` is in clock ticks since the boot ``boot``."""

    pid: int
    start: int
    boot: str


@dataclass(frozen=True)
class ProcessFacts:
    """What ``/proc/PID/stat`` tells: parent, group, session, one letter of state, start in ticks since boot."""

    pid: int
    parent: int
    group: int
    session: int
    state: str
    start: int

    @property
    def ended(self) -> bool:
        return self.state in GONE


@cache
def boot_id() -> str:
    """The kernel's id of the present boot; empty where there is none."""
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def parse_stat(text: str) -> ProcessFacts:
    """Facts from a line of ``/proc/PID/stat``. The name in parentheses may itself hold spaces and parentheses."""
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    return ProcessFacts(
        pid=int(head.partition(" ")[0]),
        parent=int(fields[1]),
        group=int(fields[2]),
        session=int(fields[3]),
        state=fields[0],
        start=int(fields[19]),
    )


def facts(pid: int) -> ProcessFacts | None:
    """What is known of a process now; ``None`` when there is none with this pid."""
    try:
        # Plain calls: this runs for every process of the machine, twice per sweep.
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except OSError:
        return None
    try:
        return parse_stat(os.read(fd, 4096).decode("utf-8", "replace"))
    except (OSError, ValueError, IndexError):
        return None  # it ended between opening and reading
    finally:
        os.close(fd)


def raw_environment(pid: int) -> bytes:
    """The environment that a process was started with; empty where it is gone or not ours to read."""
    return _read(f"/proc/{pid}/environ")


def inside_execve(pid: int) -> bool:
    """Whether a process is just becoming another program: for a moment it has no environment to read.

    Always false of processes that are not ours to read.
    """
    text = _read(f"/proc/{pid}/stat").decode("utf-8", "replace")
    fields = text.rpartition(")")[2].split()
    try:
        state, flags, end_of_environment = fields[0], int(fields[6]), int(fields[48])
    except (IndexError, ValueError):
        return False  # it is gone, or an old kernel
    if state in GONE or flags & KERNEL_THREAD or end_of_environment:
        return False
    return _opens(f"/proc/{pid}/environ")


def _opens(path: str) -> bool:
    """Whether this file can be read. Its mode does not tell: the kernel asks more of whoever opens it."""
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError:
        return False
    return True


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except OSError:
        return b""


def arguments(pid: int) -> tuple[str, ...]:
    """The command line of a process; empty when it has ended."""
    raw = _read(f"/proc/{pid}/cmdline")
    return tuple(part.decode("utf-8", "replace") for part in raw.split(b"\0")[:-1])


def control_groups(pid: int) -> str:
    """The control groups of a process, as the kernel lists them; empty when it has ended."""
    return _read(f"/proc/{pid}/cgroup").decode("utf-8", "replace")


def parse_environment(raw: bytes) -> dict[str, str]:
    """Variables from the text that the kernel keeps."""
    pairs = (item.partition(b"=") for item in raw.split(b"\0") if b"=" in item)
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}


def pids() -> Iterator[int]:
    """Every pid of the machine, at about this moment."""
    with os.scandir(PROC) as found:
        yield from (int(item.name) for item in found if item.name.isdigit())


def identify(pid: int) -> ProcessId | None:
    """Who has this pid now."""
    known = facts(pid)
    return ProcessId(pid, known.start, boot_id()) if known else None


def alive(who: ProcessId) -> bool:
    """Whether exactly this process still runs (one that merely waits to be collected does not)."""
    known = facts(who.pid)
    return known is not None and who.boot == boot_id() and known.start == who.start and not known.ended


def open_pidfd(pid: int) -> int | None:
    """A handle of a process that can never come to mean another one; ``None`` where the kernel gives none.

    Raises ``ProcessLookupError`` when there is no such process.
    """
    opener = getattr(os, "pidfd_open", None)
    if opener is None:
        return None
    try:
        return int(opener(pid))
    except ProcessLookupError:
        raise
    except OSError:
        return None  # an old kernel, or a sandbox that does not permit the call


def send(who: ProcessId, number: int) -> bool:
    """Signal exactly this process; ``False`` when it is gone. Raises ``PermissionError`` when it is not ours."""
    try:
        handle = open_pidfd(who.pid)
    except ProcessLookupError:
        return False
    try:
        # The handle is held while the start time is read, so that what was read is what the signal reaches.
        if not alive(who):
            return False
        if handle is not None:
            signal.pidfd_send_signal(handle, number)
        else:
            os.kill(who.pid, number)
    except ProcessLookupError:
        return False
    finally:
        if handle is not None:
            os.close(handle)
    return True


def send_group(who: ProcessId, number: int) -> bool:
    """Signal the process group that this process leads; ``False`` when the leader is gone, and then nobody is."""
    known = facts(who.pid)
    if known is None or not alive(who) or known.group != who.pid:
        return False
    try:
        os.killpg(who.pid, number)
    except ProcessLookupError:
        return False
    return True
