"""An HTTP proxy in front of an etcd that does not do what it says. A test tool: what goes through it must be caught."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

from aiohttp import ClientSession, web

PUT, RANGE = "/v3/kv/put", "/v3/kv/range"
SHARE = 0.2
"""Of the requests that it could lie about."""


class LyingProxy:
    """``lie`` is one of: ``loses`` (says that a write was done, and does not do it), ``duplicates`` (does a write once
    more, later), ``reorders`` (says that a write was done, and does it later), ``rewrites`` (changes what is read).
    """

    def __init__(self, target: str, lie: str, share: float = SHARE) -> None:
        self._share = share
        self._target = target
        self._lie = lie
        self._random = Random(1)
        self._later: set[asyncio.Task[Any]] = set()
        self.lies = 0
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        lies = request.path == (RANGE if self._lie == "rewrites" else PUT) and self._random.random() < self._share
        if not lies:
            return await self._forward(request.method, request.path, body)
        self.lies += 1
        if self._lie == "loses":
            return self._done()
        if self._lie == "reorders":
            self._after(0.2, request.path, body)
            return self._done()
        answer = await self._forward(request.method, request.path, body)
        if self._lie == "duplicates":
            self._after(0.2, request.path, body)
            return answer
        return _rewritten(answer)

    def _done(self) -> web.Response:
        return web.json_response({"header": {"cluster_id": "1", "member_id": "1", "revision": "1", "raft_term": "1"}})

    def _after(self, seconds: float, path: str, body: bytes) -> None:
        async def send() -> None:
            await asyncio.sleep(seconds)
            await self._forward("POST", path, body)

        task = asyncio.get_running_loop().create_task(send())
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def _forward(self, method: str, path: str, body: bytes) -> web.Response:
        async with self._session.request(method, self._target + path, data=body) as found:
            return web.Response(status=found.status, body=await found.read(), content_type=found.content_type)

    async def serve(self, ready: threading.Event, over: asyncio.Event) -> None:
        """Until ``over``; ``url`` is set when it is ``ready``."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.handle)
        runner = web.AppRunner(app, access_log=None)
        async with ClientSession() as self._session:
            await runner.setup()
            try:
                site = web.TCPSite(runner, "127.0.0.1", 0)
                await site.start()
                host, port = runner.addresses[0][:2]
                self.url = f"http://{host}:{port}"
                ready.set()
                await over.wait()
            finally:
                await runner.cleanup()
                await asyncio.gather(*self._later, return_exceptions=True)


def _rewritten(answer: web.Response) -> web.Response:
    assert isinstance(answer.body, bytes)
    document = json.loads(answer.body)
    for entry in document.get("kvs", []):
        entry["value"] = base64.b64encode(b"made up").decode()
    return web.json_response(document)


@contextmanager
def lying_proxy(target: str, lie: str, share: float = SHARE) -> Iterator[LyingProxy]:
    """The proxy, in a thread with a loop of its own, while the block runs."""
    proxy = LyingProxy(target, lie, share)
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    def work() -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(proxy.serve(ready, over))
        finally:
            loop.close()

    thread = threading.Thread(target=work, name="lying-proxy")
    thread.start()
    try:
        assert ready.wait(30)
        yield proxy
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(30)
