"""How a member that ``join`` put into a borrowed cluster is taken out again, by session, reaper and ``gc`` alike.

It removes exactly one member per ledger entry: the one with the recorded id; or, where the runner died before it could
write the id down, the one with the recorded peer URL, and that only if it never started or bears the name that ``join``
gave it. It works while our node runs and when it is dead. A member that is not there (any more) is a success.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from nodeyard._aio import poll
from nodeyard._aio.tasks import side_by_side
from nodeyard.domain.launch_plan import Endpoint
from nodeyard.domain.sources import Auth, Tls
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import CleanupIncomplete, NodeRefused
from nodeyard.kinds.etcd import wire
from nodeyard.kinds.etcd.cluster import ClusterDoor, NoDoor, says, through_any
from nodeyard.kinds.etcd.join import PACE
from nodeyard.ports.ledger import LedgerEntry, RemovalContext, Removed
from nodeyard.ports.transport import Transport

ECHO = 1.0
"""Seconds that an addition whose answer nobody saw may take to show: a proposal on its way commits in milliseconds
where there is a leader, and without one the list of members cannot be read either."""


@dataclass(frozen=True)
class Membership:
    """One entry of the ledger, read. ``member`` is ``None`` when the runner never learned the id."""

    mark: str
    cluster: str
    peer_url: str
    name: str
    member: str | None
    endpoints: tuple[Endpoint, ...]

    def is_ours(self, member: wire.Member) -> bool:
        if self.member is not None:
            return member.id == self.member
        return member.peer_urls == (self.peer_url,) and member.name in ("", self.name)


@dataclass
class Sought:
    """What the search has seen so far. ``absent_since`` is a time of the clock."""

    removed: bool = False
    absent_since: float | None = None


class AnotherCluster(NodeRefused):
    """An endpoint that was the borrowed cluster's belongs to another one now; nothing there is ours."""


class MemberRemover:
    """``ports.ledger.Remover`` for entries of type ``member``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def remove(
        self, entries: Sequence[LedgerEntry], context: RemovalContext
    ) -> Mapping[str, Removed | NodeyardError]:
        """Side by side per cluster, one after the other within one, because etcd makes one change at a time."""
        groups: dict[object, list[LedgerEntry]] = {}
        for entry in entries:
            groups.setdefault(entry.data.get("cluster"), []).append(entry)
        outcomes: dict[str, Removed | NodeyardError] = {}

        async def one_cluster(members: list[LedgerEntry]) -> None:
            for entry in members:
                outcomes[entry.id] = await self._remove_one(entry, context)

        for error in await side_by_side(one_cluster, groups.values()):
            if error is not None:
                raise error
        return outcomes

    async def _remove_one(self, entry: LedgerEntry, context: RemovalContext) -> Removed | NodeyardError:
        try:
            ours = read(entry)
        except (KeyError, TypeError, ValidationError) as error:
            return _incomplete(entry, f"its ledger entry cannot be read ({type(error).__name__})")
        if ours.mark != context.mark.text:
            return _incomplete(entry, f"it belongs to another run ({ours.mark})")
        doors = [ClusterDoor(e.url, lambda e=e: e, self._transport) for e in ours.endpoints]  # type: ignore[misc]
        sought = Sought()

        async def probe() -> poll.Done[Removed | NodeyardError] | object:
            try:
                return await through_any(doors, lambda door: _look_and_remove(door, ours, sought, context))
            except NoDoor as failed:
                if all(isinstance(error, AnotherCluster) for _, error in failed.failures):
                    return poll.Done(Removed(True, str(failed)))
                sought.absent_since = None
                return poll.Done(_incomplete(entry, str(failed))) if failed.lasting else failed

        try:
            return await poll.until(probe, clock=context.clock, deadline=context.deadline, pace=PACE)
        except poll.Timeout as late:
            return _incomplete(entry, f"the cluster did not do it in time ({late.last or 'no answer'})")


async def _look_and_remove(
    door: ClusterDoor, ours: Membership, sought: Sought, context: RemovalContext
) -> poll.Done[Removed | NodeyardError] | object:
    """One look through one endpoint. Done when the member is proven to be gone."""
    known = await door.members()
    if known.cluster != ours.cluster:
        raise AnotherCluster(f"{door.name} is another cluster now ({known.cluster}, was {ours.cluster})")
    found = next((member for member in known.members if ours.is_ours(member)), None)
    if found is not None:
        sought.absent_since = None
        try:
            await door.remove(found.id)
        except NodeRefused as error:
            if not says(error, "member not found"):
                raise
        sought.removed = True
        return poll.Done(Removed(False, f"member {found.id} of cluster {ours.cluster}"))
    if ours.member is not None or sought.removed:
        return poll.Done(Removed(not sought.removed, f"member of cluster {ours.cluster}"))
    now = context.clock.now()
    sought.absent_since = now if sought.absent_since is None else sought.absent_since
    if now - sought.absent_since >= ECHO:
        return poll.Done(Removed(True, f"{ours.peer_url} is no member of cluster {ours.cluster}"))
    return f"{ours.peer_url} is not among the members; looking again, because its addition may be on its way"


def read(entry: LedgerEntry) -> Membership:
    """A ledger entry as ``join`` wrote it. Raises ``KeyError``, ``TypeError`` or ``ValidationError`` for others."""
    data = entry.data
    endpoints = data["endpoints"]
    if not isinstance(endpoints, Sequence) or isinstance(endpoints, str):
        raise TypeError("endpoints")
    member = data.get("member")
    return Membership(
        mark=_text(data["mark"]),
        cluster=_text(data["cluster"]),
        peer_url=_text(data["peer_url"]),
        name=_text(data["name"]),
        member=None if member is None else _text(member),
        endpoints=tuple(_endpoint(one) for one in endpoints),
    )


def _endpoint(data: object) -> Endpoint:
    if not isinstance(data, Mapping):
        raise TypeError("endpoint")
    auth, tls = data.get("auth"), data.get("tls")
    return Endpoint(
        _text(data["url"]),
        auth=None if auth is None else Auth.model_validate(auth),
        tls=None if tls is None else Tls.model_validate(tls),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("text")
    return value


def _incomplete(entry: LedgerEntry, why: str) -> CleanupIncomplete:
    return CleanupIncomplete(
        f"the member that {entry.node or 'a node'} is of a borrowed cluster could not be removed: {why}",
        node=entry.node,
        operation="leave",
        hint="when the cluster answers again, 'nodeyard gc' removes it",
    )
