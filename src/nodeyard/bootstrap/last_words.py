"""What a program's last output says of why it ended. Pure.

A crash that prints its stack pushes the one line that says why out of the last lines; that line is put back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

LOOKED_AT = 200
"""Lines in which the reason is looked for."""
DISK_FULL = "no space left on device"
REASON = re.compile(rf"^(panic: |fatal error: |Traceback \(most recent)|{DISK_FULL}", re.IGNORECASE)
"""How Go and Python begin the report of a crash, and what every program prints of a full disk."""
SEE_LINES = "its last lines say why; check its config, its ports and its data folder"
SILENT = "it left no output: run it by hand, and see that the disk of --output has room for its log"
FREE_SPACE = "its disk is full: free some space, or choose another folder with --output"


def last_words(lines: Sequence[str], count: int) -> tuple[tuple[str, ...], str]:
    """The last ``count`` of some lines with the latest reason before them, and a hint."""
    tail, before = tuple(lines[-count:]), lines[:-count]
    reasons = [line for line in before if REASON.search(line)]
    full = [line for line in lines if DISK_FULL in line.lower()]
    first = full[-1:] or reasons[-1:]
    shown = tail if not first or first[0] in tail else (first[0], "...", *tail)
    return shown, FREE_SPACE if full else SEE_LINES if lines else SILENT
