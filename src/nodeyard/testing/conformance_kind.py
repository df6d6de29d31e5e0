"""The conformance suite of node kinds: what every one must do, whatever its software.

Subclass ``KindConformance`` in a test module under a name that starts with ``Test``; say which kind, and how one of its
nodes answers that is well. The suite brings the tests; pytest collects them. It starts nothing and opens no socket.
"""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from nodeyard.domain import node_client
from nodeyard.domain.identity import NetworkFacts
from nodeyard.domain.launch_plan import AT_RUN, Endpoint, LaunchPlan, NetworkMaterial, NodePlan, Scheme, Seed
from nodeyard.domain.node_client import Probe, Rung
from nodeyard.domain.policy import NetworkPins
from nodeyard.domain.quantity import NAME_PATTERN
from nodeyard.domain.run_identity import RunMark
from nodeyard.domain.sources import Scalar
from nodeyard.errors import provider as errors
from nodeyard.errors.validation import SpecInvalid
from nodeyard.ports.kind import Matters, NodeKind, RenderRequest
from nodeyard.ports.transport import Reply, Transport
from nodeyard.testing.fake_transport import FakeTransport
from nodeyard.testing.recording import TEST_MARK
from nodeyard.testing.virtual_time import run_virtual

T = TypeVar("T")
HTML = "<!DOCTYPE html><html><head><title>Welcome</title></head><body>It works!</body></html>"
PATIENCE = 2.0
CLIENT_PROTOCOLS = {
    name: protocol
    for name, protocol in vars(node_client).items()
    if getattr(protocol, "_is_runtime_protocol", False) and protocol.__module__ == node_client.__name__
}
"""Every client protocol that there is, by name."""


@dataclass(frozen=True)
class StagePlace:
    """Where a node of the suite is: its own host, and ports that nobody else has."""

    name: str
    numbers: dict[str, int]
    at_run: bool = False

    @property
    def data_dir(self) -> str:
        return f"/stage/{self.name}/data"

    @property
    def config_dir(self) -> str:
        return f"/stage/{self.name}/config"

    def listen(self, port: str) -> str:
        return f"127.0.0.1:{AT_RUN if self.at_run else self.numbers[port]}"

    def advertise(self, port: str) -> str:
        return f"{self.name}.stage:{AT_RUN if self.at_run else self.numbers[port]}"


