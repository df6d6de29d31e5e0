"""What the tests of ledgers share."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from nodeyard.domain.run_identity import RunMark
from nodeyard.ledger.host import ProcessRef
from nodeyard.ledger.ledger import FileLedger
from nodeyard.ledger.state import Header

STARTED = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
MARK = RunMark("r1", "host", "boot")


def header(mark: RunMark = MARK, runner: ProcessRef = ProcessRef(7, 70)) -> Header:
    return Header(mark, runner, "/runs/r1", "a scenario", STARTED, "/specs")


async def open_gate() -> None:
    return None


def file_ledger(state: Path, run: str = "r1") -> FileLedger:
    return FileLedger(state, header(RunMark(run, "host", "boot")), gate=open_gate)


@contextmanager
def disk_full_after(path: Path, more: int) -> Iterator[None]:
    """Lets files grow to ``more`` bytes above the size of ``path`` and no further: a write is cut short, then fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
