"""A port of a pod at an address of this machine, through the API server: our own port-forward.

One WebSocket per TCP connection, subprotocol ``v4.channel.k8s.io``: the first byte of a message is the channel (0 data,
1 error), and the first message of each channel carries the port number (2 bytes). The pod is asked for by name at each
new connection, so that a forward survives the end of a pod that comes back under its name. See ``kubectl``'s
``portforward`` package and the API server's ``portforward.go``.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress

from httpx2.websockets import AsyncWebSocketSession, WebSocketDisconnect

from nodeyard.errors.base import NodeyardError
from nodeyard.providers._clients.kube.cluster import Cluster

PROTOCOL = "v4.channel.k8s.io"
DATA, ERROR = 0, 1
BLOCK = 1 << 16
CONNECTING = 10.0
"""Seconds for the API server and the kubelet to open a connection into a pod."""
LOOPBACK = "127.0.0.1"


class Listener(ABC):
    """Something at an address of this machine that leads to a port of a pod. ``last_error``: why it last did not."""

    def __init__(self, cluster: Cluster, namespace: str, pod: Callable[[], str], port: int) -> None:
        self.last_error: NodeyardError | None = None
        self._cluster = cluster
        self._namespace = namespace
        self._pod = pod
        self._port = port
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        """``host:port`` that stays as long as this is open."""
        assert self._server is not None
        return f"{LOOPBACK}:{self._server.sockets[0].getsockname()[1]}"

    @abstractmethod
    async def open(self) -> None:
        """Listen on a port that the kernel chooses, and keep it."""

    async def close(self) -> None:
        """Stop listening and end every connection. Idempotent."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None


class Forward(Listener):
    """Carries any TCP connection."""

    def __init__(self, cluster: Cluster, namespace: str, pod: Callable[[], str], port: int) -> None:
        super().__init__(cluster, namespace, pod, port)
        self._carried: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accepted, LOOPBACK, 0)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._carried:
            task.cancel()
        await asyncio.gather(*self._carried, return_exceptions=True)
        await super().close()

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._carry(reader, writer), name="kube-forward")
        self._carried.add(task)
        task.add_done_callback(self._carried.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with self._cluster.asking("get", "pods/portforward", self._namespace, self._pod()):
                async with self._cluster.http.websocket(
                    f"/api/v1/namespaces/{self._namespace}/pods/{self._pod()}/portforward",
                    subprotocols=[PROTOCOL], params={"ports": str(self._port)}, timeout=CONNECTING,
                ) as session:  # fmt: skip
                    await _both_ways(session, reader, writer)
        except* NodeyardError as group:
            self.last_error = _first(group)
        finally:
            writer.close()  # the caller sees a connection that was closed, as if the node had done it
            with suppress(OSError):
                await writer.wait_closed()


def _first(group: BaseExceptionGroup[NodeyardError]) -> NodeyardError:
    found = group.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found


async def _both_ways(
    session: AsyncWebSocketSession, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Carry until one side ends: then there is nothing left to say to the other."""
    up = asyncio.ensure_future(_to_pod(session, reader))
    down = asyncio.ensure_future(_from_pod(session, writer))
    try:
        await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (up, down):
            task.cancel()
        await asyncio.gather(up, down, return_exceptions=True)


async def _to_pod(session: AsyncWebSocketSession, reader: asyncio.StreamReader) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(BLOCK):
            await session.send_bytes(bytes((DATA,)) + data)


async def _from_pod(session: AsyncWebSocketSession, writer: asyncio.StreamWriter) -> None:
    opened: set[int] = set()
    with suppress(WebSocketDisconnect, ConnectionError):
        while True:
            message = await session.receive_bytes()
            channel = message[0]
            if channel not in opened:
                opened.add(channel)  # the first message of a channel holds its port alone
                continue
            if channel == ERROR:
                return
            writer.write(message[1:])
            await writer.drain()
