"""How a CometBFT node is launched: network material, files, command line. Pure.

``--home`` names the folder of rendered files, where CometBFT looks for ``config.toml``; the variable ``CMTHOME`` names
the data folder, below which it puts everything that it writes itself. So the rendered files may be read-only.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from nodeyard.domain.launch_plan import AT_RUN, FileToWrite, LaunchPlan, NetworkMaterial, NodePlan, StopPolicy
from nodeyard.domain.policy import NetworkPins
from nodeyard.domain.run_identity import RunMark
from nodeyard.domain.sources import Scalar
from nodeyard.kinds.cometbft import genesis, keys, members, settings
from nodeyard.ports.kind import RenderRequest

GENESIS, ORIGIN = "genesis", "keys"
"""Facts of the material: the genesis as JSON text, and what keys are derived from."""
PEER_ID, P2P, ROLE = "peer_id", "p2p", "role"
"""What the material tells of each node: its peer id, the peer address of a borrowed one, the role of a managed one."""
EVERYONE = 6
"""So many managed nodes are told of all others; more are told of their neighbours in a ring beside their seeds."""
GRACE = 10.0
"""Seconds that a node may take to end; it takes 20 ms."""

NODE_KEY, VALIDATOR_KEY, VALIDATOR_STATE = "node_key.json", "priv_validator_key.json", "priv_validator_state.json"


@dataclass(frozen=True)
class Adopted:
    """A borrowed network: ``document`` is its genesis as JSON text, ``borrowed`` how each of its nodes is reached."""

    network: str
    document: str
    borrowed: Mapping[str, Mapping[str, str]]


def material(nodes: Sequence[NodePlan], *, mark: RunMark, seed: int, pins: NetworkPins) -> NetworkMaterial:
    """Keys and genesis of a new network."""
    origin = _origin(mark, seed)
    chain = pins.id or genesis.chain_id(mark.run)
    validators = [
        (node, keys.derive(origin, node.name, keys.VALIDATOR))
        for node in nodes
        if members.role_of(node, joining=False) == members.VALIDATOR
    ]
    text = genesis.document(chain, validators, members.shared_settings(nodes))
    return NetworkMaterial(chain, {GENESIS: text, ORIGIN: origin}, _per_node(nodes, origin, joining=False))


def own_material(nodes: Sequence[NodePlan], *, mark: RunMark, seed: int) -> NetworkMaterial:
    """Keys of nodes that enter a network whose genesis is not known yet."""
    origin = _origin(mark, seed)
    return NetworkMaterial(AT_RUN, {GENESIS: "", ORIGIN: origin}, _per_node(nodes, origin, joining=True))


def adopted(own: NetworkMaterial, found: Adopted) -> NetworkMaterial:
    """Our own keys together with the genesis and the peers of somebody else's network."""
    return NetworkMaterial(found.network, {**own.facts, GENESIS: found.document}, {**found.borrowed, **own.per_node})


def _origin(mark: RunMark, seed: int) -> str:
    """Two runs with one seed may stand in one network, and one peer id may be there only once."""
    return f"{mark.text}/{seed}"


def _per_node(nodes: Sequence[NodePlan], origin: str, *, joining: bool) -> dict[str, Mapping[str, str]]:
    return {
        node.name: {
            PEER_ID: keys.derive(origin, node.name, keys.NODE).address,
            ROLE: members.role_of(node, joining=joining),
        }
        for node in nodes
    }


def render(request: RenderRequest) -> LaunchPlan:
    """The launch plan of one node."""
    node, place, material = request.node, request.place, request.material
    validates = material.per_node[node.name][ROLE] == members.VALIDATOR
    values: dict[str, Scalar] = {
        **settings.FAST,
        **{key: value for key, value in node.config.items() if key not in settings.GENESIS},
        "moniker": node.name,
        "genesis_file": f"{place.config_dir}/genesis.json",
        "node_key_file": f"{place.config_dir}/{NODE_KEY}",
        "priv_validator_key_file": f"{place.config_dir if validates else place.data_dir}/{VALIDATOR_KEY}",
        "priv_validator_state_file": f"{place.data_dir}/{VALIDATOR_STATE}",
        "rpc.laddr": f"tcp://{place.listen('rpc')}",
        "p2p.laddr": f"tcp://{place.listen('p2p')}",
        "p2p.persistent_peers": ",".join(peers_of(request)),
    }
    values.setdefault("proxy_app", "kvstore")
    if is_ip(place.advertise("p2p")):
        values["p2p.external_address"] = place.advertise("p2p")
    return LaunchPlan(
        node.name,
        "cometbft",
        ("start", f"--home={place.config_dir}"),
        env={**node.env, "CMTHOME": place.data_dir},
        files=tuple(_files(request, settings.as_toml(values), validates=validates)),
        initial=(FileToWrite(VALIDATOR_STATE, keys.unsigned_state_file(), secret=True),) if validates else (),
        stop=StopPolicy(grace=GRACE),
    )


def _files(request: RenderRequest, config: str, *, validates: bool) -> Iterator[FileToWrite]:
    name, material = request.node.name, request.material
    yield FileToWrite("config.toml", config.encode())
    yield FileToWrite("genesis.json", material.facts[GENESIS].encode())
    node_key = keys.derive(material.facts[ORIGIN], name, keys.NODE)
    yield FileToWrite(NODE_KEY, keys.node_key_file(node_key), secret=True)
    if validates:
        validator = keys.derive(material.facts[ORIGIN], name, keys.VALIDATOR)
        yield FileToWrite(VALIDATOR_KEY, keys.validator_key_file(validator), secret=True)


def is_ip(address: str) -> bool:
    """Whether a ``host:port`` has no name in it. CometBFT ends when it cannot look up the name that it is told as its
    own, and names of containers may not be known yet when these begin.
    """
    try:
        ipaddress.ip_address(address.rpartition(":")[0].strip("[]"))
    except ValueError:
        return False
    return True


def peers_of(request: RenderRequest) -> tuple[str, ...]:
    """The persistent peers of one node, as ``id@host:port``: its seeds, and what keeps a network of ours in one piece.

    A ring in both directions connects all nodes whatever the seeds are, and whichever of two neighbours comes up later
    finds the address of the other.
    """
    known = request.material.per_node
    told: dict[str, str] = {}
    for seed in request.seeds:
        facts = known.get(seed.node, {})
        peer, address = facts.get(PEER_ID) or seed.peer_id, seed.addresses.get(P2P) or facts.get(P2P)
        if peer and address:
            told[peer] = address
    ring = sorted(request.peers, key=lambda pair: pair[0].index)
    here = next((i for i, (plan, _) in enumerate(ring) if plan.name == request.node.name), 0)
    steps = range(1, len(ring)) if len(ring) <= EVERYONE else (1, -1)
    if not any(ROLE not in facts for facts in known.values()):  # a borrowed network needs no ring of ours
        for step in steps:
            plan, place = ring[(here + step) % len(ring)]
            told.setdefault(known[plan.name][PEER_ID], place.advertise(P2P))
    return tuple(f"{peer}@{address}" for peer, address in told.items())
