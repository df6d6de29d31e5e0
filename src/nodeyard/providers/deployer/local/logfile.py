"""Reading what a node printed: the last lines of its two files, without reading the rest."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

BLOCK = 1 << 16
LONGEST_LINE = 2000
"""Characters shown of one line."""


def last_lines(path: Path, count: int) -> list[str]:
    """The last ``count`` lines of a file; none where there is no file."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            data = b""
            while end > 0 and data.count(b"\n") <= count:
                step = min(BLOCK, end)
                end -= step
                file.seek(end)
                data = file.read(step) + data
    except FileNotFoundError:
        return []
    return _lines(data)[-count:] if count else []


def _lines(data: bytes) -> list[str]:
    return [line[:LONGEST_LINE] for line in data.decode("utf-8", "replace").splitlines()]


def all_lines(path: Path) -> list[str]:
    try:
        return _lines(path.read_bytes())
    except FileNotFoundError:
        return []


def output(files: Sequence[Path], tail: int | None) -> list[str]:
    """The output of several files as one: the file written to last comes last, since its end is what came last."""
    ordered = sorted((path for path in files if path.exists()), key=lambda path: path.stat().st_mtime_ns)
    if tail is None:
        return [line for path in ordered for line in all_lines(path)]
    found: list[str] = []
    for path in reversed(ordered):
        if len(found) >= tail:
            break
        found = last_lines(path, tail - len(found)) + found
    return found
