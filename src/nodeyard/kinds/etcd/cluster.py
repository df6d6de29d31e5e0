"""Requests about the membership of a cluster, through whichever of several endpoints answers.

Must not live here: when to make a change and how to undo it (``join``, ``leave``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from nodeyard.domain.launch_plan import Endpoint
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import AuthenticationFailed, NodeAnswerInvalid, NodeRefused, TlsFailed
from nodeyard.errors.validation import SpecInvalid
from nodeyard.kinds.etcd import wire
from nodeyard.ports.transport import Transport

T = TypeVar("T")

LOOK = 3.0
"""Seconds for a list of members: a paused node must not hold up the others for long."""
CHANGE = 8.0
"""Seconds for a change: etcd itself gives up after 7 s."""
PASSING = (
    "unhealthy cluster",
    "too many learner",
    "no leader",
    "leader changed",
    "not enough started members",
    "in sync with leader",
    "timed out",
    "too many requests",
    "server stopped",
    "deadline exceeded",
    "proposal dropped",
)
"""Refusals that time can cure."""
LASTING = (AuthenticationFailed, TlsFailed, NodeAnswerInvalid, SpecInvalid)
"""Errors that asking again cannot cure."""


class ClusterDoor:
    """One endpoint of a cluster, asked for its members and for changes of them."""

    def __init__(self, name: str, endpoint: Callable[[], Endpoint], transport: Transport) -> None:
        self.name = name
        self._endpoint = endpoint
        self._transport = transport

    async def members(self) -> wire.Members:
        """The members as a quorum knows them."""
        try:
            return wire.parse_members(await self._post("list", {"linearizable": True}, LOOK))
        except NodeRefused as error:
            if not any("unknown field" in line for line in (error.message, *error.evidence)):
                raise
        return wire.parse_members(await self._post("list", {}, LOOK))  # 3.4 does not know the word

    async def add_learner(self, peer_url: str) -> wire.Member:
        reply = await self._post("add", {"peerURLs": [peer_url], "isLearner": True}, CHANGE)
        added = wire.answer_of(reply, writes=True).get("member")
        if not isinstance(added, dict):
            raise wire.not_etcd(reply, "it names no new member")
        return wire.parse_member(added, reply)

    async def add(self, peer_url: str) -> wire.Member:
        """Add a full member. etcd answers that the cluster is unhealthy for about 2 s after another change."""
        reply = await self._post("add", {"peerURLs": [peer_url]}, CHANGE)
        added = wire.answer_of(reply, writes=True).get("member")
        if not isinstance(added, dict):
            raise wire.not_etcd(reply, "it names no new member")
        return wire.parse_member(added, reply)

    async def promote(self, member: str) -> None:
        wire.answer_of(await self._post("promote", {"ID": _decimal(member)}, CHANGE), writes=True)

    async def remove(self, member: str) -> None:
        wire.answer_of(await self._post("remove", {"ID": _decimal(member)}, CHANGE), writes=True)

    async def _post(self, verb: str, body: Mapping[str, Any], timeout: float) -> Any:
        path = f"/v3/cluster/member/{verb}"
        return await self._transport.request(self._endpoint(), "POST", path, json=body, timeout=timeout)


class NoDoor(Exception):
    """No endpoint did it this time. ``lasting`` when none of them ever will."""

    def __init__(self, failures: Sequence[tuple[str, NodeyardError]]) -> None:
        self.failures = tuple(failures)
        super().__init__("; ".join(f"{name}: {error.message}" for name, error in failures))

    @property
    def lasting(self) -> bool:
        return all(is_lasting(error) for _, error in self.failures)


async def through_any(doors: Sequence[ClusterDoor], act: Callable[[ClusterDoor], Awaitable[T]]) -> T:
    """What the first endpoint returns that does not fail. Raises ``NoDoor`` with the error of each."""
    failures: list[tuple[str, NodeyardError]] = []
    for door in doors:
        try:
            return await act(door)
        except NodeyardError as error:
            failures.append((door.name, error))
    raise NoDoor(failures)


def is_lasting(error: NodeyardError) -> bool:
    """Whether asking the same endpoint again is pointless."""
    if isinstance(error, LASTING):
        return True
    return isinstance(error, NodeRefused) and not says(error, *PASSING)


def says(error: NodeyardError, *texts: str) -> bool:
    return any(text in error.message for text in texts)


def _decimal(member: str) -> str:
    return str(int(member, 16))
