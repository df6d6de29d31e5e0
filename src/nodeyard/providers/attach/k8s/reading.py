"""From pods to nodes: names, ports, owners, and what keeps a pod from being a node. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lightkube.models.core_v1 import Container
from lightkube.resources.core_v1 import Pod

from nodeyard.domain.launch_plan import PortSpec
from nodeyard.ports.kind import NodeKind
from nodeyard.providers._clients.kube import states

LONGEST = 63


@dataclass(frozen=True)
class Seen:
    """A pod that is a node. ``ports`` are numbers by the kind's names, ``owner`` as in ``StatefulSet/etcd``."""

    name: str
    namespace: str
    pod: str
    uid: str
    container: str
    ports: Mapping[str, int]
    owner: str
    owner_uid: str

    @property
    def locator(self) -> str:
        return f"{self.namespace}/pod/{self.pod}"


@dataclass(frozen=True)
class Asked:
    """What the scenario says of the pods."""

    container: str | None
    port: int | str | None
    kind: NodeKind


def read(pods: Sequence[Pod], asked: Asked) -> tuple[list[Seen], list[str]]:
    """The nodes among pods, in the order of their names, and a line for each pod that is none or not ready."""
    nodes: list[Seen] = []
    problems: list[str] = []
    names = node_names([(pod_namespace(pod), pod_name(pod)) for pod in pods])
    for pod, name in sorted(zip(pods, names, strict=True), key=lambda pair: pair[1]):
        where = f"pod {pod_namespace(pod)}/{pod_name(pod)}"
        if reason := unusable(pod):
            problems.append(f"{where} {reason}")
            continue
        found = _seen(pod, name, asked)
        if isinstance(found, str):
            problems.append(f"{where} {found}")
            continue
        nodes.append(found)
        if reason := unready(pod):
            problems.append(f"{where} {reason}")
    return nodes, problems


def pod_name(pod: Pod) -> str:
    return (pod.metadata.name if pod.metadata else None) or ""


def pod_namespace(pod: Pod) -> str:
    return (pod.metadata.namespace if pod.metadata else None) or ""


def pod_uid(pod: Pod) -> str:
    return (pod.metadata.uid if pod.metadata else None) or ""


def node_names(pods: Sequence[tuple[str, str]]) -> list[str]:
    """A node name for each pod: its own where that is one in all namespaces, else with its namespace before it."""
    plain = [name.replace(".", "-")[:LONGEST].strip("-") for _, name in pods]
    twice = {name for name in plain if plain.count(name) > 1} if len(set(plain)) < len(plain) else set()
    return [
        f"{namespace}-{name}"[:LONGEST].strip("-") if name in twice else name
        for (namespace, _), name in zip(pods, plain, strict=True)
    ]


def unusable(pod: Pod) -> str:
    """Why a pod is no node now, or an empty text."""
    if pod.metadata is not None and pod.metadata.deletionTimestamp is not None:
        return "is going away"
    if reason := states.over(pod):
        return f"is over: {reason}"
    if not states.address_of(pod):
        phase = (pod.status.phase if pod.status else None) or "unknown"
        return f"has no address yet ({phase})"
    return ""


def unready(pod: Pod) -> str:
    """Why a pod that runs is not ready, or an empty text."""
    conditions = {c.type: c for c in (pod.status.conditions if pod.status else None) or []}
    ready = conditions.get("Ready")
    if ready is None or ready.status == "True":
        return ""
    return f"is not ready: {ready.message or ready.reason or 'its probe fails'}"


def owner_of(pod: Pod) -> tuple[str, str]:
    """Who makes a pod again, as ``KIND/NAME`` and uid; ``Pod`` and nothing where nobody does."""
    for reference in (pod.metadata.ownerReferences if pod.metadata else None) or []:
        if reference.controller:
            return f"{reference.kind}/{reference.name}", reference.uid
    return "Pod", ""


def _seen(pod: Pod, name: str, asked: Asked) -> Seen | str:
    container = _container(pod, asked.container)
    if container is None:
        there = ", ".join(c.name for c in (pod.spec.containers if pod.spec else []))
        return f"has no container '{asked.container}' (it has {there})"
    ports = port_numbers(container, asked.port, asked.kind.ports, asked.kind.api_port)
    if asked.kind.api_port not in ports:
        there = ", ".join(f"{p.name or 'unnamed'} {p.containerPort}" for p in container.ports or []) or "none"
        wanted = f"'{asked.port}'" if asked.port is not None else f"'{asked.kind.api_port}'"
        return f"has no port {wanted} (its ports: {there})"
    owner, uid = owner_of(pod)
    return Seen(name, pod_namespace(pod), pod_name(pod), pod_uid(pod), container.name, ports, owner, uid)


def _container(pod: Pod, wanted: str | None) -> Container | None:
    containers = (pod.spec.containers if pod.spec else None) or []
    if wanted is None:
        return containers[0] if containers else None
    return next((container for container in containers if container.name == wanted), None)


def port_numbers(
    container: Container, wanted: int | str | None, known: Sequence[PortSpec], api_port: str
) -> dict[str, int]:
    """Numbers by the kind's names. The API port is what the scenario names, else one of the kind's name or number, else
    the only port; others count only if the container names them, or has them by the kind's number.
    """
    declared = list(container.ports or [])
    named = {port.name: port.containerPort for port in declared if port.name}
    numbers = {port.containerPort for port in declared}
    found: dict[str, int] = {}
    for spec in known:
        if spec.name in named:
            found[spec.name] = named[spec.name]
        elif spec.number in numbers:
            found[spec.name] = spec.number
    if isinstance(wanted, int):
        found[api_port] = wanted  # a container need not declare what it listens on
    elif wanted is not None:
        found.pop(api_port, None)
        if wanted in named:
            found[api_port] = named[wanted]
    elif api_port not in found and len(declared) == 1:
        found[api_port] = declared[0].containerPort
    return found
