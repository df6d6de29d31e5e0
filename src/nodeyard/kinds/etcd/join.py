"""How a managed node becomes a member of a borrowed cluster: as a learner first, promoted when it is in sync.

The inverse is in the ledger before the cluster is changed, and holds everything that taking the member out again needs
(``leave``): endpoints with references to their secrets, the peer URL, the name, the cluster's id and the run's mark.

Nodes join one after the other (``join``, start, ``admit``, then the next one): etcd accepts one learner at a time, and
a node refuses to start when a member was added after its ticket was written.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TypeVar

from nodeyard._aio import poll
from nodeyard.domain.identity import LOOPBACK, host_port
from nodeyard.domain.launch_plan import Endpoint
from nodeyard.domain.sources import Auth
from nodeyard.errors.provider import NodeRefused, OperationFailed
from nodeyard.kinds.etcd import wire
from nodeyard.kinds.etcd.cluster import ClusterDoor, NoDoor, says, through_any
from nodeyard.kinds.etcd.launch import FACT_CLUSTER, FACT_NAME, peer_url
from nodeyard.ports.kind import JoinRequest, JoinTicket
from nodeyard.ports.ledger import Json

T = TypeVar("T")

BY, TYPE = "kind:etcd", "member"
"""How the ledger names the inverse of a join."""
PORT = "client"
PACE = poll.Pace(first=0.05, factor=1.5, most=0.5)


def join_problem(*, borrowed: int, joining: int) -> str:
    """Why this many nodes must not join this many borrowed ones, or an empty text. Pure.

    A borrowed cluster must outlive all of ours at once: if they vanish, the borrowed ones have to be a quorum of the
    enlarged cluster, or its owner could not even remove the dead members.
    """
    quorum = (borrowed + joining) // 2 + 1
    if quorum <= borrowed:
        return ""
    return (
        f"{joining} joining {borrowed} borrowed etcd nodes would make a cluster of {borrowed + joining} with a quorum "
        f"of {quorum}: it would come to depend on ours (at most {max(0, borrowed - 1)} may join {borrowed})"
    )


async def join(request: JoinRequest) -> JoinTicket:
    """Register the node as a learner and return what it needs to start. See ``EtcdKind.join``."""
    url, name = peer_url(request.place), member_name(request)
    doors = doors_of(request)
    known = await _until(request, lambda: _members_now(doors), "ask for the members of the borrowed cluster")
    refuse_unfit(known, url, request.node.name)
    refuse_unreachable(known, request)
    entry = await request.ledger.record(
        BY, TYPE, node=request.node.name, data=inverse_data(request, url, name, known.cluster), inverse=True
    )
    member, through = await _until(request, lambda: _add(doors, url), f"add {url} to the borrowed cluster")
    request.ledger.amend(entry, {"member": member})
    members = await _until(request, lambda: _members_now(doors), "ask for the members of the borrowed cluster")
    return JoinTicket({FACT_NAME: name, FACT_CLUSTER: initial_cluster(members, member, name)}, through, member)


async def admit(request: JoinRequest, ticket: JoinTicket) -> None:
    """Promote the learner once it is in sync. See ``EtcdKind.admit``."""
    doors = doors_of(request)
    await _until(
        request,
        lambda: through_any(doors, lambda door: _promote(door, ticket.member)),
        f"promote member {ticket.member} of the borrowed cluster",
        hint="does the node run, and do the borrowed members reach its peer address?",
    )


def member_name(request: JoinRequest) -> str:
    """The member's name in the borrowed cluster: it carries the run, and cannot be that of a borrowed member."""
    return f"{request.node.name}-{request.ledger.mark.run}"


def doors_of(request: JoinRequest) -> list[ClusterDoor]:
    return [ClusterDoor(point.node, partial(point.endpoint, PORT), request.transport) for point in request.through]


def refuse_unfit(known: wire.Members, url: str, node: str) -> None:
    """Raise ``OperationFailed`` when this peer URL must not be added to this cluster."""
    taken = [member for member in known.members if url in member.peer_urls]
    if taken:
        raise OperationFailed(
            f"{url} is a member of the borrowed cluster already (id {taken[0].id})",
            node=node,
            operation="join",
            hint="a run that died may have left it; 'nodeyard gc' takes it out, or its owner does",
        )
    if any(peer.startswith("https://") for member in known.members for peer in member.peer_urls):
        raise OperationFailed(
            "the members of the borrowed cluster talk to each other over TLS, which a managed etcd node cannot",
            node=node,
            operation="join",
            hint="join a cluster with plain peer URLs, or leave the managed nodes out",
        )


