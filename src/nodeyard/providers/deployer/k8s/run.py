"""What all controls of one deployer share: the cluster, the watch over its pods, and the way to their ports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from lightkube.resources.core_v1 import Pod

from nodeyard.domain.secrets import Secret
from nodeyard.ports.plugins import PluginContext
from nodeyard.providers._clients.kube import access, states
from nodeyard.providers._clients.kube.cluster import Cluster
from nodeyard.providers._clients.kube.config import Reach, reach
from nodeyard.providers._clients.kube.watch import PodWatch
from nodeyard.providers.deployer.k8s.layout import CONTAINER, LABEL_NODE, Layout, PodPlace, layout_of
from nodeyard.providers.deployer.k8s.manifests import Owner
from nodeyard.providers.deployer.k8s.options import K8sOptions

Told = Callable[[Pod | None], None]


@dataclass
class Run:
    """One run. ``closed``: nothing may be started any more."""

    options: K8sOptions
    context: PluginContext
    closed: bool = False
    images: dict[str, str] = field(default_factory=dict)
    owner: Owner | None = None
    told: dict[str, Told] = field(default_factory=dict)
    near: bool = False
    """Whether this machine is under every pod, so that rules can be made inside of their networks."""
    way: str = ""
    """How the tester reaches pods; chosen when the first one runs."""

    def __post_init__(self) -> None:
        self._cluster: Cluster | None = None
        self._watch: PodWatch | None = None
        self._doors: access.Doors | None = None
        self._choosing = asyncio.Lock()
        self._node_ports: dict[tuple[str, str], int] = {}

    @cached_property
    def layout(self) -> Layout:
        return layout_of(self.context.mark, self.options.namespace)

    @cached_property
    def where(self) -> Reach:
        """Raises ``SpecInvalid`` for a context that is not there."""
        return reach(self.options.context, self.context.environment)

    @property
    def cluster(self) -> Cluster:
        """The connection, made when it is first needed."""
        if self._cluster is None:
            self._cluster = Cluster(self.where, self.context.environment, self.context.clock)
        return self._cluster

    @property
    def watch(self) -> PodWatch:
        if self._watch is None:
            layout = self.layout
            self._watch = PodWatch(self.cluster, layout.namespace, layout.selector, self._seen, self.context.give_up)
        return self._watch

    def _seen(self, name: str, pod: Pod | None) -> None:
        if (tell := self.told.get(name)) is not None:
            tell(pod)

    def reveal(self, secret: Secret) -> str:
        return self.context.secrets.reveal(secret)

    def pod(self, node: str) -> Pod | None:
        """The node's pod as it is now; ``None`` where there is none, or it goes away."""
        pod = self.watch.pods.get(self.layout.pod(node))
        return None if pod is None or (pod.metadata and pod.metadata.deletionTimestamp) else pod

    # -- ways to ports ------------------------------------------------------------------------------------------------

    async def open_ways(self, place: PodPlace) -> None:
        """Choose the way if none is chosen, and make the node's ports reachable by it."""
        if not place.ports:
            return
        async with self._choosing:
            if not self.way:
                self.way = await self._chosen(place)
        if self.way in access.LISTENING:
            if self._doors is None:
                self._doors = access.Doors(self.cluster, self.way)
            name = self.layout.pod(place.node)
            for port, number in place.ports.items():
                target = access.Target(place.node, port, number, self.layout.namespace, lambda: name)
                await self._doors.open(target)
        elif self.way == access.NODE_PORT:
            await self._find_node_ports(place)

    async def _chosen(self, place: PodPlace) -> str:
        if self.options.access != "auto":
            return self.options.access
        pod = self.pod(place.node)
        number = next(iter(place.ports.values()))
        if pod is not None and await access.routed(states.address_of(pod), number):
            return access.POD_IP
        return access.PORT_FORWARD

    async def _find_node_ports(self, place: PodPlace) -> None:
        from lightkube.resources.core_v1 import Service

        layout = self.layout
        service = await self.cluster.get(Service, f"{layout.pod(place.node)}-port", layout.namespace)
        for port in (service.spec.ports or []) if service is not None else []:
            self._node_ports[place.node, port.name] = port.nodePort

    def address(self, node: str, port: str, number: int) -> str | None:
        """``host:port`` at which the tester reaches a port now; ``None`` while there is none."""
        pod = self.pod(node) if self._watch is not None else None
        if pod is None or not self.way:
            return None
        if self._doors is not None:
            return self._doors.address(node, port)
        host, reached = states.address_of(pod), number
        if self.way == access.NODE_PORT:
            host, reached = (pod.status.hostIP if pod.status else None) or "", self._node_ports.get((node, port), 0)
        if not host or not reached:
            return None
        return f"[{host}]:{reached}" if ":" in host else f"{host}:{reached}"

    # -- the end ------------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Close every door and connection. Idempotent; what was seen of the pods stays known."""
        doors, self._doors = self._doors, None
        if doors is not None:
            await doors.close()
        if self._watch is not None:
            await self._watch.stop()
        cluster, self._cluster = self._cluster, None
        if cluster is not None:
            await cluster.close()


__all__ = ["CONTAINER", "LABEL_NODE", "Run"]
