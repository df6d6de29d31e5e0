"""Answers of real software, as they were recorded or as its specification shows them, shortened.

Redis 7.0.15 and NATS 2.9.10 were asked; anvil 1.7.1 was asked for the execution API. The Beacon API's answers are those
of its specification, those of Logos the three shapes that its nodes have had: what stands in for them here is no proof
that a node of today speaks so.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from nodeyard.domain.launch_plan import Endpoint
from nodeyard.errors.provider import NodeUnreachable
from nodeyard.ports.transport import Reply
from nodeyard.testing import FakeTransport, Sent

REDIS_SERVER = (
    "$120\r\n# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n"
    "run_id:9297f996468d7ca3ada9ca3e286c7e5bb8a0c0b1\r\ntcp_port:25317\r\n\r\n"
)
REDIS_REPLICATION = (
    "$90\r\n# Replication\r\nrole:slave\r\nmaster_host:127.0.0.1\r\nmaster_link_status:up\r\n"
    "master_repl_offset:28\r\n\r\n"
)
NATS: Mapping[str, Any] = {
    "/healthz": {"status": "ok"},
    "/varz": {"server_id": "NAP4T6NSCC", "version": "2.9.10", "cluster": {"name": "nats-run"}},
    "/routez": {"num_routes": 1, "routes": [{"rid": 5, "remote_id": "NAJHMWKSLH"}]},
}
GENESIS = "0x366d16969a32137ebcc717070907caeee4eac8ad6a406444079814debdca393a"
ETHEREUM: Mapping[str, Any] = {
    "eth_blockNumber": "0x1b4",
    "eth_syncing": False,
    "eth_chainId": "0x7a69",
    "web3_clientVersion": "anvil/v1.7.1",
    "eth_getBlockByNumber": {"hash": GENESIS, "stateRoot": "0x56e81f17", "number": "0x0"},
    "net_peerCount": "0x2",
    "eth_sendRawTransaction": "0xabc1",
    "eth_getTransactionReceipt": None,
    "admin_peers": [{"id": "bb", "name": "Geth"}, {"id": "aa", "name": "reth"}],
}
ROOT = "0x4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95"
BEACON: Mapping[str, Any] = {
    "/eth/v1/node/health": {},
    "/eth/v1/node/identity": {"data": {"peer_id": "16Uiu2HAm8KC", "enr": "enr:-LK4", "p2p_addresses": []}},
    "/eth/v1/node/version": {"data": {"version": "Lighthouse/v5.1.0"}},
    "/eth/v1/node/peer_count": {"data": {"disconnected": "12", "connecting": "0", "connected": "56"}},
    "/eth/v1/node/peers?state=connected": {"data": [{"peer_id": "16Uiu2HAm1"}], "meta": {"count": 1}},
    "/eth/v1/node/syncing": {"data": {"head_slot": "1234", "sync_distance": "0", "is_syncing": False}},
    "/eth/v1/config/deposit_contract": {"data": {"chain_id": "1", "address": "0x00000000219ab540"}},
    "/eth/v1/beacon/genesis": {
        "data": {"genesis_time": "1606824023", "genesis_validators_root": ROOT, "genesis_fork_version": "0x00000000"}
    },
    "/eth/v1/beacon/states/head/fork": {"data": {"current_version": "0x05000000", "epoch": "364032"}},
    "/eth/v1/beacon/headers/head": {"data": {"root": "0xcf8e", "header": {"message": {"slot": "1234"}}}},
    "/eth/v1/beacon/states/head/finality_checkpoints": {
        "data": {"finalized": {"epoch": "36", "root": "0xf1na1"}, "current_justified": {"epoch": "37", "root": "0x2"}}
    },
}
CHAIN = {"lib": "ac13", "lib_slot": 173060, "tip": "1393", "slot": 176809, "height": 5333}
LOGOS_STATE_AND_PHASE = {"cryptarchia_info": {**CHAIN, "state": "Online"}, "phase": "Following"}
LOGOS_MODE = {"cryptarchia_info": CHAIN, "mode": {"Started": "Online"}}
LOGOS_FLAT = {**CHAIN, "mode": "Online"}
LOGOS: Mapping[str, Any] = {
    "/network/info": {"listen_addresses": ["/ip4/127.0.0.1/udp/3000/quic-v1"], "peer_id": "12D3KooWJN", "n_peers": 8},
    "/time/info": {"slot_duration_ms": 1000, "genesis_time_unix_ms": 1790758800000, "current_slot": 176848},
    "/chain/id": {"chain_id": "0.3.0"},
    "/version": {"version": "0.3.0", "commit": "926cd84"},
}


def answering(url: str, answers: Mapping[str, Any]) -> FakeTransport:
    """A node that answers GET of each path with JSON."""
    transport = FakeTransport()
    for path, answer in answers.items():
        transport.reply("GET", url + path, json=answer)
    return transport


class RpcNode(FakeTransport):
    """A node that answers JSON-RPC by method; one that is not there is refused as the specification says."""

    def __init__(self, url: str, results: Mapping[str, Any]) -> None:
        super().__init__()
        self._url, self._results = url, results
        self.opens(url)

    async def request(
        self, endpoint: Endpoint, method: str, path: str, *, json: Any = None, text: str | None = None, timeout: float
    ) -> Reply:
        await asyncio.sleep(0)
        if endpoint.url != self._url:
            raise NodeUnreachable(f"{endpoint.url} is nobody")
        self.requests.append(Sent(method, endpoint.url + path, json, text))
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": json["id"]}
        if json["method"] in self._results:
            answer["result"] = self._results[json["method"]]
        else:
            answer["error"] = {"code": -32601, "message": "Method not found"}
        return Reply(200, dumps(answer), endpoint.url + path)


dumps = json.dumps


class Everything(FakeTransport):
    """Answers every question with one value, and JSON-RPC with it as the result."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self._value = value

    async def request(
        self, endpoint: Endpoint, method: str, path: str, *, json: Any = None, text: str | None = None, timeout: float
    ) -> Reply:
        await asyncio.sleep(0)
        rpc = isinstance(json, dict) and "jsonrpc" in json
        return Reply(200, dumps({"result": self._value} if rpc else self._value), endpoint.url + path)
