"""How the tester reaches the ports of pods: chosen by trying, held open, asked for at each use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from nodeyard.providers._clients.kube.cluster import Cluster
from nodeyard.providers._clients.kube.forward import Forward, Listener

POD_IP, NODE_PORT, PORT_FORWARD, API_PROXY = "pod-ip", "node-port", "port-forward", "api-proxy"
TRYING = 1.0
"""Seconds that a connection to a pod's own address may take before another way is taken."""
LISTENING = (PORT_FORWARD, API_PROXY)
"""Ways by an address of this machine, at which somebody has to listen."""


async def routed(host: str, port: int) -> bool:
    """Whether packets get there and back: a refused connection was refused by the other side."""
    try:
        async with asyncio.timeout(TRYING):
            _, writer = await asyncio.open_connection(host, port)
    except ConnectionRefusedError:
        return True
    except (TimeoutError, OSError):
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


@dataclass(frozen=True)
class Target:
    """A port of a pod, by the names that people use. ``pod`` gives its present name."""

    node: str
    port: str
    number: int
    namespace: str
    pod: Callable[[], str]


class Doors:
    """The listeners of one way that needs them. ``close`` them all."""

    def __init__(self, cluster: Cluster, way: str) -> None:
        self._cluster = cluster
        self._make = _listener(way)
        self._open: dict[tuple[str, str], Listener] = {}

    async def open(self, target: Target) -> None:
        """Listen for one port. Idempotent."""
        key = (target.node, target.port)
        if key not in self._open:
            door = self._make(self._cluster, target.namespace, target.pod, target.number)
            await door.open()
            self._open[key] = door

    def address(self, node: str, port: str) -> str | None:
        """``host:port``; ``None`` for a port that was not opened."""
        door = self._open.get((node, port))
        return door.address if door is not None else None

    def last_error(self, node: str, port: str) -> str:
        """Why the way to a port last failed, or an empty text."""
        door = self._open.get((node, port))
        return door.last_error.message if door is not None and door.last_error is not None else ""

    async def close(self) -> None:
        doors, self._open = list(self._open.values()), {}
        await asyncio.gather(*(door.close() for door in doors))


def _listener(way: str) -> type[Listener]:
    """The listener of a way. A proxy's HTTP server takes a tenth of a second to load, and few ever need one."""
    if way == PORT_FORWARD:
        return Forward
    from nodeyard.providers._clients.kube.proxy import Proxy

    return Proxy
