"""Four CometBFT validators to height 1, against a script that spawns the same four and polls ``/status``."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from bench.etcd import BarePlace
from bench.measure import Row, Setup, in_turns, ratio, worker
from bench.ports import free_ports

NODES = 4
LIMIT = 1.1


def rows(setup: Setup) -> list[Row]:
    scenario = SCENARIO.format(count=NODES)
    program = program_of(setup.folder / "cache")

    def ours() -> dict[str, float]:
        return worker("yard.cometbft", setup.new_folder(), scenario=scenario)

    def bare() -> dict[str, float]:
        folder = setup.new_folder()
        commands, ports = commands_of(folder, program)
        return worker("bare.cometbft", folder, commands=commands, ports=ports)

    if not setup.tiny:
        in_turns(1, ours, bare)  # the first time a binary is read from the disk, and its version is asked
    mine, least = in_turns(setup.count(10), ours, bare)
    return [
        ratio("cometbft", what, [f[key] for f in mine], [f[key] for f in least], LIMIT)
        for key, what in (
            ("session", f"{NODES} validators to height 1"),
            ("process", "the same, from the start of the process"),
        )
    ]


def program_of(cache: Path) -> Path:
    """The program that both sides run, made before anything is measured."""
    from nodeyard._aio.clock import SystemClock
    from nodeyard.kinds.cometbft.kind import CometbftKind
    from nodeyard.providers._clients.program_store import ProgramStore
    from nodeyard.providers._clients.programs import locate

    found = locate(None, CometbftKind.program, base=cache, environment=os.environ, cache=cache)
    if found.path is None and found.source is None:
        raise RuntimeError(found.text)
    if found.source is None:
        return found.path or cache
    return asyncio.run(ProgramStore(cache, os.environ, SystemClock()).get(found.source))


def commands_of(folder: Path, program: Path) -> tuple[list[list[str]], list[int]]:
    """The command lines and files that Nodeyard itself would render, already written, and the RPC ports in them."""
    from nodeyard.domain.launch_plan import NodePlan
    from nodeyard.domain.policy import NetworkPins
    from nodeyard.domain.run_identity import RunMark
    from nodeyard.kinds.cometbft.kind import CometbftKind
    from nodeyard.ports.kind import RenderRequest

    kind, numbers = CometbftKind(), free_ports(2 * NODES)
    peers = []
    for index in range(NODES):
        plan = NodePlan(f"v{index}", "cometbft", index, 0, ports=kind.ports)
        rpc, p2p = numbers[2 * index : 2 * index + 2]
        home = folder / plan.name
        peers.append((plan, BarePlace(str(home / "data"), {"rpc": rpc, "p2p": p2p}, str(home / "config"))))
    plans = [plan for plan, _ in peers]
    material = kind.material(plans, mark=RunMark(folder.name, "bench", "bench"), seed=1, pins=NetworkPins())
    commands = []
    for plan, place in peers:
        launch = kind.render(RenderRequest(plan, place, peers, [], material))
        for base, files in ((place.config_dir, launch.files), (place.data_dir, launch.initial)):
            Path(base).mkdir(parents=True)
            for file in files:
                (Path(base) / file.path).write_bytes(file.content)
        commands.append(["env", *(f"{k}={v}" for k, v in launch.env.items()), str(program), *launch.args])
    return commands, numbers[::2]


SCENARIO = """
nodeyard: 1
name: bench
kind: cometbft
source:
  mode: managed
  deployer: {{type: local}}
  nodes: {{count: {count}, name: "v{{index}}"}}
"""
