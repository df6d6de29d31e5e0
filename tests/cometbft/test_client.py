"""The client against real validators: rungs, identity, transactions, reads and writes, outcomes that are not known."""

from __future__ import annotations

import asyncio
import base64
import json
import signal
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import pytest

from etcd.etcd_processes import Revealed, wait_until
from nodeyard.domain.launch_plan import Endpoint
from nodeyard.domain.node_client import Probe, Rung
from nodeyard.errors.provider import NodeAnswerInvalid, NodeRefused, NodeTimeout, NodeUnreachable
from nodeyard.kinds._http import HttpTransport
from nodeyard.kinds.cometbft import CometbftKind, genesis
from nodeyard.kinds.cometbft.client import CometbftClient
from nodeyard.kinds.cometbft.wire import tx_id
from nodeyard.testing.fakes import FakeTransport

from .chain_processes import Chain, ChainProcess, cometbft, started_chain

T = TypeVar("T")


def ask(node: ChainProcess, question: Callable[[CometbftClient], Awaitable[T]]) -> T:
    async def scene() -> T:
        async with HttpTransport(Revealed()) as http:
            return await question(CometbftKind().client(lambda port: node.endpoint, http))

    return asyncio.run(scene())


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    with started_chain(tmp_path_factory.mktemp("chain"), 2) as found:
        yield found


async def until_ready(client: CometbftClient, seconds: float = 20.0) -> list[Probe]:
    """Every look until it is ready."""
    looks: list[Probe] = []
    async with asyncio.timeout(seconds):
        while not looks or not looks[-1].ready:
            looks.append(await client.probe(timeout=2))
            await asyncio.sleep(0.02)
    return looks


@pytest.mark.real
def test_it_speaks_what_the_kind_lists(chain: Chain) -> None:
    async def scene(client: CometbftClient) -> None:
        assert [protocol for protocol in CometbftKind.protocols if not isinstance(client, protocol)] == []

    ask(chain.nodes[0], scene)


@pytest.mark.real
def test_identity_is_what_its_own_commands_tell(chain: Chain) -> None:
    node = chain.nodes[0]
    found = ask(node, lambda client: client.identify(timeout=5))
    assert found.peer_id == node.peer_id
    assert found.network.id == json.loads((node.home / "config/genesis.json").read_text())["chain_id"]
    assert found.network.genesis == genesis.digest(node.ask("/genesis")["genesis"])
    assert found.network.api == cometbft("version")
    assert found.network.protocol == CometbftKind().program_facts(cometbft("version", "--verbose")).protocol
    assert found.role == "validator"
    assert ask(node, lambda client: client.peers(timeout=5)) == (chain.nodes[1].peer_id,)


@pytest.mark.real
def test_ready_takes_two_looks_at_a_chain_that_moves(chain: Chain) -> None:
    looks = ask(chain.nodes[0], until_ready)
    assert not looks[0].ready
    assert looks[0].rung is Rung.NETWORK_AGREED
    assert looks[-1].rung is Rung.HEIGHT


@pytest.mark.real
def test_a_transaction_gets_into_a_block_that_all_have(chain: Chain) -> None:
    async def scene(client: CometbftClient) -> int:
        told = await client.submit(b"tx=1", timeout=5)
        assert await client.submit(b"tx=1", timeout=5) == told == tx_id(b"tx=1")
        async with asyncio.timeout(20):
            while (height := await client.included(told, timeout=5)) is None:
                await asyncio.sleep(0.02)
        with pytest.raises(NodeRefused):
            await client.submit(b"no key and no value", timeout=5)
        assert await client.included("00" * 32, timeout=5) is None
        return height

    height = ask(chain.nodes[0], scene)
    blocks = [ask(node, lambda client: client.block(height, timeout=5)) for node in chain.nodes]
    assert blocks[0] == blocks[1]
    assert ask(chain.nodes[1], lambda client: client.transactions(height, timeout=5)) == (tx_id(b"tx=1"),)
    assert blocks[0].hash == chain.nodes[0].ask(f"/block?height={height}")["block_id"]["hash"]
    assert base64.b64encode(b"tx=1").decode() in json.dumps(chain.nodes[1].ask(f"/block?height={height}"))
    with pytest.raises(NodeRefused):
        ask(chain.nodes[0], lambda client: client.block(height + 100_000, timeout=5))


