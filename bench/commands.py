"""The commands that must feel instant, against an interpreter that starts and does nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.measure import ROOT, Row, Setup, in_turns, ratio

SCENARIO = str(ROOT / "examples" / "quickstart.yaml")


def rows(setup: Setup) -> list[Row]:
    nodeyard = str(Path(sys.executable).with_name("nodeyard"))
    sides = (
        timed([sys.executable, "-c", "pass"]),
        timed([nodeyard, "--help"]),
        timed([nodeyard, "validate", SCENARIO]),
    )
    if not setup.tiny:
        in_turns(2, *sides)  # compiled modules and file caches
    nothing, shown, validated = in_turns(setup.count(20), *sides)
    return [
        ratio("commands", "nodeyard --help", shown, nothing, 3.0),
        ratio("commands", "nodeyard validate", validated, nothing, 10.0),
    ]


def timed(argv: Sequence[str]) -> Callable[[], float]:
    def run() -> float:
        begin = time.monotonic()
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        return time.monotonic() - begin

    return run
