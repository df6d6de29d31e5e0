"""One side of one pair, in a process of its own: ``python -m bench.worker MODULE.FUNCTION JSON BORN``.

The function gets the JSON object and the moment at which this process was started (on the machine's monotonic clock),
and gives its figures, which go to stdout as one line of JSON.
"""

from __future__ import annotations

import gc
import json
import sys
from importlib import import_module

from nodeyard.cli import COLLECT


def main() -> None:
    side, asked, born = sys.argv[1:]
    if side.startswith("yard."):
        gc.set_threshold(*COLLECT)
    module, _, function = side.rpartition(".")
    figures = getattr(import_module(f"bench.{module}"), function)(json.loads(asked), float(born))
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
