"""The Kubernetes attach provider: pods by namespace and selector, found and held for one run. Reads, unless granted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cached_property

from lightkube.resources.core_v1 import Pod

from nodeyard.domain.capability import Capability
from nodeyard.domain.launch_plan import Endpoint, Scheme
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import DiscoveryFailed, NodeUnreachable
from nodeyard.errors.validation import SpecInvalid
from nodeyard.ports.attach import Discovered, Discovery
from nodeyard.ports.node_control import NodeControl
from nodeyard.ports.plugins import PluginContext
from nodeyard.providers._clients.kube import rights
from nodeyard.providers._clients.kube.cluster import Cluster
from nodeyard.providers._clients.kube.config import reach
from nodeyard.providers._clients.kube.watch import PodWatch
from nodeyard.providers.attach.k8s import control, reading
from nodeyard.providers.attach.k8s.control import K8sAttachedControl
from nodeyard.providers.attach.k8s.options import K8sAttachOptions
from nodeyard.providers.attach.k8s.reading import Seen
from nodeyard.providers.attach.k8s.ways import RIGHTS, Ways

SEEING = {"pods": ("list", "watch")}
"""The least that discovery takes."""


class K8sProvider:
    """The pods of one attach source; see ``ports.attach.AttachProvider``."""

    def __init__(self, options: K8sAttachOptions, context: PluginContext) -> None:
        self._options = options
        self._context = context
        self._cluster: Cluster | None = None
        self._watches: dict[str, PodWatch] = {}
        self._ways: Ways | None = None
        self._controls: dict[str, K8sAttachedControl] = {}
        self._missing: dict[str, dict[Capability, str]] = {}

    @property
    def source(self) -> str:
        return f"k8s:{'+'.join(self._options.namespace) or 'default'}"

    @property
    def cluster(self) -> Cluster:
        """The connection, made when it is first needed. Raises ``SpecInvalid`` for a context that is not there."""
        if self._cluster is None:
            environment = self._context.environment
            self._cluster = Cluster(reach(self._options.context, environment), environment, self._context.clock)
        return self._cluster

    @cached_property
    def namespaces(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self._options.namespace)) or (self.cluster.config.namespace,)

    async def check(self) -> None:
        """See ``ports.plugins.CanCheck``: reachable, and permitted all that this scenario is to do."""
        table = {resource: list(verbs) for resource, verbs in SEEING.items()}
        extra = [RIGHTS.get(self._options.access, {})]
        extra += [control.RIGHTS[c] for c in self._options.allow if c in control.RIGHTS]
        for more in extra:
            for resource, verbs in more.items():
                table.setdefault(resource, []).extend(verbs)
        wanted = [right for namespace in self.namespaces for right in rights.rights(namespace, table)]
        missing = await rights.lacking(self.cluster, wanted)
        if not missing:
            return
        raise await rights.refused(self.cluster, missing)

    async def discover(self) -> Discovery:
        """List the pods now, and watch them from here on. Raises ``DiscoveryFailed``."""
        try:
            return await self._discover()
        except SpecInvalid as error:
            raise DiscoveryFailed(str(error.problems[0]), operation="discover", hint=error.hint) from error
        except DiscoveryFailed:
            raise
        except NodeyardError as error:
            raise DiscoveryFailed(
                error.message, operation="discover", evidence=error.evidence, hint=error.hint
            ) from error

    async def _discover(self) -> Discovery:
        cluster = self.cluster
        pods = [pod for found in await asyncio.gather(*map(self._look, self.namespaces)) for pod in found]
        kind = self._context.kinds[self._context.kind]
        nodes, problems = reading.read(pods, reading.Asked(self._options.container, self._options.port, kind))
        if self._ways is None:
            self._ways = Ways(cluster, self._options.access, lambda name: self._controls[name].node.pod)
        by_uid = {reading.pod_uid(pod): pod for pod in pods}
        if not self._missing:
            self._missing = {n: dict(m) for n, m in (await control.lacking(cluster, self.namespaces)).items()}
        self._controls = {node.name: self._control(node) for node in nodes}
        await self._ways.choose(nodes, {node.name: by_uid[node.uid] for node in nodes})
        return Discovery(tuple(self._discovered(node) for node in nodes), tuple(problems))

    async def _look(self, namespace: str) -> Sequence[Pod]:
        """The pods of a namespace; the watch begins with them."""
        watch = self._watches.get(namespace)
        if watch is None:
            options = self._options
            watch = PodWatch(
                self.cluster, namespace, options.selector, _unseen, self._context.give_up, fields=options.fields
            )
            await watch.start()
            self._watches[namespace] = watch
        else:
            await watch.refresh()
        return list(watch.pods.values())

    def _control(self, node: Seen) -> K8sAttachedControl:
        known = self._controls.get(node.name)
        if known is not None and known.node == node:
            return known
        return K8sAttachedControl(
            node,
            self.cluster,
            self._watches[node.namespace],
            missing=self._missing.get(node.namespace, {}),
            restart_timeout=self._options.restart_timeout,
            taken=lambda: frozenset(held.node.pod for held in self._controls.values()),
            moved=lambda _: None,
        )

    def _discovered(self, node: Seen) -> Discovered:
        assert self._ways is not None
        held = self._controls[node.name].pod
        reached = [port for port in node.ports if self._ways.address(node, port, held) is not None]
        endpoints = {port: self._endpoint(node, port) for port in reached}
        details = {"owner": node.owner, "access": self._ways.way, "uid": node.uid}
        return Discovered(node.name, node.locator, endpoints, exclusive=True, details=details)

    def control(self, name: str) -> NodeControl:
        return self._controls[name]

    def endpoint(self, name: str, port: str) -> Endpoint:
        node = self._controls[name].node
        if port not in node.ports:
            raise NodeUnreachable(
                f"{self.source} knows no port '{port}' of it", node=name, operation="endpoint",
                evidence=[f"it has {', '.join(f'{p} {n}' for p, n in node.ports.items())}"],
                hint="name the container's ports as the kind does, or give 'port'",
            )  # fmt: skip
        return self._endpoint(node, port)

    def _endpoint(self, node: Seen, port: str) -> Endpoint:
        held = self._controls[node.name]
        address = self._ways.address(node, port, held.pod) if self._ways is not None else None
        if address is None:
            raise NodeUnreachable(
                "has no pod that could be reached", node=node.name, operation="endpoint", hint="see its controller"
            )
        kind = self._context.kinds[self._context.kind]
        http = any(spec.name == port and spec.scheme is Scheme.HTTP for spec in kind.ports)
        scheme = "tcp" if not http else "https" if self._options.tls is not None else "http"
        return Endpoint(f"{scheme}://{address}", self._options.auth, self._options.tls)

    async def close(self) -> None:
        """See ``ports.plugins.CanClose``."""
        if self._ways is not None:
            await self._ways.close()
        for watch in self._watches.values():
            await watch.stop()
        cluster, self._cluster = self._cluster, None
        if cluster is not None:
            await cluster.close()


def _unseen(_name: str, _pod: Pod | None) -> None:
    """Whoever wants to know looks at what the watch holds."""
