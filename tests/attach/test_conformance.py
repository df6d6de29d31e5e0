"""The static provider passes the shipped suite, and the suite catches providers that do not conform."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodeyard.domain.capability import Capability
from nodeyard.domain.launch_plan import Endpoint
from nodeyard.ports.attach import Discovered, Discovery
from nodeyard.ports.node_control import NodeState
from nodeyard.providers.attach.static import StaticOptions, StaticPlugin, StaticProvider
from nodeyard.testing.conformance_attach import AttachConformance, AttachSetting

from .support import context

NODES = "[{name: a, url: 'http://127.0.0.1:2379'}, {name: b, endpoints: {client: 'http://127.0.0.1:2380'}}]"


class TestStatic(AttachConformance):
    plugin = StaticPlugin()

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def _setting(self, text: str | None) -> AttachSetting:
        if text is not None:
            (self.folder / "nodes.yaml").write_text(text)
        return AttachSetting(StaticOptions(type="static", file="nodes.yaml"), context(self.folder))

    def some_nodes(self) -> AttachSetting:
        return self._setting(NODES)

    def no_nodes(self) -> AttachSetting:
        return self._setting("nodes: []")

    def unreachable(self) -> AttachSetting:
        return self._setting(None)

    def world(self) -> object:
        return sorted((p.name, p.stat().st_mtime_ns) for p in self.folder.iterdir())


class Forgetful(StaticProvider):
    """Breaks every promise that the suite can see."""

    calls = 0

    @property
    def source(self) -> str:
        return "elsewhere"

    async def discover(self) -> Discovery:
        self.calls += 1
        node = Discovered(f"Node {self.calls}", "", {"client": Endpoint("127.0.0.1:1")})
        return Discovery((node, node))

    def control(self, name: str) -> Pausing:
        return Pausing()

    def endpoint(self, name: str, port: str) -> Endpoint:
        return Endpoint("http://127.0.0.1:2")


class Pausing:
    async def state(self) -> NodeState:
        raise RuntimeError("gone")

    def missing(self) -> dict[Capability, str]:
        return {Capability.KILL: ""}

    async def pause(self) -> None: ...

    async def resume(self) -> None: ...


class ForgetfulPlugin(StaticPlugin):
    name = "forgetful"
    summary = ""

    def create(self, options: object, context: object) -> Forgetful:
        assert isinstance(options, StaticOptions)
        return Forgetful(options, context)  # type: ignore[arg-type]


SUITE = sorted(name for name in dir(AttachConformance) if name.startswith("test_"))
NOT_BROKEN = {"test_making_a_provider_does_nothing", "test_discovery_only_reads"}


@pytest.mark.parametrize("name", [name for name in SUITE if name not in NOT_BROKEN])
def test_the_suite_catches_a_provider_that_breaks_the_promise(name: str, tmp_path: Path) -> None:
    suite = TestStatic()
    suite.plugin = ForgetfulPlugin()
    suite.folder = tmp_path
    with pytest.raises((AssertionError, RuntimeError)):
        getattr(suite, name)()


def test_the_suite_catches_a_discovery_that_writes(tmp_path: Path) -> None:
    class Writing(StaticProvider):
        async def discover(self) -> Discovery:
            (self._context.base / "seen").touch()
            return await super().discover()

    class WritingPlugin(StaticPlugin):
        def create(self, options: object, context: object) -> Writing:
            assert isinstance(options, StaticOptions)
            return Writing(options, context)  # type: ignore[arg-type]

    suite = TestStatic()
    suite.plugin = WritingPlugin()
    suite.folder = tmp_path
    with pytest.raises(AssertionError):
        suite.test_discovery_only_reads()
