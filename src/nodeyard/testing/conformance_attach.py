"""The conformance suite of attach providers: what every one must do, whatever it searches.

Subclass ``AttachConformance`` in a test module under a name that starts with ``Test`` and say how to make the three
settings. The suite brings the tests; pytest collects them. It needs no network of its own and changes nothing.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from nodeyard.domain.capability import ALWAYS_GRANTED, Capability
from nodeyard.domain.identity import host_port
from nodeyard.domain.quantity import NAME_PATTERN
from nodeyard.domain.sources import AttachOptions
from nodeyard.errors.provider import DiscoveryEmpty, DiscoveryFailed, NodeUnreachable
from nodeyard.ports.attach import AttachProvider, Discovery
from nodeyard.ports.node_control import PROTOCOL_OF, NodeControl, NodeState, supported_by
from nodeyard.ports.plugins import AttachPlugin, PluginContext

T = TypeVar("T")
E = TypeVar("E", bound=Exception)
NOBODY = "no-such-node"
NO_PORT = "no-such-port"


def raised(act: Callable[[], object], expected: type[E]) -> E:
    """The error of that type that ``act`` raises; anything else fails the test."""
    try:
        act()
    except expected as error:
        return error
    raise AssertionError(f"{expected.__name__} was expected, and nothing was raised")


@dataclass(frozen=True)
class AttachSetting:
    """One situation that a provider is made for: the options as a scenario would say them, and the run's context."""

    options: AttachOptions
    context: PluginContext


class AttachConformance:
    """The tests. ``plugin`` is under test; the settings are made anew for each test.

    ``world`` is anything comparable that discovery must leave as it is (files and their times, containers, objects).
    """

    plugin: AttachPlugin

    def some_nodes(self) -> AttachSetting:
        """A setting in which there is at least one node to find."""
        raise AssertionError("the subclass makes a setting with nodes")

    def no_nodes(self) -> AttachSetting:
        """A setting that can be searched and has no node."""
        raise AssertionError("the subclass makes a setting without nodes")

    def unreachable(self) -> AttachSetting:
        """A setting in which the search itself cannot be carried out."""
        raise AssertionError("the subclass makes a setting that cannot be searched")

    def world(self) -> object:
        """What discovery must not change."""
        return None

    def run(self, coro: Coroutine[Any, Any, T]) -> T:
        """How the suite runs a coroutine; override it to use another loop."""
        return asyncio.run(coro)

    def made(self, setting: AttachSetting) -> AttachProvider:
        return self.plugin.create(setting.options, setting.context)

    def found(self) -> tuple[AttachProvider, Discovery]:
        provider = self.made(self.some_nodes())
        discovery = self.run(provider.discover())
        assert discovery.nodes, "the setting with nodes has none"
        return provider, discovery

    def test_the_plugin_says_what_it_is(self) -> None:
        assert self.plugin.name
        assert self.plugin.summary
        assert issubclass(self.plugin.options, AttachOptions)
        word = self.plugin.options.model_fields["type"].annotation
        assert get_args(word) == (self.plugin.name,), "the options' type is a Literal of the plugin's name"
        assert self.plugin.capabilities >= ALWAYS_GRANTED

    def test_making_a_provider_does_nothing(self) -> None:
        setting = self.unreachable()
        before = self.world()
        self.made(setting)
        assert self.world() == before

    def test_the_source_names_the_provider_and_stays(self) -> None:
        provider, _ = self.found()
        again = self.made(self.some_nodes())
        assert provider.source.split(":")[0] == self.plugin.name
        assert provider.source == again.source

    def test_discovering_twice_gives_equal_results(self) -> None:
        provider, first = self.found()
        assert self.run(provider.discover()) == first

    def test_discovery_only_reads(self) -> None:
        setting = self.some_nodes()
        before, entries = self.world(), setting.context.ledger.open_entries()
        self.run(self.made(setting).discover())
        assert self.world() == before
        assert setting.context.ledger.open_entries() == entries

    def test_names_are_node_names_and_unique(self) -> None:
        _, discovery = self.found()
        names = [node.name for node in discovery.nodes]
        assert len(names) == len(set(names))
        assert all(re.fullmatch(NAME_PATTERN, name) for name in names), names

    def test_exclusive_locators_are_one_node_each(self) -> None:
        _, discovery = self.found()
        locators = [node.locator for node in discovery.nodes if node.exclusive]
        assert all(node.locator for node in discovery.nodes)
        assert len(locators) == len(set(locators))

    def test_every_endpoint_is_an_address_and_can_be_asked_for(self) -> None:
        provider, discovery = self.found()
        for node in discovery.nodes:
            for port, endpoint in node.endpoints.items():
                assert "://" in endpoint.url
                assert host_port(endpoint.url) == host_port(provider.endpoint(node.name, port).url)

    def test_nothing_found_is_a_result(self) -> None:
        discovery = self.run(self.made(self.no_nodes()).discover())
        assert discovery.nodes == ()

    def test_a_search_that_is_not_possible_fails_with_a_hint(self) -> None:
        provider = self.made(self.unreachable())
        error = raised(lambda: self.run(provider.discover()), DiscoveryFailed)
        assert not isinstance(error, DiscoveryEmpty), "a search that was not possible is not an empty one"
        assert error.hint, "the error tells a newcomer what to do"

    def test_an_unknown_node_is_a_key_error(self) -> None:
        provider, discovery = self.found()
        port = next(iter(discovery.nodes[0].endpoints), NO_PORT)
        raised(lambda: provider.control(NOBODY), KeyError)
        raised(lambda: provider.endpoint(NOBODY, port), KeyError)

    def test_an_unknown_port_is_unreachable(self) -> None:
        provider, discovery = self.found()
        name = discovery.nodes[0].name
        assert raised(lambda: provider.endpoint(name, NO_PORT), NodeUnreachable).node == name

    def test_controls_do_what_the_plugin_promises_and_no_more(self) -> None:
        for control in self._controls():
            supported = supported_by(control)
            assert supported <= self.plugin.capabilities
            for capability in supported:
                assert isinstance(control, PROTOCOL_OF[capability])
            lacking = control.missing()
            assert set(lacking) <= set(Capability)
            assert all(lacking.values()), "every capability that is missing has its reason"

    def test_the_state_of_a_node_is_told_and_never_raised(self) -> None:
        for control in self._controls():
            assert isinstance(self.run(control.state()), NodeState)

    def _controls(self) -> list[NodeControl]:
        provider, discovery = self.found()
        return [provider.control(node.name) for node in discovery.nodes]
