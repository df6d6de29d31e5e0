"""SIGINT, SIGTERM and SIGHUP of a runner: once ends the run in order, twice ends the process at once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from nodeyard.errors.base import ExitStatus

if TYPE_CHECKING:
    from nodeyard.app.session import Session

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ONCE = "{by}: taking everything down; once more ends this process at once, and the reaper takes over"


@contextmanager
def ended_by_signals(session: Session, say: Callable[[str], None]) -> Iterator[None]:
    """Handle signals for ``session`` inside the block. Call in a running loop of the main thread."""
    loop = asyncio.get_running_loop()
    seen: list[int] = []

    def handle(number: signal.Signals) -> None:
        if seen:
            session.abort(number.name)
            # Without any cleanup of the interpreter: the pipe to the reaper closes, and the ledger says what remains.
            os._exit(int(ExitStatus.INTERRUPTED))
        seen.append(number)
        say(ONCE.format(by=number.name))
        session.interrupt(number.name)

    for number in NUMBERS:
        loop.add_signal_handler(number, partial(handle, number))
    try:
        yield
    finally:
        for number in NUMBERS:
            loop.remove_signal_handler(number)
