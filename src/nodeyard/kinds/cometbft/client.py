"""The client of one CometBFT node: probe, identity, and the client protocols that the kind offers.

Must not live here: the form of answers (``wire``) and of a genesis (``genesis``), and how a network is joined
(``adopt``).
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from typing import Any

from nodeyard.domain.identity import NetworkFacts
from nodeyard.domain.node_client import Block, Identification, Probe, Rung, Value
from nodeyard.errors import provider as errors
from nodeyard.kinds.cometbft import genesis, members, wire
from nodeyard.ports.kind import EndpointOf
from nodeyard.ports.transport import Reply, Transport

PORT = "rpc"
SEPARATORS = "=:"
"""What splits a transaction of the kvstore application into key and value, so neither may contain them."""
IDLE_AFTER = 2.0
"""Seconds without a new block after which a node is asked whether it only waits for transactions."""


class CometbftClient:
    """Talks to one node over its RPC. Asks for the endpoint at each use, because it may move.

    It remembers the first height that it saw, because a height that advances takes two looks.
    """

    def __init__(self, endpoint: EndpointOf, transport: Transport) -> None:
        self._endpoint = endpoint
        self._transport = transport
        self._first: tuple[int, float] | None = None

    async def probe(self, *, timeout: float) -> Probe:
        """Ready means: not catching up, and a higher block than at the first look.

        A chain that makes no empty blocks stands still without transactions; a node that says so is ready too.
        """
        clock = asyncio.get_running_loop().time
        end = clock() + timeout
        try:
            status = await self._status(timeout=timeout)
            seen = f"height {status.height}"
            if status.height > 0 and not status.catching_up:
                first, since = self._first or (status.height, clock())
                self._first = (first, since)
                if status.height > first or await self._idle(since, status, timeout=max(0.001, end - clock())):
                    return Probe(True, Rung.HEIGHT, seen)
                return Probe(False, Rung.NETWORK_AGREED, f"{seen}, waiting for a higher one")
            self._first = self._first or (status.height, clock())
            peers = await self.peers(timeout=max(0.001, end - clock()))
        except errors.ProviderError as error:
            return Probe(False, _rung_of(error), error.message)
        rung = Rung.PEERS if peers else Rung.API_ANSWERS
        doing = "catching up" if status.catching_up else "no block yet"
        return Probe(False, rung, f"{seen}, {doing}, {len(peers)} peers")

    async def identify(self, *, timeout: float) -> Identification:
        """Who it is, and the hash of its genesis. Raises ``NodeUnreachable``, ``NodeTimeout`` and so on."""
        status, document = await asyncio.gather(self._status(timeout=timeout), self.genesis(timeout=timeout))
        auth = self._endpoint(PORT).auth
        facts = NetworkFacts(
            id=status.network,
            genesis=genesis.digest(document),
            protocol=status.protocol,
            api=status.version or None,
            auth=auth.kind if auth is not None else None,
        )
        role = members.VALIDATOR if status.power else members.FULL
        return Identification(status.peer_id, facts, role=role, height=status.height)

    async def genesis(self, *, timeout: float) -> Any:
        """The genesis as the node tells it, parsed. A large one comes in chunks."""
        end = asyncio.get_running_loop().time() + timeout
        reply = await self._ask("/genesis", timeout=timeout)
        try:
            return wire.section(wire.result_of(reply), "genesis", reply)
        except errors.NodeRefused as error:
            if "chunk" not in error.message:
                raise
        return await self._chunked_genesis(end)

    async def _chunked_genesis(self, end: float) -> Any:
        clock = asyncio.get_running_loop().time
        parts: list[bytes] = []
        total = 1
        while len(parts) < total:
            reply = await self._ask(f"/genesis_chunked?chunk={len(parts)}", timeout=max(0.001, end - clock()))
            result = wire.result_of(reply)
            total = wire.number(result, "total", reply)
            parts.append(base64.b64decode(str(result.get("data", ""))))
        try:
            return json.loads(b"".join(parts))
        except ValueError:
            raise wire.not_cometbft(reply, "the chunks of its genesis make no JSON") from None

    async def height(self, *, timeout: float) -> int:
        """The height of its latest block; 0 before the first."""
        return (await self._status(timeout=timeout)).height

    async def block(self, height: int, *, timeout: float) -> Block:
        """The block of that height. Raises ``NodeRefused`` where the node does not have it."""
        return wire.parse_block(await self._ask(f"/block?height={height}", timeout=timeout))

    async def transactions(self, height: int, *, timeout: float) -> tuple[str, ...]:
        """The ids of the transactions in the block of that height. Raises ``NodeRefused`` where there is none."""
        return wire.parse_transactions(await self._ask(f"/block?height={height}", timeout=timeout))

    async def peers(self, *, timeout: float) -> tuple[str, ...]:
        """Peer ids of the nodes that it holds connections to."""
        return wire.parse_peers(await self._ask("/net_info", timeout=timeout))

    async def digest(self, *, timeout: float) -> Mapping[str, str]:
        """Height, hash of the latest block and hash of the state: equal on nodes that are equally far."""
        status = await self._status(timeout=timeout)
        return {"height": str(status.height), "block": status.block, "state": status.state}

    async def submit(self, tx: bytes, *, timeout: float) -> str:
        """Hand in a transaction; returns its hash as soon as the node's mempool has it.

        A transaction that the mempool has already is handed in. Raises ``NodeRefused`` when the application or the
        mempool refuses it.
        """
        try:
            reply, result = await self._call("broadcast_tx_sync", tx, timeout=timeout)
        except errors.NodeRefused as error:
            if wire.CACHED not in error.message:
                raise
            return wire.tx_id(tx)
        _accepted(result, reply)
        return str(result.get("hash", "")).upper()

    async def included(self, tx_id: str, *, timeout: float) -> int | None:
        """The height at which this node's index has the transaction, or ``None``."""
        reply = await self._ask(f"/tx?hash=0x{tx_id}", timeout=timeout)
        try:
            return wire.number(wire.result_of(reply), "height", reply)
        except errors.NodeRefused as error:
            if "not found" in error.message:
                return None
            raise

    async def get(self, key: str, *, timeout: float, local: bool = False) -> Value:
        """What this node's kvstore application holds now; there is no reading by agreement, ``local`` or not.

        The revision is the height of the application.
        """
        reply = await self._ask(f"/abci_query?data=0x{key.encode().hex() or '00'}", timeout=timeout)
        response = wire.section(wire.result_of(reply), "response", reply)
        if response.get("code"):
            raise errors.NodeRefused(f"{reply.url} refused to read: {response.get('log')}")
        value = wire.text_of(response.get("value"), reply)
        return Value(value or None, wire.number(response, "height", reply))

    async def put(self, key: str, value: str, *, timeout: float) -> int | None:
        """Write through the kvstore application; returns the height that includes it.

        CometBFT takes one and the same transaction only once: a value that the key had before is refused
        (``NodeRefused``), unless the key has it now.
        """
        if not key or not value or any(sign in key + value for sign in SEPARATORS):
            raise errors.NodeRefused(
                "the kvstore application takes no '=' and no ':' in keys and values, and none of them empty",
                hint="choose another key or value",
            )
        tx = f"{key}={value}".encode()
        try:
            reply, result = await self._call("broadcast_tx_commit", tx, timeout=timeout)
        except errors.NodeRefused as error:
            if wire.CACHED not in error.message:
                raise
            return await self._written_before(key, value, tx, timeout=timeout)
        _accepted(wire.section(result, "check_tx", reply), reply)
        _accepted(wire.section(result, "tx_result", reply), reply)
        return wire.number(result, "height", reply)

    async def _written_before(self, key: str, value: str, tx: bytes, *, timeout: float) -> int | None:
        """What it means that the node has this transaction already. Its index is a little behind its application."""
        height = await self.included(wire.tx_id(tx), timeout=timeout)
        if (await self.get(key, timeout=timeout)).value == value:
            return height
        if height is None:
            raise errors.NodeTimeout("the same transaction was handed in before and is not included yet")
        raise errors.NodeRefused(
            f"'{key}' had this value before, and CometBFT takes the same transaction only once",
            hint="write a value that the key never had",
        )

    async def _idle(self, since: float, status: wire.Status, *, timeout: float) -> bool:
        """Whether it waits for transactions in the first round of the next height: it makes no empty blocks."""
        if asyncio.get_running_loop().time() - since < IDLE_AFTER:
            return False
        reply = await self._ask("/consensus_state", timeout=timeout)
        state = wire.section(wire.result_of(reply), "round_state", reply)
        return state.get("height/round/step") == f"{status.height + 1}/0/2"

    async def _status(self, *, timeout: float) -> wire.Status:
        return wire.parse_status(await self._ask("/status", timeout=timeout))

    async def status(self, *, timeout: float) -> wire.Status:
        """The whole answer of ``/status``."""
        return await self._status(timeout=timeout)

    async def _ask(self, path: str, *, timeout: float) -> Reply:
        return await self._transport.request(self._endpoint(PORT), "GET", path, timeout=timeout)

    async def _call(self, method: str, tx: bytes, *, timeout: float) -> tuple[Reply, dict[str, Any]]:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"tx": base64.b64encode(tx).decode()}}
        reply = await self._transport.request(self._endpoint(PORT), "POST", "/", json=body, timeout=timeout)
        return reply, wire.result_of(reply)


def _accepted(result: Mapping[str, Any], reply: Reply) -> None:
    if result.get("code"):
        said = result.get("log") or f"code {result['code']}"
        raise errors.NodeRefused(f"{reply.url} refused the transaction: {said}")


def _rung_of(error: errors.ProviderError) -> Rung:
    """How far a probe came that ended in an error: TLS, no answer and a wrong one all mean that the port is open."""
    reached = errors.NodeTimeout | errors.TlsFailed | errors.NodeAnswerInvalid | errors.NodeRefused
    return Rung.PORT_OPEN if isinstance(error, reached) else Rung.NOTHING
