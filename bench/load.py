"""The load generator against a bare aiohttp loop that makes the same calls of the same etcd."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from bench import bare
from bench.etcd import commands_of
from bench.measure import Row, Setup, in_turns, ratio, single, worker

CLIENTS = 16
KEYS = 16
HELD_RATE = 200
"""Operations a second that a loaded machine of two cores holds as well."""
SLOWER = 1 / 0.8
LATENCY_OFF = 1.0


def rows(setup: Setup) -> list[Row]:
    lasts = setup.size(4, 1)
    with cluster(setup.new_folder()) as ports:

        def sides(model: dict[str, int]) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
            asked = {"ports": ports, "clients": CLIENTS, "keys": KEYS, "lasts": lasts, **model}

            def ours() -> dict[str, float]:
                return worker("yard.load", setup.new_folder(), scenario=scenario(asked))

            def least() -> dict[str, float]:
                return worker("bare.load", setup.new_folder(), **asked)

            mine, theirs = in_turns(setup.count(5), ours, least)
            return mine, theirs

        mine, theirs = sides({})
        held, bare_held = sides({"rate": HELD_RATE})
    off = [1000 * (a["p50"] - b["p50"]) for a, b in zip(held, bare_held, strict=True)]
    return [
        ratio("load", f"time per operation, {CLIENTS} clients", [1 / f["rate"] for f in mine],
              [1 / f["rate"] for f in theirs], SLOWER),
        single("load", f"median latency beyond the bare loop's, {HELD_RATE}/s", [median(off)], LATENCY_OFF, unit="ms"),
        ratio("load", f"median latency, {HELD_RATE}/s", [f["p50"] for f in held], [f["p50"] for f in bare_held], None),
        ratio("load", f"p99 of latency, {HELD_RATE}/s", [f["p99"] for f in held], [f["p99"] for f in bare_held], None),
    ]  # fmt: skip


@contextmanager
def cluster(folder: Path) -> Iterator[list[int]]:
    """Three etcd nodes that stand for the whole benchmark; gives their client ports."""
    commands, ports = commands_of(folder)
    with bare.started(commands, folder):
        bare.all_healthy(ports)
        yield ports


def scenario(asked: dict[str, object]) -> str:
    """The phase of the other side as a scenario over nodes that are there."""
    load = {"use": "kv-register", "clients": asked["clients"], "keys": asked["keys"], "mix": {"read": 1, "write": 1}}
    load |= {"rate": f"{asked['rate']}/s"} if "rate" in asked else {}
    nodes = [
        {"name": f"n{i}", "endpoints": {"client": f"http://127.0.0.1:{port}"}}
        for i, port in enumerate(asked["ports"])  # type: ignore[arg-type]
    ]
    return json.dumps(
        {
            "nodeyard": 1,
            "name": "bench",
            "kind": "etcd",
            "source": {"mode": "external-only", "external": nodes},
            "run": {"for": f"{asked['lasts']}s", "workloads": [load]},
        }
    )
