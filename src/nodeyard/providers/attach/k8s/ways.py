"""The way to the ports of borrowed pods: tried in the order of their speed, then held open."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from lightkube.resources.core_v1 import Pod, Service

from nodeyard._aio.tasks import side_by_side
from nodeyard.errors.provider import DiscoveryFailed
from nodeyard.providers._clients.kube import access, rights, states
from nodeyard.providers._clients.kube.cluster import Cluster
from nodeyard.providers.attach.k8s.reading import Seen

SAMPLE = 3
"""Pods that a way is tried on: what reaches three reaches all, or the others are told to be unreachable."""
RIGHTS: Mapping[str, Mapping[str, Sequence[str]]] = {
    access.NODE_PORT: {"services": ("list",)},
    access.PORT_FORWARD: {"pods/portforward": ("get",)},
    access.API_PROXY: {"pods/proxy": ("get", "create")},
}
"""What each way takes beside seeing pods."""
ORDER = (access.POD_IP, access.NODE_PORT, access.PORT_FORWARD, access.API_PROXY)


class Ways:
    """The one way to all ports of a provider's nodes. ``way`` is empty until it is chosen."""

    def __init__(self, cluster: Cluster, wanted: str, pod_of: Callable[[str], str]) -> None:
        """``pod_of`` gives the present name of a node's pod."""
        self.way = ""
        self._pod_of = pod_of
        self._cluster = cluster
        self._wanted = wanted
        self._doors: access.Doors | None = None
        self._node_ports: dict[tuple[str, str], str] = {}

    async def choose(self, nodes: Sequence[Seen], pods: Mapping[str, Pod]) -> None:
        """Take the first way that works, and open it for these nodes. Raises ``DiscoveryFailed`` with why none did."""
        if not nodes:
            return
        tried: list[str] = []
        for way in (ORDER if self._wanted == "auto" else (self._wanted,)) if not self.way else (self.way,):
            problem = await self._problem(way, nodes, pods)
            if not problem:
                self.way = way
                await self._open(nodes)
                return
            tried.append(f"{way}: {problem}")
        raise DiscoveryFailed(
            "no way leads to the pods' ports" if len(tried) > 1 else f"the pods cannot be reached by {self._wanted}",
            operation="discover", evidence=tried,
            hint="permit one of them (pods/portforward is enough), or run where pods can be reached",
        )  # fmt: skip

    async def _problem(self, way: str, nodes: Sequence[Seen], pods: Mapping[str, Pod]) -> str:
        """Why a way does not do, or an empty text. A way that was asked for by name is not tried out."""
        explicit = self._wanted != "auto"
        if way == access.POD_IP:
            return "" if explicit else await self._pods_answer(nodes, pods)
        missing = await self._lacking(way, nodes)
        if missing:
            return f"not permitted to {', '.join(map(str, missing))}"
        if way == access.NODE_PORT:
            return await self._node_ports_problem(nodes, pods)
        return ""

    async def _lacking(self, way: str, nodes: Sequence[Seen]) -> Sequence[rights.Right]:
        wanted = [
            right for namespace in sorted({node.namespace for node in nodes})
            for right in rights.rights(namespace, RIGHTS[way])
        ]  # fmt: skip
        return await rights.lacking(self._cluster, wanted)

    async def _pods_answer(self, nodes: Sequence[Seen], pods: Mapping[str, Pod]) -> str:
        async def one(node: Seen) -> str:
            host = states.address_of(pods[node.name])
            number = next(iter(node.ports.values()))
            return "" if await access.routed(host, number) else f"{host}:{number} gives no answer"

        outcomes = await side_by_side(one, nodes[:SAMPLE])
        return next((str(outcome) for outcome in outcomes if outcome), "")

    async def _node_ports_problem(self, nodes: Sequence[Seen], pods: Mapping[str, Pod]) -> str:
        """Find a NodePort of its own for every node: one in front of several pods can't address one of them."""
        self._node_ports = {}
        for namespace in sorted({node.namespace for node in nodes}):
            services, _ = await self._cluster.list_all(Service, namespace)
            mine = [node for node in nodes if node.namespace == namespace]
            for service in services:
                await self._note(service, [node for node in mine if _selects(service, pods[node.name])], pods)
        lacking = [node.name for node in nodes if not any((node.name, port) in self._node_ports for port in node.ports)]
        if lacking:
            return f"no NodePort leads to {lacking[0]} alone"
        first = next(iter(self._node_ports.values()))
        host, _, port = first.rpartition(":")
        return "" if await access.routed(host.strip("[]"), int(port)) else f"{first} gives no answer"

    async def _note(self, service: Service, selected: Sequence[Seen], pods: Mapping[str, Pod]) -> None:
        if len(selected) != 1 or service.spec is None or service.spec.type not in ("NodePort", "LoadBalancer"):
            return
        node = selected[0]
        status = pods[node.name].status
        host = (status.hostIP if status is not None else None) or ""
        for port in service.spec.ports or []:
            for name, number in node.ports.items():
                target = port.targetPort if port.targetPort is not None else port.port
                if port.nodePort and target in (number, name):
                    self._node_ports[node.name, name] = joined(host, port.nodePort)

    async def _open(self, nodes: Sequence[Seen]) -> None:
        if self.way not in access.LISTENING:
            return
        if self._doors is None:
            self._doors = access.Doors(self._cluster, self.way)
        for node in nodes:
            for port, number in node.ports.items():
                await self._doors.open(
                    access.Target(node.name, port, number, node.namespace, partial(self._pod_of, node.name))
                )

    def address(self, node: Seen, port: str, pod: Pod | None) -> str | None:
        """``host:port`` at which the tester reaches a port now; ``None`` while there is none."""
        if self._doors is not None:
            return self._doors.address(node.name, port)
        if self.way == access.NODE_PORT:
            return self._node_ports.get((node.name, port))
        host = states.address_of(pod) if pod is not None else ""
        return joined(host, node.ports[port]) if host else None

    def last_error(self, node: Seen, port: str) -> str:
        """Why the way to a port last failed, or an empty text."""
        return self._doors.last_error(node.name, port) if self._doors is not None else ""

    async def close(self) -> None:
        """Close every door. Idempotent."""
        doors, self._doors = self._doors, None
        if doors is not None:
            await doors.close()


def joined(host: str, port: int) -> str:
    """``host:port``, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _selects(service: Service, pod: Pod) -> bool:
    wanted = (service.spec.selector if service.spec else None) or {}
    labels = (pod.metadata.labels if pod.metadata else None) or {}
    return bool(wanted) and all(labels.get(key) == value for key, value in wanted.items())
