"""A short command: its output, its status, its deadline. Leaves no process behind."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from nodeyard.providers._clients.process_child import Child, spawn

LONGEST = 16 * 1024 * 1024
"""Bytes of output that are read at most; a command that prints more is cut."""


@dataclass(frozen=True)
class Finished:
    """How a command ended: ``code`` as a shell counts it (128 + signal when killed), and ``status`` in words."""

    code: int
    status: str
    stdout: str
    stderr: str


def _code(status: str) -> int:
    word = status.rpartition(" ")[2]
    if status.startswith("exit status"):
        return int(word)
    return 128 + (int(word) if word.isdigit() else signal.Signals[word].value)


def _text(file: IO[bytes]) -> str:
    # pread, because the child moved the offset of the file that we share.
    return os.pread(file.fileno(), LONGEST, 0).decode("utf-8", "replace")


async def run_briefly(
    argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float, text: str = ""
) -> Finished:
    """Run a command to its end. ``text`` is what it reads. All goes through unnamed files: no grandchild holds us up.

    Raises ``OSError`` when it cannot be started and ``TimeoutError`` after ``timeout`` seconds; then, and when
    cancelled, its process group is killed.
    """
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(text.encode())
        given.seek(0)
        child = spawn(
            argv,
            cwd=cwd,
            env=env,
            stdin=given.fileno(),
            stdout=out.fileno(),
            stderr=err.fileno(),
            on_end=lambda status: None,
        )
        try:
            async with asyncio.timeout(timeout):
                status = await child.wait()
        finally:
            await _end(child)
        return Finished(_code(status), status, _text(out), _text(err))


async def _end(child: Child) -> None:
    child.signal_group(signal.SIGKILL)
    await child.wait()
