"""The Compose attach provider of one run: finds borrowed containers, holds how they are reached and controlled."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from nodeyard.domain.launch_plan import Endpoint
from nodeyard.domain.network_rules import Effect
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import DiscoveryFailed, NodeUnreachable
from nodeyard.ports.attach import Discovery
from nodeyard.ports.node_control import NodeControl
from nodeyard.ports.plugins import PluginContext
from nodeyard.providers._clients.docker import calls, labels
from nodeyard.providers._clients.docker.address import engine_address
from nodeyard.providers._clients.docker.containers import Container
from nodeyard.providers._clients.docker.engine import Engine
from nodeyard.providers._clients.docker.networks import network_problems
from nodeyard.providers.attach.compose.control import BorrowedControl
from nodeyard.providers.attach.compose.finding import Wanted, endpoints_of, find
from nodeyard.providers.attach.compose.options import ComposeAttachOptions


class ComposeProvider:
    """Nodes of a Compose project that somebody else runs. Needs no compose command: labels tell everything."""

    def __init__(self, options: ComposeAttachOptions, context: PluginContext) -> None:
        self._options = options
        self._context = context
        self._controls: dict[str, BorrowedControl] = {}
        self._wanted = Wanted(options, context.kinds.get(context.kind))

    @property
    def source(self) -> str:
        options = self._options
        return f"compose:{options.project or ','.join(f'{k}={v}' for k, v in sorted(options.labels.items()))}"

    async def discover(self) -> Discovery:
        """One request, two where nothing was found. Raises ``DiscoveryFailed``, with the reason why it cannot look."""
        options = self._options
        try:
            engine = Engine(engine_address(self._context.environment, host=options.host, context=options.context))
            named = {labels.PROJECT: options.project} if options.project is not None else {}
            containers = await calls.containers(engine, {**options.labels, **named})
            others = await self._others(engine) if not containers else ()
        except DiscoveryFailed:
            raise
        except NodeyardError as error:
            raise DiscoveryFailed(
                error.message, operation="discover", evidence=error.evidence, hint=error.hint
            ) from error
        self._wanted = Wanted(options, self._wanted.kind, _published_host(engine))
        found = find(containers, self._wanted)
        for name, container in found.containers.items():
            known = self._controls.get(name)
            if known is None or known.container.id != container.id:
                self._controls[name] = BorrowedControl(name, container, engine, self._context)
            else:
                known.container = container
        return Discovery(found.discovery.nodes, (*found.discovery.problems, *others))

    async def network_problems(self, effects: Collection[Effect]) -> Sequence[str]:
        address = engine_address(self._context.environment, host=self._options.host, context=self._options.context)
        return await network_problems(effects, self._context.environment, local=address.local)

    async def _others(self, engine: Engine) -> Sequence[str]:
        """What there is instead of a project that is not there."""
        found = await calls.containers(engine, {labels.PROJECT: None})
        projects = sorted({one.labels[labels.PROJECT] for one in found})
        return [f"no container of it is there; projects of this engine: {', '.join(projects[:10]) or 'none'}"]

    def control(self, name: str) -> NodeControl:
        """Raises ``KeyError`` for a node that was not discovered."""
        return self._controls[name]

    def endpoint(self, name: str, port: str) -> Endpoint:
        """A port since the container was last looked at: at discovery, and after each operation of ours.

        Raises ``KeyError`` for a node that was not discovered, ``NodeUnreachable`` for a port it does not have.
        """
        container: Container = self._controls[name].container
        endpoints = endpoints_of(container, self._wanted)
        if port not in endpoints:
            raise NodeUnreachable(
                f"{self.source} reaches no port '{port}' of it",
                node=name,
                operation="endpoint",
                evidence=[f"container {container.name}: {', '.join(sorted(endpoints)) or 'no port is published'}"],
                hint="publish the port, or allow 'address: auto'",
            )
        return endpoints[port]


def _published_host(engine: Engine) -> str | None:
    """Where published ports of an engine of another machine are reached; ``None``: as the engine says itself."""
    if engine.address.local:
        return None
    return engine.address.url.partition("://")[2].rpartition(":")[0] or None
