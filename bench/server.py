"""One process that listens at many ports: ``python -m bench.server COUNT``. Ends when its stdin closes."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress

from bench.ports import free_ports


class Answers(asyncio.Protocol):
    """The same answer to everything that comes in, on one port."""

    def __init__(self, port: int) -> None:
        body = json.dumps({"id": f"toy-{port}", "network": "toys"}).encode()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        self._answer = head + body
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(self._answer)


async def serve(count: int) -> None:
    loop = asyncio.get_running_loop()
    ports = free_ports(count)
    for port in ports:
        await loop.create_server(lambda port=port: Answers(port), "127.0.0.1", port)  # type: ignore[misc]
    print(json.dumps(ports), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(int(sys.argv[1])))
