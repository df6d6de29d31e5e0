"""The client of a fake node: answers what the world says, with the errors of the real ports."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from typing import NoReturn

from nodeyard.domain.identity import NetworkFacts
from nodeyard.domain.node_client import Identification, Probe, Rung, Value
from nodeyard.errors import provider as errors
from nodeyard.ports.kind import EndpointOf
from nodeyard.testing.fake_node import FakeNode
from nodeyard.testing.fake_world import FakeNetwork, FakeWorld


class FakeClient:
    """Implements ``KeyValue``, ``ReportsHeight``, ``ReportsRole``, ``StateDigest`` and ``PeerView``.

    Asks for its endpoint at each call. A node that is paused or hangs takes the whole timeout (``NodeTimeout``), one
    that is not there refuses at once (``NodeUnreachable``).
    """

    def __init__(self, world: FakeWorld, endpoint: EndpointOf) -> None:
        self._world = world
        self._endpoint = endpoint

    async def probe(self, *, timeout: float) -> Probe:
        try:
            node = await self._reach(timeout)
        except errors.NodeTimeout as error:
            return Probe(False, Rung.PORT_OPEN, error.message)
        except errors.NodeUnreachable as error:
            return Probe(False, Rung.NOTHING, error.message)
        except errors.ProviderError as error:
            return Probe(False, Rung.PORT_OPEN, error.message)
        if node.hopeless is not None:
            return Probe(False, Rung.API_ANSWERS, node.hopeless, fatal=node.hopeless)
        if not self._network(node).has_quorum:
            return Probe(False, Rung.API_ANSWERS, "no quorum")
        return Probe(True, Rung.HEIGHT, f"height {self._world.height_of(node)}")

    async def identify(self, *, timeout: float) -> Identification:
        node = await self._reach(timeout)
        network = self._network(node)
        facts = NetworkFacts(network.id, node.genesis or network.genesis, node.protocol, node.api, node.auth)
        return Identification(node.peer_id, facts, self._role(node), self._world.height_of(node))

    async def get(self, key: str, *, timeout: float, local: bool = False) -> Value:
        node = await self._reach(timeout)
        if not local:
            await self._agree(node, timeout)
        entries = self._network(node).log
        applied = entries[: self._world.applied_by(node)] if local else entries
        for revision in range(len(applied), 0, -1):
            if applied[revision - 1][0] == key:
                return Value(applied[revision - 1][1], revision)
        return Value(None)

    async def put(self, key: str, value: str, *, timeout: float) -> int | None:
        node = await self._reach(timeout)
        await self._agree(node, timeout)
        entries = self._network(node).log
        entries.append((key, value))
        return len(entries)

    async def compare_and_set(self, key: str, expected: str | None, value: str, *, timeout: float) -> bool:
        node = await self._reach(timeout)
        await self._agree(node, timeout)
        entries = self._network(node).log
        if dict(entries).get(key) != expected:
            return False
        entries.append((key, value))
        return True

    async def height(self, *, timeout: float) -> int:
        return self._world.height_of(await self._reach(timeout))

    async def role(self, *, timeout: float) -> str | None:
        return self._role(await self._reach(timeout))

    async def digest(self, *, timeout: float) -> Mapping[str, str]:
        node = await self._reach(timeout)
        data = dict(self._network(node).log[: self._world.applied_by(node)])
        if node.diverged:
            data["diverged"] = node.name
        return {"data": hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()}

    async def peers(self, *, timeout: float) -> tuple[str, ...]:
        node = await self._reach(timeout)
        others = (self._world.node(name) for name in self._network(node).alive if name != node.name)
        return tuple(sorted(other.peer_id for other in others))

    def _network(self, node: FakeNode) -> FakeNetwork:
        return self._world.network(node.network_id)

    def _role(self, node: FakeNode) -> str | None:
        if node.role is not None:
            return node.role
        network = self._network(node)
        if node.name in network.learners:
            return "learner"
        leader = network.leader
        return None if leader is None else "leader" if leader == node.name else "follower"

    async def _agree(self, node: FakeNode, timeout: float) -> None:
        if not self._network(node).has_quorum:
            await self._silence(node.url, timeout)

    async def _reach(self, timeout: float) -> FakeNode:
        endpoint = self._endpoint("api")
        await asyncio.sleep(min(self._world.latency, timeout))
        node = self._world.at(endpoint.url)
        waited = self._world.now() - node.booted_at if node is not None else 0.0
        if node is None or waited < node.ready_delay / 2:
            raise errors.NodeUnreachable(f"{endpoint.url} refuses connections", operation="request")
        if not node.serves:
            await self._silence(endpoint.url, timeout)
        if waited < node.ready_delay:
            raise errors.NodeRefused(f"{endpoint.url} is starting")
        if node.garbage is not None:
            raise errors.NodeAnswerInvalid(f"{endpoint.url} answered something else", evidence=[node.garbage])
        if node.auth is not None and (endpoint.auth is None or endpoint.auth.kind != node.auth):
            raise errors.AuthenticationFailed(f"{endpoint.url} demands {node.auth} authentication")
        return node

    async def _silence(self, url: str, timeout: float) -> NoReturn:
        await asyncio.sleep(max(0.0, timeout - self._world.latency))
        raise errors.NodeTimeout(f"{url} gave no answer within {timeout:g} s", operation="request")


__all__ = ["FakeClient"]
