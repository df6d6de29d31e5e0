"""A port of a pod at an address of this machine, by HTTP through the API server's proxy.

For clusters that permit ``pods/proxy`` and nothing else. Slower than every other way, and HTTP only.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from nodeyard.errors.base import NodeyardError
from nodeyard.providers._clients.kube.forward import LOOPBACK, Listener

HOP = frozenset(
    {"host", "connection", "keep-alive", "transfer-encoding", "content-length", "te", "upgrade", "authorization",
     "accept-encoding", "content-encoding", "audit-id", "warning", "date"}
)  # fmt: skip
"""Headers between two neighbours, which no proxy passes on; credentials of a node would replace ours."""
LARGEST = 64 * 1024 * 1024


class Proxy(Listener):
    """Carries HTTP requests; the pod sees each as a request of the API server."""

    async def open(self) -> None:
        self._handler = web.Server(self._answer, access_log=None)
        self._server = await asyncio.get_running_loop().create_server(self._handler, LOOPBACK, 0)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._handler.shutdown(1.0)
        await super().close()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        namespace, pod = self._namespace, self._pod()
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}:{self._port}/proxy{request.raw_path}"
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP}
        verb = "get" if request.method in ("GET", "HEAD") else "create"
        try:
            with self._cluster.asking(verb, "pods/proxy", namespace, pod):
                body = await request.read()
                reply = await self._cluster.http.request(request.method, path, content=body, headers=headers)
                if reply.status_code in (401, 403) and reply.headers.get("Audit-Id"):
                    reply.raise_for_status()  # it may be the node's answer, and the API server marks its own
        except NodeyardError as error:
            self.last_error = error
            if request.transport is not None:
                request.transport.abort()  # no answer came, and none may be made up
            raise
        kept = {name: value for name, value in reply.headers.items() if name.lower() not in HOP}
        return web.Response(status=reply.status_code, body=reply.content, headers=kept)
