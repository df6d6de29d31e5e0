"""One exchange over real TCP, with partners that answer in parts, too much, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from nodeyard.domain.launch_plan import Endpoint
from nodeyard.errors.provider import NodeAnswerInvalid, NodeTimeout, NodeUnreachable
from nodeyard.kinds._tcp import exchange

Partner = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def asked(
    partner: Partner, sent: bytes = b"PING\r\n", *, end: bytes = b"\n", timeout: float = 5.0, largest: int = 1000
) -> bytes:
    """What an exchange with a partner gives."""

    partners: list[asyncio.Task[Any]] = []

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        partners.append(task)
        try:
            await partner(reader, writer)
        except ConnectionError:
            return  # we have gone
        finally:
            writer.transport.abort()

    async def go() -> bytes:
        server = await asyncio.start_server(met, "127.0.0.1", 0)
        endpoint = Endpoint(f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        try:
            return await exchange(
                endpoint, sent, complete=lambda got: got.endswith(end), timeout=timeout, tls=None, largest=largest
            )
        finally:
            server.close()
            await asyncio.gather(*partners)
            await asyncio.sleep(0)

    return asyncio.run(go())


def speaking(*parts: bytes, close: bool = False) -> Partner:
    async def partner(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)
        if not close:
            await reader.read()

    return partner


def test_an_answer_is_read_until_it_is_complete_or_the_other_side_closes() -> None:
    assert asked(speaking(b"+PO", b"NG\r\n")) == b"+PONG\r\n"
    assert asked(speaking(b"half", close=True)) == b"half"
    assert asked(speaking(close=True)) == b""


def test_silence_may_mean_that_it_happened_and_tells_what_came() -> None:
    with pytest.raises(NodeTimeout) as caught:
        asked(speaking(b"-LOADING"), timeout=0.2)
    assert caught.value.evidence == ("it said: -LOADING",)


def test_an_endless_answer_is_cut() -> None:
    with pytest.raises(NodeAnswerInvalid, match="more than 1000 bytes"):
        asked(speaking(*[b"x" * 300] * 9))


def test_a_port_that_nobody_has_is_unreachable_and_nothing_was_sent() -> None:
    async def go() -> Any:
        server = await asyncio.start_server(speaking(), "127.0.0.1", 0)
        endpoint = Endpoint(f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        server.close()
        await server.wait_closed()
        return await exchange(endpoint, b"", complete=bool, timeout=5, tls=None, largest=10)

    with pytest.raises(NodeUnreachable, match="connection refused") as caught:
        asyncio.run(go())
    assert not isinstance(caught.value, NodeTimeout)
