"""Which machine, which boot, which process: the facts by which the life of a run is judged.

Must not live here: what a run owns, and signals to anybody but through a verified process.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import signal
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from nodeyard.domain.run_identity import RunMark

PROC = Path("/proc")
MACHINE_IDS = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
FIRST_PID_NAMESPACE = "pid:[4026531836]"
"""The namespace of a machine's own processes (``PROC_PID_INIT_INO`` of Linux); containers have others."""


@dataclass(frozen=True)
class ProcessRef:
    """One process and no other: ``start`` is in clock ticks since the boot."""

    pid: int
    start: int


@dataclass(frozen=True)
class Host:
    """A place whose process numbers mean the same to everybody in it, between two boots."""

    host: str
    boot: str


@cache
def this_host() -> Host:
    """Here and now. Two containers of one machine are two hosts, because they do not see each other's processes."""
    return Host(_host_id(), _read(PROC / "sys/kernel/random/boot_id") or "none")


def _host_id() -> str:
    machine = next(filter(None, map(_read, MACHINE_IDS)), "") or platform.node() or "unknown"
    try:
        namespace = os.readlink(PROC / "self/ns/pid")
    except OSError:
        namespace = FIRST_PID_NAMESPACE
    if namespace != FIRST_PID_NAMESPACE:
        # Containers of one image may share a machine id, and those of two machines the number of their namespace.
        known = f"{machine} {platform.node()} {namespace}"
        return f"c-{hashlib.blake2s(known.encode(), digest_size=12).hexdigest()}"
    return re.sub(r"[^A-Za-z0-9.-]", "-", machine)


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def new_mark(run: str) -> RunMark:
    """The mark of a run that this process starts."""
    here = this_host()
    return RunMark(run, here.host, here.boot)


def process_start(pid: int) -> int | None:
    """When a process started, in ticks since the boot; ``None`` when it does not run (any more)."""
    try:
        stat = (PROC / str(pid) / "stat").read_bytes()
        fields = stat.rpartition(b")")[2].split()
        return None if fields[0] in (b"Z", b"X") else int(fields[19])
    except (OSError, ValueError, IndexError):
        return None


def this_process() -> ProcessRef:
    """The calling process."""
    return ProcessRef(os.getpid(), process_start(os.getpid()) or 0)


def is_alive(who: ProcessRef) -> bool:
    """Whether exactly this process runs, on this boot of this host."""
    return process_start(who.pid) == who.start


def signal_exactly(who: ProcessRef, number: int) -> bool:
    """Signal this process and no later one with its pid; ``False`` when it is gone or is not ours to signal."""
    opener = getattr(os, "pidfd_open", None)
    handle: int | None = None
    try:
        # The handle is held while the start time is read, so that what was read is what the signal reaches.
        handle = opener(who.pid) if opener else None
        if not is_alive(who):
            return False
        if handle is None:
            os.kill(who.pid, number)
        else:
            signal.pidfd_send_signal(handle, number)
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        if handle is not None:
            os.close(handle)
    return True
