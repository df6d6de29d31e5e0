"""The genesis: making one, and telling two apart. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from nodeyard.domain.launch_plan import NodePlan
from nodeyard.domain.sources import Scalar
from nodeyard.kinds.cometbft.keys import Key
from nodeyard.kinds.cometbft.settings import GENESIS_NUMBERS, INITIAL_HEIGHT, POWER, POWER_DEFAULT

LONGEST_CHAIN_ID = 50
"""``types.MaxChainIDLen``."""
GENESIS_TIME = "2024-01-01T00:00:00Z"
"""Any moment in the past will do: a validator waits for a genesis time that is still to come."""
PARAMS = "consensus_params."


def chain_id(run: str) -> str:
    """A chain id that no other run has, not longer than CometBFT allows."""
    plain = f"nodeyard-{run}"
    if len(plain) <= LONGEST_CHAIN_ID:
        return plain
    return f"{plain[:37]}-{hashlib.sha256(run.encode()).hexdigest()[:12]}"


def document(chain: str, validators: Sequence[tuple[NodePlan, Key]], shared: Mapping[str, Scalar]) -> str:
    """The genesis of a new network as JSON text. ``shared`` are its settings that are no default."""
    values = {**GENESIS_NUMBERS, **shared}
    params: dict[str, dict[str, Any]] = {
        "block": {},
        "evidence": {"max_age_duration": "172800000000000"},
        "validator": {"pub_key_types": ["ed25519"]},
        "version": {},
        "abci": {},
    }
    for key, value in sorted(values.items()):
        if key.startswith(PARAMS):
            group, _, leaf = key.removeprefix(PARAMS).partition(".")
            params[group][leaf] = str(value)
    return json.dumps(
        {
            "genesis_time": GENESIS_TIME,
            "chain_id": chain,
            "initial_height": str(values[INITIAL_HEIGHT]),
            "consensus_params": params,
            "validators": [
                {
                    "address": key.address.upper(),
                    "pub_key": key.public_json,
                    "power": str(power_of(node)),
                    "name": node.name,
                }
                for node, key in validators
            ],
            "app_hash": "",
        },
        indent=2,
    )


def power_of(node: NodePlan) -> int:
    """The voting power that a node's config gives it."""
    return int(node.config.get(POWER, POWER_DEFAULT))


def digest(genesis: Any) -> str:
    """SHA-256 of the canonical JSON (sorted keys, no blanks) of a genesis as a node's RPC tells it.

    Never of a genesis file: a node completes what a file leaves out, so the two differ.
    """
    return hashlib.sha256(json.dumps(genesis, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
