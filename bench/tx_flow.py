"""Transactions at a steady rate on four validators: how long until each node has each of them, against a bare loop."""

from __future__ import annotations

from bench import cometbft
from bench.measure import Row, Setup, in_turns, ratio, worker

LIMIT = 1.05
RATE = 20
"""Transactions in a second."""


def rows(setup: Setup) -> list[Row]:
    seconds = setup.size(10, 2)
    scenario = cometbft.SCENARIO.format(count=cometbft.NODES) + TRAFFIC.format(seconds=seconds, rate=RATE)
    program = cometbft.program_of(setup.folder / "cache")

    def ours() -> dict[str, float]:
        return worker("yard.tx_flow", setup.new_folder(), scenario=scenario)

    def bare() -> dict[str, float]:
        folder = setup.new_folder()
        commands, ports = cometbft.commands_of(folder, program)
        return worker("bare.tx_flow", folder, commands=commands, ports=ports, rate=RATE, seconds=seconds)

    mine, least = in_turns(setup.count(5), ours, bare)
    return [
        ratio("tx-flow", what, [f[key] for f in mine], [f[key] for f in least], LIMIT)
        for key, what in (("median", f"inclusion at {RATE}/s, median"), ("mean", "the same, mean"))
    ]


TRAFFIC = """
steps:
  - run:
      for: {seconds}s
      workloads: [{{use: tx-flow, rate: {rate}/s}}]
"""
