"""CometBFT passes the suite of all kinds, with a node that answers in the form of 0.38.26."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from nodeyard.domain.sources import Scalar
from nodeyard.kinds.cometbft import CometbftKind
from nodeyard.testing import FakeTransport
from nodeyard.testing.conformance_kind import KindConformance

PEER = "5f3fe2d2b7c1a2d0cf9f2f3f0b8a4e6c7d8e9f00"


def result(content: Mapping[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": -1, "result": content}


def status(height: str) -> dict[str, Any]:
    return result(
        {
            "node_info": {
                "protocol_version": {"p2p": "8", "block": "11", "app": "1"},
                "id": PEER,
                "listen_addr": "tcp://0.0.0.0:26656",
                "network": "chain-1",
                "version": "0.38.26",
                "moniker": "v0",
            },
            "sync_info": {
                "latest_block_hash": "0F0E",
                "latest_app_hash": "00",
                "latest_block_height": height,
                "earliest_block_height": "1",
                "catching_up": False,
            },
            "validator_info": {"address": "AB", "voting_power": "10"},
        }
    )


GENESIS = {"chain_id": "chain-1", "initial_height": "1", "validators": [], "app_hash": ""}


class TestCometbft(KindConformance):
    kind = CometbftKind()
    config: ClassVar[Mapping[str, Scalar]] = {"consensus.timeout_commit": "200ms"}
    wrong_config: ClassVar[Mapping[str, Scalar]] = {"timeout_commit": "200ms", "rpc.laddr": "tcp://0.0.0.0:1"}
    looks: ClassVar[int] = 2

    def well(self) -> FakeTransport:
        url = self.url("rpc")
        transport = FakeTransport().reply("GET", f"{url}/genesis", json=result({"genesis": GENESIS}))
        for height in ("41", "42", "43"):
            transport.reply("GET", f"{url}/status", json=status(height))
        return transport.reply("GET", f"{url}/net_info", json=result({"n_peers": "0", "peers": []}))


class TestCometbftFullNodes(TestCometbft):
    role = "full"
