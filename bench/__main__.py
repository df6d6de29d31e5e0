"""``python -m bench [NAME...] [--json] [--tiny] [--pairs N]``: run benchmarks and show their figures."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import (
    cometbft,
    commands,
    containers,
    endpoints,
    etcd,
    kubernetes,
    linearizable,
    load,
    merging,
    processes,
    reporting,
    tx_flow,
)
from bench.measure import Row, Setup, document, table

BENCHES = {
    "etcd": etcd.rows,
    "cometbft": cometbft.rows,
    "tx-flow": tx_flow.rows,
    "processes": processes.rows,
    "endpoints": endpoints.rows,
    "commands": commands.rows,
    "merge": merging.rows,
    "report": reporting.rows,
    "load": load.rows,
    "kubernetes": kubernetes.rows,
    "containers": containers.rows,
    "linearizable": linearizable.rows,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0 when every target is met, 1 when one is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=(__doc__ or "").partition(": ")[2])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}; all when none is given")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout, with every sample")
    parser.add_argument("--tiny", action="store_true", help="least sizes: shows that it works, measures nothing")
    parser.add_argument("--pairs", type=int, help="how many pairs each comparison takes")
    options = parser.parse_args(argv)
    if unknown := [name for name in options.names if name not in BENCHES]:
        parser.error(f"no benchmark '{unknown[0]}'; there are {', '.join(BENCHES)}")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="nodeyard-bench-") as folder:
        setup = Setup(Path(folder), tiny=options.tiny, pairs=options.pairs)
        for name in options.names or BENCHES:
            print(f"{name} ... (load {os.getloadavg()[0]:.1f})", file=sys.stderr, flush=True)
            rows += BENCHES[name](setup)
    print(json.dumps(document(rows), indent=2) if options.json else table(rows))
    return int(any(row.met is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
