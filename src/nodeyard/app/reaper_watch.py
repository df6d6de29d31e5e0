"""The watching half of the reaper: waits for the end of one runner, then becomes ``nodeyard.app.reaper``.

Started as ``python -I -S reaper_watch.py LEDGER CONTROL ACK RUNNER PATH...``: the ledger's file, the two descriptors of
its pipes, the runner's pid, and where the runner found its modules. Uses a handful of built-in modules, because the
first resource of a run waits for it.

On CONTROL it is told ``finish`` (nothing remains: it ends) or ``detach SECONDS`` (the runner goes away on purpose: it
waits until the time is over or the ledger is gone). The end of CONTROL means that the runner is dead. On ACK it says
``ready`` and ``detached``; the end of ACK means that nobody watches.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time

DEAD = -1.0
READY = b"ready\n"
DETACHED = b"detached\n"
GRACE = 2.0
"""Seconds that the pipe may outlive the runner: a child that was forked and is not yet its program holds it, and must
have become that program, with its mark, before anybody looks. A child that is never anything else holds it for ever.
"""
LOOK = 0.5
"""Seconds between two looks whether a handed-over ledger is still there. A timer and not a notification: it needs no
scarce kernel object for hours, and it works on every file system.
"""
BECOME = (
    "import sys; sys.path += [p for p in sys.argv[2:] if p not in sys.path]; "
    "from nodeyard.app.reaper import main; sys.exit(main(sys.argv[1:2]))"
)
"""The runner's own module paths go after those of the interpreter, so that it finds what the runner found."""


def main(argv: list[str]) -> int:
    """Watch; returns the exit status if nothing is to be done, and otherwise becomes another program."""
    ledger, control, ack, runner, paths = argv[0], int(argv[1]), int(argv[2]), int(argv[3]), argv[4:]
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    for end in (control, ack):
        os.set_inheritable(end, False)
    held = hold_file(ledger)
    say(ack, READY)
    ttl = listen(control, runner)
    if ttl is None:
        return 0
    if ttl >= 0:
        say(ack, DETACHED)
        wait_for_end(ledger, held, now() + ttl)
    if is_there(ledger, held):
        become_reaper(ledger, paths)
    return 0


def listen(control: int, runner: int) -> float | None:
    """Return ``None`` when nothing remains to do, ``DEAD``, or how many seconds to go on without the runner."""
    waiting = select.poll()
    waiting.register(control, select.POLLIN)
    handle = runner_handle(runner)
    if handle is not None:
        waiting.register(handle, select.POLLIN)
    told, limit = b"", None
    while ready := [fd for fd, _ in waiting.poll(limit)]:
        if control in ready:
            heard = os.read(control, 4096)
            if not heard:
                break
            told += heard
            if b"\n" in told:
                word, _, number = told.partition(b"\n")[0].partition(b" ")
                return None if word == b"finish" else max(float(number), 0.0)
        elif handle is not None:
            waiting.unregister(handle)
            limit = GRACE * 1000
    return DEAD


def runner_handle(runner: int) -> int | None:
    """A handle of the runner that tells its end; ``None`` where the kernel gives none, or when it is too late."""
    try:
        handle = os.pidfd_open(runner)
    except (AttributeError, OSError):
        return None
    # Only now is it certain that the handle is the runner's: had it died before, somebody else would be our parent.
    return handle if os.getppid() == runner else None


def wait_for_end(ledger: str, held: int, until: float) -> None:
    """Return when the time is over, or when somebody else has carried out the ledger and closed it."""
    pause = select.poll()
    while (left := until - now()) > 0 and is_there(ledger, held):
        pause.poll(min(left, LOOK) * 1000)


def now() -> float:
    """Seconds that also pass while the machine is suspended."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def hold_file(ledger: str) -> int:
    """A descriptor of the ledger, so that its inode cannot come to mean another run's; -1 when it is gone."""
    try:
        return os.open(ledger, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return -1


def is_there(ledger: str, held: int) -> bool:
    """Whether the ledger that we hold is still the one of this name."""
    try:
        return held >= 0 and os.path.samestat(os.stat(ledger), os.fstat(held))
    except FileNotFoundError:
        return False


def say(ack: int, word: bytes) -> None:
    """Tell the runner, which may be dead by now."""
    try:
        os.write(ack, word)
    except OSError:
        return


def become_reaper(ledger: str, paths: list[str]) -> None:
    """Does not return, unless that fails. What the interpreter itself complains of goes to the reaper's log."""
    try:
        log = ledger.removesuffix(".jsonl") + ".reaper.log"
        os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), 2)
    except OSError:
        pass  # a full disk, say: then without it
    # -E and -P: neither a variable nor a file in the folder may decide which modules it gets.
    os.execv(sys.executable, [sys.executable, "-E", "-P", "-c", BECOME, ledger, *paths])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
