"""Merging sightings into an inventory: fast enough not to be noticed, and linear."""

from __future__ import annotations

import time

from bench.measure import Row, Setup, in_turns, ratio, single
from nodeyard.domain.identity import HostPort
from nodeyard.domain.node_handle import Origin, OriginClass, Sighting
from nodeyard.domain.node_inventory import NodeInventory


def rows(setup: Setup) -> list[Row]:
    count = setup.size(10_000, 40)
    whole, half = sightings(count), sightings(count // 2)
    large, small = in_turns(setup.count(9), lambda: seconds(whole, count), lambda: seconds(half, count // 2))
    return [
        single("merge", f"{count} nodes from {2 * count} sightings", large, 1.0, unit="s"),
        ratio("merge", "the same, against half as many", large, small, 2.5),
    ]


def sightings(count: int) -> list[Sighting]:
    """Two of each node, from two sources: by the same peer id, and at the same address."""
    made: list[Sighting] = []
    for source in ("one", "two"):
        for number in range(count):
            origin = Origin(OriginClass.EXTERNAL, source, f"line {number}")
            address = HostPort("127.0.0.1", 1 + number)
            made.append(Sighting(f"{source}-{number}", "toy", origin, address=address, peer_id=f"peer-{number}"))
    return made


def seconds(given: list[Sighting], nodes: int) -> float:
    begin = time.monotonic()
    inventory = NodeInventory().merged(given)
    after = time.monotonic()
    if len(inventory) != nodes:
        raise RuntimeError(f"{len(inventory)} nodes instead of {nodes}")
    return after - begin