class KindConformance:
    """The tests. ``kind`` is under test; its nodes may have ``config``, and each key of ``wrong_config`` is refused.

    ``looks`` is how often a node that is well is probed until it is ready: more than once where it has to advance.
    """

    kind: NodeKind
    config: ClassVar[Mapping[str, Scalar]] = {}
    wrong_config: ClassVar[Mapping[str, Scalar]] = {"no-such-setting": 1}
    role: str | None = None
    looks: ClassVar[int] = 1

    def well(self) -> FakeTransport:
        """A transport through which a node answers that is well, at ``url(port)`` of each port."""
        raise AssertionError("the subclass scripts a node that is well")

    def url(self, port: str) -> str:
        """Where the node of the suite is reached."""
        position = [spec.name for spec in self.kind.ports].index(port)
        scheme = next(spec.scheme for spec in self.kind.ports if spec.name == port)
        return f"{'http' if scheme is Scheme.HTTP else 'tcp'}://node.stage:{7000 + position}"

    def run(self, coro: Coroutine[Any, Any, T]) -> T:
        """How the suite runs a coroutine: in virtual time."""
        return run_virtual(coro)

    # ── what it is ───────────────────────────────────────────────────────────────────────────────────────────────

    def test_it_says_what_it_is(self) -> None:
        kind = self.kind
        assert re.fullmatch(NAME_PATTERN, kind.name)
        assert kind.summary
        names = [port.name for port in kind.ports]
        assert names
        assert len(names) == len(set(names))
        assert kind.api_port in names
        assert len({port.number for port in kind.ports}) == len(names), "two ports of one container have one number"
        assert all(re.fullmatch(NAME_PATTERN, role) for role in kind.roles)

    def test_every_fact_of_a_network_has_a_weight(self) -> None:
        assert set(self.kind.matters) <= set(NetworkFacts.__dataclass_fields__)
        assert all(isinstance(weight, Matters) for weight in self.kind.matters.values())

    def test_config_is_judged_by_key(self) -> None:
        assert list(self.kind.config_problems({})) == []
        assert list(self.kind.config_problems(self.config)) == []
        problems = list(self.kind.config_problems({**self.config, **self.wrong_config}))
        assert {key for key, _ in problems} == set(self.wrong_config)
        assert all(message for _, message in problems)

    # ── how it is launched ───────────────────────────────────────────────────────────────────────────────────────

    def test_material_is_of_one_run_and_the_same_each_time(self) -> None:
        first = self._material()
        assert first == self._material()
        other = self._material(RunMark("other-run", TEST_MARK.host, TEST_MARK.boot))
        assert first.id != other.id, "two runs look like one network"

    def test_rendering_is_pure(self) -> None:
        assert self._launches() == self._launches()

    def test_each_node_is_launched_for_itself(self) -> None:
        launches = self._launches()
        assert [launch.node for launch in launches] == [plan.name for plan in self._plans()][: len(launches)]
        for launch in launches:
            assert launch.program
            assert "/" not in launch.program, "a deployer finds the program"
            assert all(isinstance(arg, str) for arg in launch.args)
            assert launch.stop.grace > 0
        assert len({(launch.args, launch.files) for launch in launches}) == len(launches), "two nodes are alike"

    def test_every_node_listens_where_its_place_says(self) -> None:
        for launch, place in zip(self._launches(), self._places(), strict=False):
            told = self._told(launch)
            for port in place.numbers.values():
                assert str(port) in told, f"{launch.node} does not learn of its port {port}"
            assert place.data_dir in told or place.config_dir in told, f"{launch.node} is not told where its files are"

    def test_files_stay_below_the_config_folder(self) -> None:
        for launch in self._launches():
            paths = [file.path for file in launch.files]
            assert len(paths) == len(set(paths))
            assert all(path and not path.startswith("/") and ".." not in path.split("/") for path in paths)

    def test_a_plan_can_be_rendered_before_there_are_addresses(self) -> None:
        for launch in self._launches(at_run=True):
            assert AT_RUN in self._told(launch)

    def test_a_kind_that_names_no_program_refuses_to_be_launched(self) -> None:
        if self.kind.program is None:
            try:
                self.kind.render(self._request(0))
            except SpecInvalid:
                return
            raise AssertionError("it rendered a launch without a program")

    # ── its clients ──────────────────────────────────────────────────────────────────────────────────────────────

    def test_making_a_client_asks_nothing(self) -> None:
        def endpoint(port: str) -> Endpoint:
            raise AssertionError(f"the endpoint of '{port}' was asked for before there was a question")

        transport = FakeTransport()
        self.kind.client(endpoint, transport)
        assert transport.requests == []

    def test_clients_speak_what_the_kind_says_and_nothing_else(self) -> None:
        client = self._client(FakeTransport())
        for protocol in self.kind.protocols:
            assert protocol in CLIENT_PROTOCOLS.values()
            assert isinstance(client, protocol), f"it does not implement {protocol.__name__}"
        spoken = {name for name, protocol in CLIENT_PROTOCOLS.items() if isinstance(client, protocol)}
        named = {
            name
            for name, protocol in CLIENT_PROTOCOLS.items()
            if any(issubclass(said, protocol) for said in self.kind.protocols)
        }
        assert spoken == named, f"it implements {sorted(spoken - named)} and does not say so"

    def test_a_node_that_is_well_is_ready_and_tells_who_it_is(self) -> None:
        async def ask() -> Probe:
            client = self._client(self.well())
            await client.identify(timeout=PATIENCE)
            return await self._last_look(client)

        probe = self.run(ask())
        assert probe.ready, probe.detail
        assert probe.rung >= Rung.API_ANSWERS, "below this rung the barrier asks no node who it is, and waits for ever"
        assert probe.fatal is None

    def test_a_node_that_moves_is_found_again(self) -> None:
        """The endpoint is asked for at each use."""
        moved = [False]

        def endpoint(port: str) -> Endpoint:
            return Endpoint(self.url(port) if moved[0] else "http://gone.stage:1")

        async def ask() -> tuple[Probe, Probe]:
            client = self.kind.client(endpoint, self.well())
            before = await client.probe(timeout=PATIENCE)
            moved[0] = True
            return before, await self._last_look(client)

        before, after = self.run(ask())
        assert not before.ready
        assert after.ready, after.detail

    def test_a_node_that_is_down_is_a_rung(self) -> None:
        probe = self._probe(FakeTransport())
        assert not probe.ready
        assert probe.rung < Rung.PORT_OPEN
        assert probe.detail

    def test_a_node_that_never_answers_is_not_ready_in_time(self) -> None:
        probe, took = self._timed_probe(Silent())
        assert not probe.ready or not self._asks_over_its_ports(), probe.detail
        assert probe.rung <= Rung.PORT_OPEN
        assert took <= PATIENCE + 0.1, f"the look took {took:g} s of {PATIENCE:g}"

    def test_a_web_page_is_not_the_node(self) -> None:
        probe = self._probe(WebPage())
        assert not probe.ready or not self._asks_over_its_ports()
        assert probe.rung <= Rung.API_ANSWERS
        assert probe.detail

    def test_who_it_is_is_not_guessed(self) -> None:
        """Silence, absence and nonsense are errors of a node, never an identification and never anything else."""
        for transport in (FakeTransport(), Silent(), WebPage(), Other()):
            self._refused(transport)

    def test_wrong_credentials_are_told_as_such(self) -> None:
        probe = self._probe(Guarded())
        assert not probe.ready or not self._asks_over_its_ports()
        self._refused(Guarded())

    # ── the stage ────────────────────────────────────────────────────────────────────────────────────────────────

    def _asks_over_its_ports(self) -> bool:
        """Whether being ready takes an answer: a kind may be content with an open port."""
        transport = self.well()
        self.run(self._client(transport).probe(timeout=PATIENCE))
        return bool(transport.requests)

    async def _last_look(self, client: Any) -> Probe:
        probe: Probe = await client.probe(timeout=PATIENCE)
        for _ in range(1, self.looks):
            assert not probe.ready, f"it is ready sooner than after {self.looks} looks"
            probe = await client.probe(timeout=PATIENCE)
        return probe

    def _identifies(self) -> bool:
        transport = self.well()
        self.run(self._client(transport).identify(timeout=PATIENCE))
        return bool(transport.requests)

    def _refused(self, transport: Transport) -> None:
        if not self._identifies():
            return
        try:
            said = self.run(self._client(transport).identify(timeout=PATIENCE))
        except errors.ProviderError:
            return
        raise AssertionError(f"{type(transport).__name__} was taken for a node: {said}")

    def _client(self, transport: Transport) -> Any:
        return self.kind.client(lambda port: Endpoint(self.url(port)), transport)

    def _probe(self, transport: Transport) -> Probe:
        return self._timed_probe(transport)[0]

    def _timed_probe(self, transport: Transport) -> tuple[Probe, float]:
        async def ask() -> tuple[Probe, float]:
            clock = asyncio.get_running_loop().time
            begun = clock()
            return await self._client(transport).probe(timeout=PATIENCE), clock() - begun

        return self.run(ask())

    def _plans(self) -> Sequence[NodePlan]:
        return [
            NodePlan(f"n{i}", self.kind.name, i, 0, role=self.role, config=self.config, ports=tuple(self.kind.ports))
            for i in range(3)
        ]

    def _places(self, *, at_run: bool = False) -> Sequence[StagePlace]:
        ports = [port.name for port in self.kind.ports]
        return [
            StagePlace(plan.name, {port: 21000 + 100 * plan.index + i for i, port in enumerate(ports)}, at_run)
            for plan in self._plans()
        ]

    def _material(self, mark: RunMark = TEST_MARK) -> NetworkMaterial:
        return self.kind.material(self._plans(), mark=mark, seed=1, pins=NetworkPins())

    def _request(self, position: int, *, at_run: bool = False) -> RenderRequest:
        plans, places = self._plans(), self._places(at_run=at_run)
        seeds = [
            Seed(plan.name, None, {port: place.advertise(port) for port in place.numbers})
            for plan, place in zip(plans, places, strict=True)
            if plan.index != position
        ]
        peers = list(zip(plans, places, strict=True))
        return RenderRequest(plans[position], places[position], peers, seeds, self._material())

    def _launches(self, *, at_run: bool = False) -> list[LaunchPlan]:
        if self.kind.program is None:
            return []
        return [self.kind.render(self._request(i, at_run=at_run)) for i in range(len(self._plans()))]

    @staticmethod
    def _told(launch: LaunchPlan) -> str:
        """Everything that a node's process is given to read."""
        files = [file.content.decode("utf-8", "replace") for file in launch.files]
        return "\n".join([*launch.args, *launch.env.values(), *files])


