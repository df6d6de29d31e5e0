"""Three etcd nodes to ready, against a script that spawns the same three and polls ``/health``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median

from bench.measure import Row, Setup, in_turns, ratio, worker
from bench.ports import free_ports

NODES = 3
LIMIT = 1.1
CONFIG = {"heartbeat-interval": 100, "election-timeout": 1000}
"""etcd's own defaults, written out."""


@dataclass(frozen=True)
class BarePlace:
    """A place that nobody reserved."""

    data_dir: str
    ports: dict[str, int]
    config_dir: str = ""

    def listen(self, port: str) -> str:
        return f"127.0.0.1:{self.ports[port]}"

    def advertise(self, port: str) -> str:
        return self.listen(port)


def rows(setup: Setup) -> list[Row]:
    scenario = SCENARIO.format(count=NODES, config=", ".join(f"{key}: {value}" for key, value in CONFIG.items()))

    def ours() -> dict[str, float]:
        return worker("yard.etcd", setup.new_folder(), scenario=scenario)

    def bare() -> dict[str, float]:
        folder = setup.new_folder()
        commands, ports = commands_of(folder)
        return worker("bare.etcd", folder, commands=commands, ports=ports)

    if not setup.tiny:
        in_turns(1, ours, bare)  # the first time a binary is read from the disk, and its version is asked
    mine, least = in_turns(setup.count(10), ours, bare)
    same = median(f["own"] for f in (*mine, *least))
    for figures in (*mine, *least):
        figures["level"] = figures["session"] - figures["own"] + same
    return [
        ratio("etcd", what, [f[key] for f in mine], [f[key] for f in least], LIMIT)
        for key, what in (
            ("session", f"{NODES} etcd nodes to ready"),
            ("level", "the same, with the same election on both sides"),
            ("process", "the same, from the start of the process"),
        )
    ]


def own_time(logs: Iterable[Path]) -> float:
    """Seconds that etcd itself took, by its logs: from the first process to the last that serves.

    Split votes make it 0.3 to 2.6 s, by chance, so that medians of ten can be far apart with nothing behind it.
    """
    lines = [[json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")] for log in logs]
    serving = [next(entry["ts"] for entry in log if "ready to serve" in entry["msg"]) for log in lines]
    first, last = min(log[0]["ts"] for log in lines), max(serving)
    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()


def commands_of(folder: Path) -> tuple[list[list[str]], list[int]]:
    """The command lines that Nodeyard itself would render, and the client ports in them."""
    from nodeyard.domain.launch_plan import NetworkMaterial, NodePlan
    from nodeyard.kinds.etcd.kind import EtcdKind
    from nodeyard.kinds.etcd.launch import TOKEN
    from nodeyard.ports.kind import RenderRequest
    from nodeyard.providers._clients.programs import locate

    kind, numbers = EtcdKind(), free_ports(2 * NODES)
    peers = []
    for index in range(NODES):
        plan = NodePlan(f"n{index}", "etcd", index, 0, config=CONFIG, ports=kind.ports)
        client, peer = numbers[2 * index : 2 * index + 2]
        peers.append((plan, BarePlace(str(folder / f"data{index}"), {"client": client, "peer": peer})))
    found = locate(None, kind.program, base=folder, environment={})
    if found.path is None:
        raise RuntimeError(found.text)
    material = NetworkMaterial("bench", {TOKEN: folder.name})
    launches = [kind.render(RenderRequest(plan, place, peers, [], material)) for plan, place in peers]
    return [[str(found.path), *launch.args] for launch in launches], numbers[::2]


SCENARIO = """
nodeyard: 1
name: bench
kind: etcd
source:
  mode: managed
  deployer: {{type: local}}
  nodes: {{count: {count}, config: {{{config}}}}}
"""
