"""Which managed nodes are validators, and whether a network can be made of them. Pure.

A network's first validators stand in its genesis. So a node that joins a network which somebody else made is a full
node, and a validator that is to start later counts as absent until then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nodeyard.domain.launch_plan import NodePlan
from nodeyard.domain.sources import Scalar
from nodeyard.kinds.cometbft.genesis import power_of
from nodeyard.kinds.cometbft.settings import GENESIS, GENESIS_NUMBERS, POWER

VALIDATOR, FULL = "validator", "full"
ROLES = (VALIDATOR, FULL)


def role_of(node: NodePlan, *, joining: bool) -> str:
    """The role of a node that may not name one: a validator where a network is made and the node starts at once."""
    return node.role or (FULL if joining or node.on_demand else VALIDATOR)


def shared_settings(nodes: Sequence[NodePlan]) -> Mapping[str, Scalar]:
    """The settings of the genesis that these nodes name. Where they differ, the first one counts; see ``problems``."""
    shared: dict[str, Scalar] = {}
    for node in nodes:
        for key in GENESIS_NUMBERS.keys() & node.config.keys():
            shared.setdefault(key, node.config[key])
    return shared


def problems(nodes: Sequence[NodePlan], *, joining: bool) -> tuple[str, ...]:
    """Why no network can be made of these nodes, or why they cannot join one."""
    return tuple(_joining(nodes) if joining else _founding(nodes))


def _joining(nodes: Sequence[NodePlan]) -> list[str]:
    validators = [node.name for node in nodes if node.role == VALIDATOR]
    found = []
    if validators:
        found.append(
            f"{', '.join(validators)}: the validators of a borrowed cometbft network stand in its own genesis"
            " - leave 'role' out, or say 'role: full'"
        )
    settings = {key: node.name for node in nodes for key in sorted(GENESIS & node.config.keys())}
    found += [
        f"{node}: '{key}' belongs to the genesis, which the borrowed network has already - leave it out"
        for key, node in settings.items()
    ]
    return found


def _founding(nodes: Sequence[NodePlan]) -> list[str]:
    validators = [node for node in nodes if role_of(node, joining=False) == VALIDATOR]
    if not validators:
        return ["a new cometbft network needs at least one node with role 'validator' that starts at once"]
    found = [
        f"{node.name}: a full node has no '{POWER}' - leave it out, or say 'role: validator'"
        for node in nodes
        if node not in validators and POWER in node.config
    ]
    total = sum(map(power_of, validators))
    present = sum(power_of(node) for node in validators if not node.on_demand)
    if 3 * present <= 2 * total:
        found.append(
            f"the validators that start at once have {present} of {total} voting power, and blocks need more than two "
            "thirds - let more of them start, or give those power"
        )
    shared = shared_settings(nodes)
    found += [
        f"{node.name}: '{key}' is {node.config[key]} here and {value} on another node, and the genesis has only one"
        for key, value in sorted(shared.items())
        for node in nodes
        if node.config.get(key, value) != value
    ]
    return found
