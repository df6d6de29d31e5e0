"""Hypothesis strategies over small worlds: few names, addresses and peer ids, so that things collide often."""

from __future__ import annotations

from hypothesis import strategies as st

from nodeyard.domain.capability import Capability, OnConflict
from nodeyard.domain.identity import HostPort, NetworkFacts
from nodeyard.domain.node_handle import Origin, OriginClass, Sighting
from nodeyard.domain.node_inventory import NodeInventory, merge

SOURCES = {
    OriginClass.MANAGED: ["local"],
    OriginClass.ATTACHED: ["static:a.yaml", "compose:dev"],
    OriginClass.EXTERNAL: ["external"],
}
CAPABILITIES = st.frozensets(st.sampled_from(list(Capability)))
PEERS = st.none() | st.sampled_from(["p1", "p2", "p3", "p4"])
ADDRESSES = st.none() | st.builds(HostPort, st.sampled_from(["127.0.0.1", "10.0.0.1"]), st.integers(1, 4))
NAMES = st.sampled_from(["a", "b", "c", "d", "e"])


@st.composite
def origins(draw: st.DrawFn) -> Origin:
    origin = draw(st.sampled_from(list(OriginClass)))
    return Origin(
        origin,
        draw(st.sampled_from(SOURCES[origin])),
        draw(st.sampled_from(["x", "y", "z"])),
        supported=draw(CAPABILITIES),
        granted=draw(CAPABILITIES),
        exclusive=draw(st.booleans()),
        alive=draw(st.booleans()),
    )


SIGHTINGS = st.builds(
    Sighting,
    name=NAMES,
    kind=st.sampled_from(["kv", "chain"]),
    origin=origins(),
    address=ADDRESSES,
    peer_id=PEERS,
    network=st.builds(NetworkFacts, id=st.none() | st.sampled_from(["n1", "n2"])),
    former=st.lists(st.sampled_from(["p1", "p2", "old"]), max_size=1).map(tuple),
    revision=st.integers(0, 2),
)
MANY = st.lists(SIGHTINGS, max_size=12)
ON_CONFLICT = st.sampled_from(list(OnConflict))
INVENTORIES = st.builds(lambda found, rule: merge(found, on_conflict=rule), MANY, ON_CONFLICT)


def groups(inventory: NodeInventory) -> set[frozenset[Sighting]]:
    """Which sightings are one node, whatever it is called."""
    return {frozenset(node.sightings) for node in inventory}
