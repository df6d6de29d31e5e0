"""A kind of node that does nothing but answer, so that what is measured is Nodeyard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from nodeyard.domain.identity import NetworkFacts
from nodeyard.domain.launch_plan import LaunchPlan, NetworkMaterial, NodePlan, PortSpec
from nodeyard.domain.node_client import Identification, Probe, Rung
from nodeyard.domain.policy import NetworkPins
from nodeyard.domain.run_identity import RunMark
from nodeyard.domain.sources import Scalar
from nodeyard.errors.provider import ProviderError
from nodeyard.ports.kind import EndpointOf, Matters, ProgramSpec, RenderRequest
from nodeyard.ports.transport import Transport

PROGRAM = Path(__file__).with_name("toy_node.py")


class ToyKind:
    """Kind ``toy``; the scenario names a Python interpreter as the nodes' ``binary``."""

    name: ClassVar[str] = "toy"
    summary: ClassVar[str] = "a server that answers with its name"
    ports: ClassVar[tuple[PortSpec, ...]] = (PortSpec("api", 8000),)
    api_port: ClassVar[str] = "api"
    program: ClassVar[ProgramSpec | None] = ProgramSpec("python3", "NODEYARD_TOY")
    roles: ClassVar[tuple[str, ...]] = ()
    protocols: ClassVar[tuple[type, ...]] = ()
    matters: ClassVar[Mapping[str, Matters]] = {"id": Matters.FATAL}

    def config_problems(self, config: Mapping[str, Scalar]) -> Sequence[tuple[str, str]]:
        return [(key, "toys have no config") for key in config]

    def material(self, nodes: Sequence[NodePlan], *, mark: RunMark, seed: int, pins: NetworkPins) -> NetworkMaterial:
        return NetworkMaterial("toys")

    def render(self, request: RenderRequest) -> LaunchPlan:
        port = request.place.listen("api").rpartition(":")[2]
        return LaunchPlan(request.node.name, "python3", ("-I", "-S", str(PROGRAM), port))

    def client(self, endpoint: EndpointOf, transport: Transport) -> ToyClient:
        return ToyClient(endpoint, transport)


class ToyClient:
    """One request per question."""

    def __init__(self, endpoint: EndpointOf, transport: Transport) -> None:
        self._endpoint = endpoint
        self._transport = transport

    async def probe(self, *, timeout: float) -> Probe:
        try:
            reply = await self._transport.request(self._endpoint("api"), "GET", "/health", timeout=timeout)
        except ProviderError as error:
            return Probe(False, Rung.NOTHING, error.message)
        return Probe(reply.status == 200, Rung.HEIGHT, "it answers")

    async def identify(self, *, timeout: float) -> Identification:
        reply = await self._transport.request(self._endpoint("api"), "GET", "/id", timeout=timeout)
        said = reply.json()
        return Identification(said["id"], NetworkFacts(id=said["network"]))
