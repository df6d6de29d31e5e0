"""The command line: verbs, options, printing. No logic: that is ``app``'s. Importing this imports next to nothing."""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False  # as of ``typing``, whose import would take as long as all else here
if TYPE_CHECKING:
    from collections.abc import Sequence

HELP = os.path.join(os.path.dirname(__file__), "help.txt")
"""What ``nodeyard --help`` prints from 80 columns on; ``make docs`` writes it, and a test compares."""
WIDE = 80
COLLECT = (50_000, 20, 100)
"""When to look for garbage in cycles. What a run makes lives as long as the run: at the interpreter's own pace, a run
of a thousand nodes spent a fifth of its time on looking, and found nothing."""


def main(argv: Sequence[str] | None = None) -> None:
    """The entry point ``nodeyard``; ends the process with one of the exit statuses of ``errors.base``."""
    if (sys.argv[1:] if argv is None else argv) == ["--help"] and _columns() >= WIDE:
        with open(HELP, encoding="utf-8") as file:
            sys.stdout.write(file.read())
        sys.exit(0)
    gc.set_threshold(*COLLECT)
    from nodeyard.cli.group import invoke

    sys.exit(invoke(argv))


def _columns() -> int:
    """Those of the terminal; what is written elsewhere has as many as the text needs."""
    try:
        return os.get_terminal_size(sys.__stdout__.fileno() if sys.__stdout__ else 1).columns or WIDE
    except (OSError, ValueError):
        return WIDE
