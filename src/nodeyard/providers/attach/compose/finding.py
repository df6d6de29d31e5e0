"""From an engine's containers to nodes, and to the reasons why some are none. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nodeyard.domain.document import nearest
from nodeyard.domain.launch_plan import Endpoint, PortSpec, Scheme
from nodeyard.errors.provider import DiscoveryFailed
from nodeyard.ports.attach import Discovered, Discovery
from nodeyard.ports.kind import NodeKind
from nodeyard.providers._clients.docker import labels
from nodeyard.providers._clients.docker.containers import Container, service_of
from nodeyard.providers._clients.naming import node_name, unique
from nodeyard.providers.attach.compose.options import ComposeAttachOptions


@dataclass(frozen=True)
class Wanted:
    """What is looked for: the options, the kind of the nodes where it is known, and the host of published ports."""

    options: ComposeAttachOptions
    kind: NodeKind | None
    host: str | None = None

    def ports(self) -> Mapping[str, tuple[int, Scheme]]:
        """Number inside the container and scheme of each port of a node."""
        specs: Sequence[PortSpec] = self.kind.ports if self.kind is not None else ()
        found = {spec.name: (spec.number, spec.scheme) for spec in specs}
        for name, number in self.options.ports.items():
            found[name] = (number, found[name][1] if name in found else Scheme.HTTP)
        if self.options.port is not None and self.kind is not None:
            found[self.kind.api_port] = (self.options.port, Scheme.HTTP)
        return found


@dataclass(frozen=True)
class Found:
    """The outcome: nodes with their containers, by name."""

    discovery: Discovery
    containers: Mapping[str, Container] = field(default_factory=dict)


def find(containers: Sequence[Container], wanted: Wanted) -> Found:
    """The nodes among containers that carry the wanted project and labels.

    Raises ``DiscoveryFailed`` for a service that there is not, telling those that there are.
    """
    mine = [one for one in containers if one.labels.get(labels.ONEOFF, "False") != "True"]
    services = wanted.options.services
    known = sorted({service_of(one) for one in mine})
    if mine and (strange := [service for service in services if service not in known]):
        hint = nearest(strange[0], known)
        raise DiscoveryFailed(
            f"{_where(wanted.options)} has no service {', '.join(map(repr, strange))}",
            operation="discover",
            evidence=[f"its services: {', '.join(known)}"],
            hint=hint if hint.startswith("did you mean") else "correct 'services', or leave it out to take all",
        )
    chosen = [one for one in mine if not services or service_of(one) in services]
    nodes: dict[str, Discovered] = {}
    held: dict[str, Container] = {}
    problems: list[str] = []
    for one, name in _named(chosen):
        endpoints = endpoints_of(one, wanted)
        problem = problem_of(one, endpoints, wanted)
        if problem:
            problems.append(f"{name} (container {one.name}) {problem}")
        if one.runs and _has_api(endpoints, wanted):
            nodes[name] = Discovered(name, one.locator, endpoints, exclusive=True, alive=one.state == "running")
            held[name] = one
    return Found(Discovery(tuple(nodes.values()), tuple(problems)), held)


def _where(options: ComposeAttachOptions) -> str:
    if options.project is not None:
        return f"project '{options.project}'"
    return f"what is labelled {', '.join(f'{k}={v}' for k, v in sorted(options.labels.items()))}"


def _named(containers: Sequence[Container]) -> list[tuple[Container, str]]:
    """Each container with its node's name: the service, with its project and number where that alone is not one."""
    projects = {one.labels.get(labels.PROJECT, "") for one in containers}
    replicas = Counter((one.labels.get(labels.PROJECT), service_of(one)) for one in containers)
    taken: set[str] = set()
    named: list[tuple[Container, str]] = []
    for one in containers:
        project, service = one.labels.get(labels.PROJECT, ""), service_of(one)
        words = [project] if len(projects) > 1 and project else []
        words += [service]
        words += [one.labels.get(labels.NUMBER, "1")] if replicas[project or None, service] > 1 else []
        name = unique(node_name("-".join(words)), taken)
        taken.add(name)
        named.append((one, name))
    return named


def endpoints_of(container: Container, wanted: Wanted) -> Mapping[str, Endpoint]:
    """How the tester reaches each port of a container; ports that it does not reach are left out."""
    options = wanted.options
    secure = options.tls is not None
    found: dict[str, Endpoint] = {}
    for name, (number, scheme) in wanted.ports().items():
        published = container.published_at(number) if options.address != "container" else None
        if published is not None:
            host, reached = wanted.host or published[0], published[1]
        elif options.address != "published" and container.addresses:
            host, reached = next(iter(container.addresses.values())), number
        else:
            continue
        word = ("https" if secure else "http") if scheme is Scheme.HTTP else "tcp"
        found[name] = Endpoint(f"{word}://{f'[{host}]' if ':' in host else host}:{reached}", options.auth, options.tls)
    return found


def _has_api(endpoints: Mapping[str, Endpoint], wanted: Wanted) -> bool:
    return wanted.kind.api_port in endpoints if wanted.kind is not None else bool(endpoints)


def problem_of(container: Container, endpoints: Mapping[str, Endpoint], wanted: Wanted) -> str:
    """Why a container is no usable node, or a doubtful one; empty when it is a good one."""
    if not container.runs:
        return f"does not run: it is {container.state}"
    if not _has_api(endpoints, wanted):
        return _unreached(container, wanted)
    if container.state == "paused":
        return "is paused"
    return "is unhealthy by its own health check" if container.health == "unhealthy" else ""


def _unreached(container: Container, wanted: Wanted) -> str:
    api = wanted.kind.api_port if wanted.kind is not None else ""
    number = wanted.ports().get(api, (0, Scheme.HTTP))[0]
    told = ", ".join(sorted({str(port.port) for port in container.published})) or "none"
    if wanted.options.address == "container":
        return "has no address of its own (it uses the network of its host, or of another container)"
    return (
        f"does not publish port {number} ({api}; published: {told}): publish it, name another 'port', allow "
        "'address: auto', or leave it out of 'services'"
    )
