"""200 trivial HTTP processes to ready and down again, against a loop over ``subprocess``."""

from __future__ import annotations

import sys

from bench.measure import Row, Setup, in_turns, ratio, single, worker
from bench.ports import free_ports
from bench.toy import PROGRAM


def rows(setup: Setup) -> list[Row]:
    count = setup.size(200, 3)
    scenario = SCENARIO.format(count=count, binary=sys.executable)

    def ours() -> dict[str, float]:
        return worker("yard.toys", setup.new_folder(), scenario=scenario)

    def bare() -> dict[str, float]:
        ports = free_ports(count)
        commands = [[sys.executable, "-I", "-S", str(PROGRAM), str(port)] for port in ports]
        return worker("bare.processes", setup.new_folder(), commands=commands, ports=ports)

    mine, least = in_turns(setup.count(5), ours, bare)
    return [
        ratio("processes", f"{count} processes to ready", [f["ready"] for f in mine], [f["ready"] for f in least], 1.5),
        single("processes", f"teardown of {count}", [f["teardown"] for f in mine], 1.0, unit="s"),
        single("processes", "memory of the runner", [f["memory"] for f in mine], 100.0, unit="MB"),
    ]


SCENARIO = """
nodeyard: 1
name: bench
kind: toy
source:
  mode: managed
  deployer: {{type: local}}
  nodes: {{count: {count}, binary: "{binary}"}}
"""
