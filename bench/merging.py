"""Merging sightings into an inventory: fast enough not to be noticed, and linear."""

from __future__ import annotations

import gc
import time

from bench.measure import Row, Setup, in_turns, ratio, single
from nodeyard.domain.identity import HostPort
from nodeyard.domain.node_handle import Origin, OriginClass, Sighting
from nodeyard.domain.node_inventory import NodeInventory

FAR = (2, 4)
"""Times the number of nodes that is asked for: where neither size fits into the processor's cache, whose end alone
makes the step from 5,000 to 10,000 nodes look like more than twice as much."""


def rows(setup: Setup) -> list[Row]:
    count = setup.size(10_000, 40)
    asked, (half, whole) = sightings(count), [sightings(times * count) for times in FAR]
    (took,) = in_turns(setup.count(9), lambda: seconds(asked, count))
    large, small = in_turns(
        setup.count(5), lambda: seconds(whole, FAR[1] * count), lambda: seconds(half, FAR[0] * count)
    )
    return [
        single("merge", f"{count} nodes from {2 * count} sightings", took, 1.0, unit="s"),
        ratio("merge", f"{FAR[1] * count} nodes, against half as many", large, small, 2.5),
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
    gc.collect()
    gc.freeze()  # the collector would walk through the input of the other size as well
    begin = time.monotonic()
    inventory = NodeInventory().merged(given)
    after = time.monotonic()
    gc.unfreeze()
    if len(inventory) != nodes:
        raise RuntimeError(f"{len(inventory)} nodes instead of {nodes}")
    return after - begin
