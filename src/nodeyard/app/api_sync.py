"""The same network for plain functions: a loop in a thread of its own, and every wait a blocking call."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from os import PathLike
from threading import Thread
from typing import Any, TypeVar

from nodeyard.app.api import OpenNetwork, open_network
from nodeyard.app.session import RunResult
from nodeyard.domain.launch_plan import Endpoint
from nodeyard.domain.node_client import Identification, Probe
from nodeyard.domain.node_handle import NodeHandle
from nodeyard.domain.node_inventory import NodeInventory
from nodeyard.domain.sources import Scalar
from nodeyard.domain.verdict import Check
from nodeyard.errors.base import Interrupted
from nodeyard.ports.node_control import ExecResult, NodeState
from nodeyard.runtime.node import Node

T = TypeVar("T")
Call = Callable[[Coroutine[Any, Any, T]], T]


class SyncClient:
    """A client whose methods block: the methods of the client protocol that it was asked for."""

    def __init__(self, client: object, loop: _Loop) -> None:
        self._client = client
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if not callable(found):
            return found

        def call(*args: Any, **options: Any) -> Any:
            answer = found(*args, **options)
            return self._loop.wait(answer) if inspect.iscoroutine(answer) else answer

        return call


class SyncNode:
    """``Node`` with blocking operations; each raises what the operation of ``Node`` raises."""

    def __init__(self, node: Node, loop: _Loop) -> None:
        self._node = node
        self._loop = loop

    def __repr__(self) -> str:
        return f"SyncNode({self._node.id!r})"

    @property
    def id(self) -> str:
        return self._node.id

    @property
    def handle(self) -> NodeHandle:
        return self._node.handle

    def client(self, protocol: Callable[..., object]) -> Any:
        """The node's client as a client protocol, with blocking methods. Raises ``ProtocolUnsupported``."""
        return SyncClient(self._node.client(protocol), self._loop)

    def speaks(self, protocol: Callable[..., object]) -> bool:
        return self._node.speaks(protocol)

    def endpoint(self, port: str) -> Endpoint:
        return self._node.endpoint(port)

    def identify(self, *, timeout: float) -> Identification:
        return self._loop.wait(self._node.identify(timeout=timeout))

    def probe(self, *, timeout: float) -> Probe:
        return self._loop.wait(self._node.probe(timeout=timeout))

    def state(self) -> NodeState:
        return self._loop.wait(self._node.state())

    def start(self, *, wait: bool = True) -> None:
        self._loop.wait(self._node.start(wait=wait))

    def stop(self) -> None:
        self._loop.wait(self._node.stop())

    def restart(self, *, wait: bool = True) -> None:
        self._loop.wait(self._node.restart(wait=wait))

    def kill(self) -> None:
        self._loop.wait(self._node.kill())

    def pause(self) -> None:
        self._loop.wait(self._node.pause())

    def resume(self, *, wait: bool = True) -> None:
        self._loop.wait(self._node.resume(wait=wait))

    def patch(self, config: Mapping[str, Scalar], *, wait: bool = True) -> None:
        self._loop.wait(self._node.patch(config, wait=wait))

    def logs(self, *, tail: int | None = None) -> Sequence[str]:
        return self._loop.wait(self._node.logs(tail=tail))

    def exec(self, argv: Sequence[str], *, timeout: float = 30.0) -> ExecResult:
        return self._loop.wait(self._node.exec(argv, timeout=timeout))


class SyncNetwork:
    """``OpenNetwork`` with blocking calls."""

    def __init__(self, network: OpenNetwork, loop: _Loop) -> None:
        self._network = network
        self._loop = loop

    @property
    def run(self) -> str:
        return self._network.run

    @property
    def folder(self) -> Any:
        return self._network.folder

    @property
    def seed(self) -> int:
        return self._network.seed

    @property
    def inventory(self) -> NodeInventory:
        return self._network.inventory

    @property
    def nodes(self) -> tuple[SyncNode, ...]:
        return tuple(SyncNode(node, self._loop) for node in self._network.nodes)

    @property
    def result(self) -> RunResult | None:
        return self._network.result

    def __getitem__(self, name: str) -> SyncNode:
        return SyncNode(self._network[name], self._loop)

    def __iter__(self) -> Iterator[SyncNode]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self._network)

    def select(self, target: Any) -> tuple[SyncNode, ...]:
        """See ``OpenNetwork.select``."""
        return tuple(SyncNode(node, self._loop) for node in self._loop.wait(self._network.select(target)))

    def expect(self, use: str, **options: Any) -> Check:
        """See ``OpenNetwork.expect``."""
        return self._loop.wait(self._network.expect(use, **options))


class _Loop:
    """An event loop in a thread, which lives as long as the network."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="nodeyard", daemon=True)
        self._thread.start()

    def begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of ``work``; cancelled when this thread is interrupted while it waits."""
        future = self.begin(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


@contextmanager
def open_network_sync(scenario: str | PathLike[str], **options: Any) -> Iterator[SyncNetwork]:
    """``open_network`` for plain functions, with the same options and errors."""
    loop = _Loop()
    opened: Future[OpenNetwork] = Future()
    leave: Future[BaseException | None] = Future()
    living = loop.begin(_live(scenario, options, opened, leave))
    living.add_done_callback(lambda done: _fail(opened, done))
    try:
        try:
            network = opened.result()
        except BaseException:
            living.cancel()  # interrupted during bootstrap: what was made is taken down before we go on
            _settled(living)
            raise
        try:
            yield SyncNetwork(network, loop)
        except BaseException as error:
            leave.set_result(error)
            _settled(living)
            raise
        leave.set_result(None)
        living.result()
    finally:
        loop.close()


async def _live(
    scenario: str | PathLike[str],
    options: Mapping[str, Any],
    opened: Future[OpenNetwork],
    leave: Future[BaseException | None],
) -> None:
    async with open_network(scenario, **options) as network:
        opened.set_result(network)
        error = await asyncio.wrap_future(leave)
        if isinstance(error, Exception):
            raise error
        if error is not None:  # an interrupt belongs to the thread that got it, and must not end this loop
            raise Interrupted(f"ended by {type(error).__name__}")


def _fail(opened: Future[OpenNetwork], done: Future[None]) -> None:
    """Whoever waits for a network that will never open is told why."""
    if not opened.done():
        error = done.exception() if not done.cancelled() else Interrupted("cancelled")
        opened.set_exception(error or Interrupted("the network closed before it opened"))


def _settled(living: Future[None]) -> None:
    """Wait for the end of the network; its error is the body's, or told by the body's."""
    try:
        living.result()
    except BaseException:  # noqa: BLE001 - the caller raises what it has
        return
