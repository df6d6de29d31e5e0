"""Lines of a node's log that tell of an error, with the time that they state themselves. Of no kind.

What it knows are the ways in which most software writes levels and times: JSON and logfmt levels, words in capitals,
letters in front (``E[2030-01-02|03:04:05.678]``), panics of Go, tracebacks of Python.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

LEVEL = re.compile(
    r"""["']?(?:level|lvl|severity)["']?\s*[:=]\s*["']?(?:error|err|fatal|panic|critical|dpanic)\b"""
    r"""|(?<![\w./-])(?:ERROR|FATAL|PANIC|CRITICAL|SEVERE)(?![\w./-])|^\[?(?:ERR|ERRO|FTL)\]?\b|\[(?:ERR|FTL)\]"""
    r"""|^[EF](?=\[\d{4}-|\d{4}\s)|^panic:|^fatal error:|^Traceback \(most recent call last\)""",
)
TIME = re.compile(r"(\d{4})[-/](\d\d)[-/](\d\d)[T |](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?(Z|[+-]\d\d:?\d\d)?")
LONGEST = 300
READ_BYTES = 2 * 1024 * 1024
"""How much of the end of a log file is searched."""
MOST = 50
"""Lines of one node that are told; the log has all of them."""


@dataclass(frozen=True)
class LogErrors:
    """The first error lines of a log. ``at`` are seconds since the run began."""

    at: tuple[float, ...]
    lines: tuple[str, ...]
    left_out: int


def find(lines: Sequence[str], *, began: datetime) -> LogErrors | None:
    """Errors written since ``began`` (aware of its time zone), or ``None``. A line without a time has that of the one
    before it; times without a zone are local, as their writers mean them.
    """
    found: list[tuple[float, str]] = []
    last = 0.0
    for line in lines:
        stated = _stated(line)
        if stated is not None:
            last = (stated - began).total_seconds()
        if last >= 0 and LEVEL.search(line):
            found.append((round(last, 3), line.strip()[:LONGEST]))
    if not found:
        return None
    shown = found[:MOST]
    return LogErrors(tuple(at for at, _ in shown), tuple(text for _, text in shown), len(found) - len(shown))


def _stated(line: str) -> datetime | None:
    match = TIME.search(line[:400])
    if match is None:
        return None
    year, month, day, clock, fraction, zone = match.groups()
    text = f"{year}-{month}-{day}T{clock}.{(fraction or '0')[:6]:0<6}"
    try:
        return datetime.fromisoformat(text + (zone or "").replace("Z", "+00:00")).astimezone()
    except ValueError:
        return None


def find_in(files: Sequence[Path], *, began: datetime) -> LogErrors | None:
    """The errors in the ends of log files; a file that is not there, or cannot be read, has none."""
    lines: list[str] = []
    for path in files:
        try:
            with path.open("rb") as file:
                file.seek(max(0, file.seek(0, 2) - READ_BYTES))
                lines += file.read().decode("utf-8", "replace").splitlines()
        except OSError:
            continue  # what could not be read is told by the evidence
    return find(lines, began=began)
