"""The command line: verbs, options, printing. No logic: that is ``app``'s. Importing this imports next to nothing."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> None:
    """The entry point ``nodeyard``; ends the process with one of the exit statuses of ``errors.base``."""
    from nodeyard.cli.group import invoke

    sys.exit(invoke(argv))