def refuse_unreachable(known: wire.Members, request: JoinRequest) -> None:
    """Raise ``OperationFailed`` when members advertise a loopback that is not that of the joining node.

    A node is told its peers by the URLs that the cluster knows them by; no others would be accepted.
    """
    addresses = [host_port(peer) for member in known.members for peer in member.peer_urls]
    strange = sorted({str(a) for a in addresses if a.host == LOOPBACK and request.inside(a) != a})
    if strange:
        raise OperationFailed(
            "members of the borrowed cluster advertise peer URLs that only processes of this machine reach",
            node=request.node.name,
            operation="join",
            evidence=strange,
            hint="let them advertise an address of this machine's network, or start the managed nodes as processes",
        )


def inverse_data(request: JoinRequest, url: str, name: str, cluster: str) -> Mapping[str, Json]:
    """What taking the member out takes. Raises ``OperationFailed`` where a secret could not be written as reference."""
    endpoints = [point.endpoint(PORT) for point in request.through]
    if any(has_literal_secret(endpoint.auth) for endpoint in endpoints):
        raise OperationFailed(
            "a node that joins must be able to leave after a crash, and the ledger holds no secrets",
            node=request.node.name,
            operation="join",
            hint="write the secrets under 'auth:' as env:NAME or file:PATH",
        )
    return {
        "mark": request.ledger.mark.text,
        "cluster": cluster,
        "peer_url": url,
        "name": name,
        "endpoints": [endpoint_data(endpoint) for endpoint in endpoints],
    }


def has_literal_secret(auth: Auth | None) -> bool:
    if auth is None:
        return False
    secrets = [auth.bearer, auth.header.value if auth.header else None]
    secrets += [auth.basic.username, auth.basic.password] if auth.basic else []
    return any(secret is not None and not secret.is_reference for secret in secrets)


def endpoint_data(endpoint: Endpoint) -> Mapping[str, Json]:
    """An endpoint for the ledger. Paths stay relative to the scenario's folder, which the ledger's head names."""
    tls = endpoint.tls.model_dump(exclude_none=True) if endpoint.tls else None
    auth = endpoint.auth.model_dump(mode="json", exclude_none=True) if endpoint.auth else None
    return {"url": endpoint.url, "auth": auth, "tls": tls}


def initial_cluster(known: wire.Members, member: str, name: str) -> str:
    """``--initial-cluster`` for a newcomer. etcd matches the others by URL alone, so ids stand for their names."""
    return ",".join(f"{name if m.id == member else m.id}={url}" for m in known.members for url in m.peer_urls)


async def _members_now(doors: list[ClusterDoor]) -> poll.Done[wire.Members]:
    return poll.Done(await through_any(doors, lambda door: door.members()))


async def _add(doors: list[ClusterDoor], url: str) -> poll.Done[tuple[str, str]]:
    """Add, unless an attempt whose answer was lost has done it: the URL was no member before the first attempt."""

    async def one(door: ClusterDoor) -> poll.Done[tuple[str, str]]:
        known = await door.members()
        ours = next((m for m in known.members if url in m.peer_urls), None)
        added = ours or await door.add_learner(url)
        return poll.Done((added.id, door.name))

    return await through_any(doors, one)


async def _promote(door: ClusterDoor, member: str) -> poll.Done[None]:
    try:
        await door.promote(member)
    except NodeRefused as error:
        if says(error, "member not found"):
            raise OperationFailed(
                f"member {member} is no member of the borrowed cluster any more",
                operation="join",
                hint="somebody else has removed it",
            ) from error
        if says(error, "in sync") or not says(error, "can only promote a learner"):
            raise
    return poll.Done(None)


async def _until(
    request: JoinRequest, attempt: Callable[[], Awaitable[poll.Done[T]]], what: str, hint: str | None = None
) -> T:
    """Attempt until it works, the deadline passes, or no endpoint will ever do it. Raises ``OperationFailed``."""
    node = request.node.name

    async def probe() -> poll.Done[T] | object:
        try:
            return await attempt()
        except NoDoor as failed:
            fatal = [error for _, error in failed.failures if isinstance(error, OperationFailed)]
            if fatal:
                raise fatal[0] from None
            if failed.lasting:
                raise OperationFailed(
                    f"could not {what}", node=node, operation="join", evidence=_lines(failed), hint=_hint(failed, hint)
                ) from None
            return failed

    try:
        return await poll.until(probe, clock=request.clock, deadline=request.deadline, pace=PACE)
    except poll.Timeout as late:
        raise OperationFailed(
            f"could not {what} in time",
            node=node,
            operation="join",
            evidence=_lines(late.last),
            hint=hint or "is the borrowed cluster healthy, and is no other learner joining it?",
        ) from None


def _lines(seen: object) -> list[str]:
    return [f"{name}: {error.message}" for name, error in seen.failures] if isinstance(seen, NoDoor) else []


def _hint(failed: NoDoor, otherwise: str | None) -> str | None:
    hints = [error.hint for _, error in failed.failures if error.hint]
    return hints[0] if hints else otherwise
