"""How a member whose data was lost comes back: etcd forgets who it was and takes it in as somebody new.

A member that starts empty under its old identity panics, and it might vote twice: so it is struck from the list and
added at the same peer URL, and gets a new member id. The cluster must have a quorum without it. Each attempt looks at
the list first, so that one whose answer was lost does no harm.
"""

from __future__ import annotations

from nodeyard._aio import poll
from nodeyard.errors.provider import OperationFailed
from nodeyard.kinds.etcd.client import EtcdClient
from nodeyard.kinds.etcd.cluster import ClusterDoor, NoDoor, through_any
from nodeyard.kinds.etcd.join import PACE, initial_cluster
from nodeyard.kinds.etcd.launch import FACT_CLUSTER, FACT_NAME, peer_url
from nodeyard.ports.kind import JoinTicket, ReadmitRequest


async def readmit(request: ReadmitRequest) -> JoinTicket:
    """See ``EtcdKind.readmit``."""
    node, url = request.render.node.name, peer_url(request.render.place)
    doors = [client.door(name) for name, client in request.through.items() if isinstance(client, EtcdClient)]

    async def attempt() -> poll.Done[JoinTicket] | object:
        try:
            return poll.Done(await through_any(doors, lambda door: _replace(door, url, node)))
        except NoDoor as failed:
            return failed

    try:
        return await poll.until(attempt, clock=request.clock, deadline=request.deadline, pace=PACE)
    except poll.Timeout as late:
        failures = late.last.failures if isinstance(late.last, NoDoor) else ()
        raise OperationFailed(
            "the cluster did not take the member in again in time",
            node=node,
            operation="readmit",
            evidence=[f"{name}: {error.message}" for name, error in failures] or ["no other member runs"],
            hint="has the cluster a quorum without it?",
        ) from None


async def _replace(door: ClusterDoor, url: str, name: str) -> JoinTicket:
    known = await door.members()
    ours = next((member for member in known.members if url in member.peer_urls), None)
    if ours is not None and ours.name:  # it has started once: that is who it was before
        await door.remove(ours.id)
        ours = None
    added = ours or await door.add(url)
    members = await door.members()
    return JoinTicket({FACT_NAME: name, FACT_CLUSTER: initial_cluster(members, added.id, name)}, door.name, added.id)
