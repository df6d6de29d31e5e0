"""Kinds that files describe pass the suite of all kinds, with nodes that answer in the recorded shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from nodeyard.domain.identity import NetworkFacts
from nodeyard.domain.launch_plan import LaunchPlan, NetworkMaterial
from nodeyard.domain.node_client import Identification, Probe, Rung
from nodeyard.domain.sources import Scalar
from nodeyard.errors.provider import NodeUnreachable
from nodeyard.kinds.declarative.kind import DeclarativeKind
from nodeyard.testing import FakeTransport
from nodeyard.testing.conformance_kind import KindConformance

from . import recorded
from .support import example, shipped

Config = Mapping[str, Scalar]


class TestRedis(KindConformance):
    kind = example("redis")
    config: ClassVar[Config] = {"maxmemory": "64mb"}
    wrong_config: ClassVar[Config] = {"save": "env:SECRET"}

    def well(self) -> FakeTransport:
        transport, url = FakeTransport(), self.url("client")
        transport.says(url, "PING\r\n", "+PONG\r\n")
        transport.says(url, "INFO server\r\n", recorded.REDIS_SERVER)
        return transport.says(url, "INFO replication\r\n", recorded.REDIS_REPLICATION)


class TestNats(KindConformance):
    kind = example("nats")
    wrong_config: ClassVar[Config] = {"max_payload": "much", "max_connections": 3}

    def well(self) -> FakeTransport:
        transport = recorded.answering(self.url("monitor"), recorded.NATS)
        return transport.says(self.url("client"), "", 'INFO {"server_id": "N1"} \r\n')


class TestEthereum(KindConformance):
    kind = shipped("ethereum")

    def well(self) -> FakeTransport:
        return recorded.RpcNode(self.url("rpc"), recorded.ETHEREUM)


class TestBeacon(KindConformance):
    kind = shipped("ethereum-beacon")

    def well(self) -> FakeTransport:
        return recorded.answering(self.url("rest"), recorded.BEACON)


class _Logos(KindConformance):
    kind = shipped("logos")
    info: ClassVar[Any]

    def well(self) -> FakeTransport:
        return recorded.answering(self.url("api"), {**recorded.LOGOS, "/cryptarchia/info": self.info})


class TestLogosStateAndPhase(_Logos):
    info = recorded.LOGOS_STATE_AND_PHASE


class TestLogosMode(_Logos):
    info = recorded.LOGOS_MODE


class TestLogosFlat(_Logos):
    info = recorded.LOGOS_FLAT


class LessSaid(TestNats):
    def __init__(self) -> None:
        self.kind = example("nats")
        self.kind.protocols = ()


class OneNetwork(TestNats):
    class Kind(DeclarativeKind):
        def material(self, nodes: Any, *, mark: Any, seed: int, pins: Any) -> NetworkMaterial:
            return NetworkMaterial("devnet")

    kind = Kind(example("nats").file, "nats.yaml")


class Deaf(TestNats):
    """Its nodes are not told where to listen."""

    class Kind(DeclarativeKind):
        def render(self, request: Any) -> LaunchPlan:
            return LaunchPlan(request.node.name, "nats-server", (request.node.name,))

    kind = Kind(example("nats").file, "nats.yaml")


class Guesses(TestEthereum):
    """Takes any answer for a node's."""

    class Kind(DeclarativeKind):
        def client(self, endpoint: Any, transport: Any) -> Any:
            class Client:
                async def probe(self, *, timeout: float) -> Probe:
                    await transport.request(endpoint("rpc"), "GET", "/", timeout=timeout)
                    return Probe(True, Rung.API_ANSWERS, "200")

                async def identify(self, *, timeout: float) -> Identification:
                    await transport.request(endpoint("rpc"), "GET", "/", timeout=timeout)
                    return Identification("me", NetworkFacts())

            return Client()

    kind = Kind(shipped("ethereum").file, "ethereum.yaml")

    def well(self) -> FakeTransport:
        return FakeTransport().reply("GET", f"{self.url('rpc')}/", json={})


@pytest.mark.parametrize(
    ("suite", "test"),
    [
        (LessSaid, "test_clients_speak_what_the_kind_says_and_nothing_else"),
        (OneNetwork, "test_material_is_of_one_run_and_the_same_each_time"),
        (Deaf, "test_every_node_listens_where_its_place_says"),
        (Guesses, "test_a_node_that_is_down_is_a_rung"),
        (Guesses, "test_a_web_page_is_not_the_node"),
        (Guesses, "test_who_it_is_is_not_guessed"),
    ],
)
def test_the_suite_catches_what_does_not_conform(suite: type[KindConformance], test: str) -> None:
    with pytest.raises((AssertionError, NodeUnreachable)):
        getattr(suite(), test)()