class _Always(ABC):
    """A transport that treats every question alike."""

    async def request(
        self, endpoint: Endpoint, method: str, path: str, *, json: Any = None, text: str | None = None, timeout: float
    ) -> Reply:
        return await self.answer(endpoint.url + path.partition("?")[0], timeout)

    @abstractmethod
    async def answer(self, url: str, timeout: float) -> Reply:
        """What every question gets."""

    async def exchange(
        self, endpoint: Endpoint, sent: bytes, *, complete: Callable[[bytes], bool], timeout: float
    ) -> bytes:
        return (await self.answer(endpoint.url, timeout)).text.encode()

    async def port_open(self, endpoint: Endpoint, *, timeout: float) -> bool:
        await asyncio.sleep(0)
        return True


class Silent(_Always):
    """Accepts every connection and never answers, like a paused process."""

    async def answer(self, url: str, timeout: float) -> Reply:
        await asyncio.sleep(timeout)
        raise errors.NodeTimeout(f"{url} gave no answer within {timeout:g} s")


class WebPage(_Always):
    """Answers every question with a page for people."""

    async def answer(self, url: str, timeout: float) -> Reply:
        await asyncio.sleep(0)
        return Reply(200, HTML, url, {"Content-Type": "text/html"})


class Other(_Always):
    """Answers every question with JSON of some other service."""

    async def answer(self, url: str, timeout: float) -> Reply:
        await asyncio.sleep(0)
        return Reply(200, '{"service": "weather", "temperature": 21.5}', url)


class Guarded(_Always):
    """Refuses our credentials."""

    async def answer(self, url: str, timeout: float) -> Reply:
        await asyncio.sleep(0)
        raise errors.AuthenticationFailed(f"{url} demands credentials, and none were given")


__all__ = ["Guarded", "KindConformance", "Other", "Silent", "StagePlace", "WebPage"]
