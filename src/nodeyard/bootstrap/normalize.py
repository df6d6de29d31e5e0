"""From what sources say to sightings, and from sightings to bindings: the live side of each node.

Reads nodes only to ask who they are. Decides nothing: conflicts and mismatches are judged in ``validation``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from nodeyard._aio import tasks
from nodeyard.bootstrap import validation
from nodeyard.bootstrap.request import BootstrapRequest
from nodeyard.domain.capability import ALL_CAPABILITIES, ALWAYS_GRANTED, Capability
from nodeyard.domain.identity import HostPort, NetworkFacts, host_port
from nodeyard.domain.launch_plan import Endpoint, NodePlan
from nodeyard.domain.node_client import Identification, NodeClient
from nodeyard.domain.node_handle import NodeHandle, Origin, OriginClass, Sighting
from nodeyard.domain.sources import Attached, AttachOptions, ExternalNode
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import NodeUnreachable, ProviderError
from nodeyard.ports.attach import Discovered, from_external
from nodeyard.ports.bootstrapped import Binding
from nodeyard.ports.deployer import KnowsVersions
from nodeyard.ports.kind import Beside, EndpointOf, KnowsProgram, LooksBeside, NodeKind
from nodeyard.ports.node_control import CanExec, HasLogs, NoControl, NodeControl, supported_by
from nodeyard.ports.protocols import implements

EXTERNAL_SOURCE = "external"
IDENTIFY_TIMEOUT = 5.0
"""Seconds that a borrowed node has to say who it is."""


@dataclass(frozen=True)
class Found:
    """One sighting together with how to reach and control the node behind it."""

    sighting: Sighting
    endpoint: EndpointOf
    control: NodeControl
    plan: NodePlan | None = None
    recorded: Discovered | None = None
    """What the source knew of a borrowed node before it was asked."""


def managed_found(plan: NodePlan, request: BootstrapRequest) -> Found:
    """A managed node after provisioning; its address is unknown while its deployer gives none.

    What its program says that it will speak is known already, so that a node that cannot fit is never started.
    """
    deployer = request.deployer
    if deployer is None:
        raise ValueError("a managed node needs a deployer")
    control = deployer.control(plan.name)
    origin = Origin(
        OriginClass.MANAGED,
        deployer.source,
        plan.name,
        supported=ALWAYS_GRANTED | supported_by(control),
        granted=ALL_CAPABILITIES,
        exclusive=True,
        alive=False,
    )

    def endpoint(port: str) -> Endpoint:
        return deployer.endpoint(plan.name, port)

    kind = request.kind(plan.kind)
    address, endpoints = current_endpoints(kind, endpoint)
    facts = NetworkFacts()
    if isinstance(kind, KnowsProgram) and isinstance(deployer, KnowsVersions):
        facts = kind.program_facts(deployer.version_answer(plan.name))
    sighting = Sighting(
        plan.name, kind.name, origin, address=address, endpoints=endpoints, network=facts, role=plan.role
    )
    return Found(sighting, endpoint, control, plan)


def planned_sighting(plan: NodePlan, request: BootstrapRequest, source: str) -> Sighting:
    """A managed node before anything was made, with what its deployer can do in principle; for early preflight."""
    origin = Origin(
        OriginClass.MANAGED,
        source,
        plan.name,
        supported=ALWAYS_GRANTED | request.deployer_capabilities,
        granted=ALL_CAPABILITIES,
        exclusive=True,
        alive=False,
    )
    return Sighting(plan.name, plan.kind, origin, role=plan.role)


def external_found(node: ExternalNode, position: int, request: BootstrapRequest) -> Found:
    """One node of ``external:``, as it is written."""
    found = from_external(node, locator=f"source.external.{position}")
    granted = frozenset(node.allow)
    endpoint = found.endpoints.__getitem__
    return _borrowed(found, OriginClass.EXTERNAL, EXTERNAL_SOURCE, granted, endpoint, NoControl(), request)


def attached_found(found: Discovered, request: BootstrapRequest) -> Found:
    """One node that the attach provider found."""
    provider = request.attach
    if provider is None or not isinstance(request.spec.source, Attached):
        raise ValueError("an attached node needs a provider")
    options: AttachOptions = request.spec.source.attach

    def endpoint(port: str) -> Endpoint:
        return provider.endpoint(found.name, port)

    control = provider.control(found.name)
    return _borrowed(found, OriginClass.ATTACHED, provider.source, frozenset(options.allow), endpoint, control, request)


def _borrowed(
    found: Discovered,
    origin_class: OriginClass,
    source: str,
    granted: frozenset[Capability],
    endpoint: EndpointOf,
    control: NodeControl,
    request: BootstrapRequest,
) -> Found:
    kind = request.kind(found.kind)
    joinable = {Capability.JOIN} if validation.takes_grant(kind) else set()
    origin = Origin(
        origin_class,
        source,
        found.locator,
        supported=ALWAYS_GRANTED | supported_by(control) | joinable,
        granted=ALWAYS_GRANTED | granted,
        exclusive=found.exclusive,
        alive=found.alive,
        details=tuple(sorted(found.details.items())),
    )
    urls = tuple(sorted((port, end.url) for port, end in found.endpoints.items()))
    api = found.endpoints.get(kind.api_port)
    address = host_port(api.url) if api is not None else None
    sighting = Sighting(found.name, kind.name, origin, address=address, endpoints=urls, role=found.role)
    return Found(sighting, endpoint, control, recorded=found)


def current_endpoints(kind: NodeKind, endpoint: EndpointOf) -> tuple[HostPort | None, tuple[tuple[str, str], ...]]:
    """The API address and the URL of each port as they are now; nothing for ports that have none yet."""
    urls: dict[str, str] = {}
    for port in kind.ports:
        try:
            urls[port.name] = endpoint(port.name).url
        except (NodeUnreachable, KeyError):
            continue
    api = urls.get(kind.api_port)
    return (host_port(api) if api else None), tuple(sorted(urls.items()))


def client_of(kind: NodeKind, found: Found, request: BootstrapRequest) -> NodeClient:
    """The client of one sighting; beside the node it may use what its own origin supports and grants."""
    transport, control, origin = request.context.transport, found.control, found.sighting.origin
    if not implements(kind, LooksBeside):
        return kind.client(found.endpoint, transport)
    usable = origin.supported & origin.granted
    beside = Beside(
        commands=control if Capability.EXEC in usable and implements(control, CanExec) else None,
        log=control if Capability.LOGS in usable and implements(control, HasLogs) else None,
    )
    return kind.client_beside(found.endpoint, transport, beside)


@dataclass(frozen=True)
class Answer:
    """What one node said when it was asked who it is: an identification or the error instead."""

    found: Found
    identification: Identification | None
    error: ProviderError | None


async def ask(found: Sequence[Found], request: BootstrapRequest) -> list[Answer]:
    """Ask these nodes side by side who they are. Errors are answers; the order of the input is kept."""

    async def one(item: Found) -> Answer:
        kind = request.kind(item.sighting.kind)
        client = client_of(kind, item, request)
        try:
            said = await client.identify(timeout=IDENTIFY_TIMEOUT)
        except ProviderError as error:
            error.node = error.node or item.sighting.name
            return Answer(item, None, error)
        except (KeyError, NodeyardError) as error:
            failure = NodeUnreachable(f"it has no endpoint for port '{kind.api_port}'", node=item.sighting.name)
            failure.__cause__ = error
            return Answer(item, None, failure)
        return Answer(item, said, None)

    answers = await tasks.side_by_side(one, found, at_once=1024)
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return [answer for answer in answers if isinstance(answer, Answer)]


def revised(found: Found, said: Identification, kind: NodeKind, *, locator: str | None = None) -> Sighting:
    """The sighting of a node after it said who it is."""
    address, endpoints = current_endpoints(kind, found.endpoint)
    origin = replace(found.sighting.origin, alive=True, locator=locator or found.sighting.origin.locator)
    return found.sighting.revised(
        peer_id=said.peer_id,
        network=said.network,
        address=address or found.sighting.address,
        endpoints=endpoints or found.sighting.endpoints,
        origin=origin,
    )


def bindings(
    handles: Iterable[NodeHandle], found: Mapping[tuple[str, str, str], Found], request: BootstrapRequest
) -> Mapping[str, Binding]:
    """The live side of each handle: the client of its first sighting, the controls of all."""
    made: dict[str, Binding] = {}
    for handle in handles:
        parts = [found[s.key] for s in handle.sightings if s.key in found]
        if not parts:
            continue
        kind = request.kind(handle.kind)
        first = parts[0]
        controls = {
            (p.sighting.origin.origin.value, p.sighting.origin.source): p.control
            for p in parts
            if not isinstance(p.control, NoControl)
        }
        client = client_of(kind, first, request)
        made[handle.id] = Binding(client, first.endpoint, kind, controls, plan=first.plan)
    return made
