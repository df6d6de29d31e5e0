"""What a chain of somebody else is to the tests, whoever runs it: as processes, as containers, as pods."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Protocol

from .chain_processes import Json, ask, height


class Borrowed(Protocol):
    """Four validators, ``h0`` to ``h3``."""

    @property
    def external(self) -> Sequence[Json]:
        """How a scenario lists them; each RPC is reached from here."""

    def portrait(self) -> object:
        """What a run must leave as it is of whatever runs them, with their keys. Asked past Nodeyard."""


def data_of(chain: Borrowed, until: int) -> dict[str, tuple[str, str]]:
    """The peer id of each validator, and a digest of all blocks that it has, from the first to this height."""
    told: dict[str, tuple[str, str]] = {}
    for node in chain.external:
        url = node["endpoints"]["rpc"]
        blocks = [ask(url, f"/block?height={number}") for number in range(1, until + 1)]
        digest = hashlib.sha256(json.dumps(blocks, sort_keys=True).encode()).hexdigest()
        told[node["name"]] = (ask(url, "/status")["node_info"]["id"], digest)
    return told


def heights(chain: Borrowed) -> dict[str, int]:
    return {node["name"]: height(node["endpoints"]["rpc"]) for node in chain.external}
