"""How managed nodes enter a network that somebody else runs: its genesis and its peers are read from its nodes.

Nothing on the borrowed side changes but the peers that its nodes see. Must not live here: the comparison of facts that
``identify`` tells, which happens before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from nodeyard._aio.tasks import side_by_side
from nodeyard.domain.identity import LOOPBACK, HostPort, host_port, normal_host
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.bootstrap import Incompatible
from nodeyard.errors.provider import NodeUnreachable
from nodeyard.kinds.cometbft import genesis, launch, wire
from nodeyard.kinds.cometbft.client import PORT, CometbftClient
from nodeyard.ports.kind import Adoption, AdoptRequest, Inside, JoinPoint

LOOK = 30.0
"""Seconds for a node to tell status and genesis: a genesis of a hundred megabytes comes in chunks."""
WITNESSES = 2
"""So many nodes must tell the same genesis, where there are that many."""


@dataclass(frozen=True)
class Told:
    """What one borrowed node told."""

    node: str
    status: wire.Status
    rpc: str
    genesis: Any = None


async def adopt(request: AdoptRequest) -> Adoption:
    """See ``ports.kind.CanAdopt``. Raises ``Incompatible`` and ``NodeUnreachable``."""

    async def status(point: JoinPoint) -> Told:
        client = CometbftClient(point.endpoint, request.transport)
        return Told(point.node, await client.status(timeout=_left(request)), point.endpoint(PORT).url)

    answers = await side_by_side(status, request.through)
    told = [answer for answer in answers if isinstance(answer, Told)]
    document, witnesses = await _agreed_genesis(request, {t.node for t in told}, answers)
    found = launch.Adopted(
        network=str(document.get("chain_id", "")),
        document=json.dumps(document, indent=2),
        borrowed={t.node: peer_facts(t.status, t.rpc, request.inside) for t in told},
    )
    return Adoption(launch.adopted(request.own, found), genesis.digest(document), witnesses)


async def _agreed_genesis(
    request: AdoptRequest, answering: set[str], answers: Sequence[object]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The genesis, and which nodes told it: two of them where two can."""
    found: dict[str, Any] = {}
    errors = [error for error in answers if isinstance(error, Exception)]
    for point in request.through:
        if point.node not in answering or len(found) == WITNESSES:
            continue
        try:
            client = CometbftClient(point.endpoint, request.transport)
            found[point.node] = await client.genesis(timeout=_left(request))
        except NodeyardError as error:
            errors.append(error)
    if not found:
        raise NodeUnreachable(
            "no borrowed node tells the genesis of its network",
            operation="adopt",
            evidence=[str(error).splitlines()[0] for error in errors],
            hint="is the RPC of the borrowed nodes reachable?",
        )
    digests = {node: genesis.digest(document) for node, document in found.items()}
    if len(set(digests.values())) > 1:
        raise Incompatible(
            "the borrowed nodes tell different geneses",
            operation="adopt",
            evidence=[f"{node}  genesis  {digest}" for node, digest in digests.items()],
            hint="list only nodes of one network",
        )
    return next(iter(found.values())), tuple(found)


def _left(request: AdoptRequest) -> float:
    return max(0.001, min(LOOK, request.deadline - request.clock.now()))


def peer_facts(status: wire.Status, rpc: str, inside: Inside) -> Mapping[str, str]:
    """How other nodes reach a running one: its id, and its peer address as far as it can be learned.

    A node that listens on every address, or on the loopback of another machine, is reached where its RPC is.
    """
    facts = {launch.PEER_ID: status.peer_id}
    text = status.listens if "://" in status.listens else f"tcp://{status.listens}"
    try:
        parts, api = urlsplit(text), host_port(rpc)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return facts
    if not port:
        return facts
    if not host or normal_host(host) == LOOPBACK:
        host = api.host
    reached = inside(HostPort(host, port))
    return {**facts, launch.P2P: str(reached)}
