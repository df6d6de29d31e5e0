"""1,000 given endpoints identified and ready, against the same requests gathered."""

from __future__ import annotations

import json
import sys

from bench.measure import Row, Setup, in_turns, ratio, running, single, worker


def rows(setup: Setup) -> list[Row]:
    count = setup.size(1000, 5)
    with running([sys.executable, "-m", "bench.server", str(count)]) as server:
        assert server.stdout is not None
        ports = json.loads(server.stdout.readline())
        scenario = SCENARIO + "".join(
            f'    - {{name: e{number}, endpoints: {{api: "http://127.0.0.1:{port}"}}}}\n'
            for number, port in enumerate(ports)
        )

        def ours() -> dict[str, float]:
            return worker("yard.toys", setup.new_folder(), scenario=scenario)

        def bare() -> dict[str, float]:
            return worker("bare.endpoints", setup.new_folder(), ports=ports)

        mine, least = in_turns(setup.count(5), ours, bare)
    what = f"{count} endpoints identified and ready"
    return [
        ratio("endpoints", what, [f["ready"] for f in mine], [f["ready"] for f in least], 1.5),
        single("endpoints", "memory of the runner", [f["memory"] for f in mine], None, unit="MB"),
    ]


SCENARIO = """
nodeyard: 1
name: bench
kind: toy
source:
  mode: external-only
  external:
"""
