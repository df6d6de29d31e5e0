"""``history.jsonl``: written while traffic goes on without slowing it, read at any time, also after a crash.

Lives here: the file. Must not live here: what an operation is (``domain.history``), and deciding from it.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nodeyard.domain.history import HistoryRecord, record_of
from nodeyard.errors.bootstrap import RunFolderUnusable
from nodeyard.errors.runtime import HistoryDamaged
from nodeyard.observability.redaction import Redactor

EVERY = 0.1
"""Seconds that a line may wait before it is written: what a runner that is killed can lose."""
MANY = 256
"""Lines that are written at once, without waiting for the time to pass."""
PRECISION = 9
"""Digits after the point of a time: nanoseconds, so that rounding changes no order."""


class HistoryFile:
    """Takes the lines of a history. Use it inside a running loop, and ``close`` it.

    Lines go to the file in bunches, each by one write: a death of this process loses those of the last ``EVERY``
    seconds, and what was written stays. The first line makes the file. Raises ``RunFolderUnusable``, once, when it
    cannot be made or written; after that lines are dropped.
    """

    def __init__(self, path: Path, *, redactor: Redactor | None = None) -> None:
        self.path = path
        self._redactor = redactor or Redactor()
        self._lines: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        self._problem: RunFolderUnusable | None = None
        self._encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, default=str).encode
        self._file: int | None = None
        self._over = False

    def record(self, record: HistoryRecord) -> None:
        """Take one line."""
        if self._problem is not None:
            problem, self._problem = self._problem, None
            raise problem
        if self._over:
            return
        self._lines.append(self._encode(_document(record)))
        if len(self._lines) >= MANY:
            self._write()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(EVERY, self._write)

    def close(self) -> None:
        """Write what is left; idempotent. Raises ``RunFolderUnusable`` when that fails."""
        self._write()
        self._end()
        if self._problem is not None:
            problem, self._problem = self._problem, None
            raise problem

    def _write(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._lines = self._lines, []
        if not lines or self._over:
            return
        text = self._redactor.text("\n".join(lines)) + "\n"
        left = memoryview(text.encode("utf-8", "backslashreplace"))
        try:
            if self._file is None:
                self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            while left:
                left = left[os.write(self._file, left) :]
        except OSError as error:
            self._problem = _unusable(self.path, error)
            self._end()

    def _end(self) -> None:
        self._over = True
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _document(record: HistoryRecord) -> dict[str, Any]:
    """As ``record.document()``, with rounded times; written out, because traffic waits for it."""
    return {
        "index": record.index,
        "type": record.type,
        "client": record.client,
        "node": record.node,
        "op": record.op,
        "key": record.key,
        "value": record.value,
        "intended": round(record.intended, PRECISION),
        "at": round(record.at, PRECISION),
        "result": record.result,
    }


def _unusable(path: Path, error: OSError) -> RunFolderUnusable:
    return RunFolderUnusable(
        f"the history {path} cannot be written: {error.strerror or error}",
        operation="history",
        hint="free some space or choose another folder with --output",
    )


def read_history(path: Path) -> tuple[HistoryRecord, ...]:
    """Every line of a history, also of a run that goes on; a torn last line is passed over.

    Join them to operations with ``domain.history.joined``. Raises ``RunFolderUnusable`` for a file that cannot be read
    and ``HistoryDamaged`` for a line in its middle that is none: nothing can be decided from a record with holes.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RunFolderUnusable(
            f"the history {path} cannot be read: {error.strerror or error}",
            operation="history",
            hint="a run without traffic has none; 'nodeyard ps' lists the runs whose folders are known",
        ) from None
    return tuple(_records(content, path))


def _records(content: bytes, path: Path) -> Iterator[HistoryRecord]:
    lines = content.split(b"\n")
    lines.pop()  # empty after a whole last line, else torn by a death in the middle of a write
    decode = json.JSONDecoder().decode  # json.loads would look for the encoding of each line
    for number, line in enumerate(lines, 1):
        try:
            yield record_of(decode(line.decode("utf-8")))
        except (ValueError, KeyError, TypeError) as error:
            raise HistoryDamaged(
                f"line {number} of {path} is no line of a history",
                operation="history",
                evidence=[line[:200].decode("utf-8", "replace")],
                hint="something else has written to this file",
            ) from error