@pytest.mark.real
def test_writes_and_reads(chain: Chain) -> None:
    async def scene(client: CometbftClient) -> None:
        assert (await client.get("colour", timeout=5)).value is None
        written = await client.put("colour", "green", timeout=10)
        found = await client.get("colour", timeout=5)
        assert found.value == "green"
        assert written is not None
        assert found.revision is not None
        assert found.revision >= written
        assert await client.put("colour", "green", timeout=10) in (written, None)  # its index may be a little behind
        assert await client.put("colour", "blåbär", timeout=10) > written  # type: ignore[operator]
        assert (await client.get("colour", timeout=5)).value == "blåbär"
        with pytest.raises(NodeRefused, match="had this value before"):
            await client.put("colour", "green", timeout=10)
        for key, value in (("", "x"), ("x", ""), ("a=b", "c"), ("a", "b:c")):
            with pytest.raises(NodeRefused, match="takes no"):
                await client.put(key, value, timeout=5)

    ask(chain.nodes[0], scene)


@pytest.mark.real
def test_equal_states_have_equal_digests(chain: Chain) -> None:
    def same() -> bool:
        one, other = (ask(node, lambda client: client.digest(timeout=5)) for node in chain.nodes)
        return one == other

    wait_until(same, "both tell the same digest")


@pytest.mark.real
def test_without_a_quorum_a_write_is_not_known_and_a_read_is(chain: Chain) -> None:
    frozen = chain.nodes[1]
    frozen.process.send_signal(signal.SIGSTOP)  # type: ignore[union-attr]
    try:
        with pytest.raises(NodeTimeout):
            ask(chain.nodes[0], lambda client: client.put("during", "pause", timeout=1))
        assert ask(chain.nodes[0], lambda client: client.get("never", timeout=5)).value is None
        probe = ask(frozen, lambda client: client.probe(timeout=0.3))
        assert (probe.ready, probe.rung) == (False, Rung.PORT_OPEN)
    finally:
        frozen.process.send_signal(signal.SIGCONT)  # type: ignore[union-attr]
    assert ask(chain.nodes[0], until_ready)[-1].ready


@pytest.mark.real
def test_a_chain_without_empty_blocks_is_ready_while_it_waits(tmp_path_factory: pytest.TempPathFactory) -> None:
    with started_chain(tmp_path_factory.mktemp("idle"), 1) as chain:
        node = chain.nodes[0]
        node.kill()
        config = node.home / "config" / "config.toml"
        config.write_text(config.read_text().replace("create_empty_blocks = true", "create_empty_blocks = false"))
        node.start()
        wait_until(lambda: node.height() > 0, "it answers again")
        assert ask(node, until_ready)[-1].ready


def test_nobody_there() -> None:
    async def scene() -> None:
        async with HttpTransport(Revealed()) as http:
            client = CometbftClient(lambda port: Endpoint("http://127.0.0.1:1"), http)
            assert (await client.probe(timeout=1)).rung is Rung.NOTHING
            with pytest.raises(NodeUnreachable):
                await client.identify(timeout=1)

    asyncio.run(scene())


@pytest.mark.parametrize("whole", [True, False])
def test_a_large_genesis_comes_in_chunks(whole: bool) -> None:
    text = json.dumps({"chain_id": "large", "app_state": "x" * 100}).encode()
    parts = [text[:40], text[40:80], text[80:] if whole else b""]
    http = FakeTransport()
    said = "genesis response is large, please use the genesis_chunked API instead"
    http.reply("GET", "http://n/genesis", json={"jsonrpc": "2.0", "error": {"code": -32603, "data": said}}, status=500)
    for i, part in enumerate(parts):
        result = {"chunk": str(i), "total": "3", "data": base64.b64encode(part).decode()}
        http.reply("GET", f"http://n/genesis_chunked?chunk={i}", json={"jsonrpc": "2.0", "result": result})
    client = CometbftClient(lambda port: Endpoint("http://n"), http)
    if whole:
        assert asyncio.run(client.genesis(timeout=5)) == json.loads(text)
    else:
        with pytest.raises(NodeAnswerInvalid):
            asyncio.run(client.genesis(timeout=5))
