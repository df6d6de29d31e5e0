"""etcd's JSON on the wire: base64 bytes, 64-bit numbers as text, omitted zeroes, errors. Pure.

Must not live here: requests (``client``, ``cluster``).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nodeyard.errors import provider as errors
from nodeyard.kinds._wording import excerpt
from nodeyard.ports.transport import Reply

CERTAIN_CODES = frozenset({3, 5, 6, 7, 8, 9, 11, 12, 16})
"""gRPC codes with which etcd says no before anything happened: invalid argument, not found, already exists, permission
denied, resource exhausted, failed precondition, out of range, unimplemented, unauthenticated. All others (unknown,
deadline exceeded, internal, unavailable) leave open whether a write happened."""
CERTAIN_TEXTS = ("no leader", "rpc not supported for learner", "unhealthy cluster", "not capable", "too many requests")
"""What etcd says with an uncertain code although nothing happened: it was refused before the proposal."""
ANONYMOUS = ("user name is empty", "invalid auth token", "authentication failed")
MAX_UINT64 = 2**64


def encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def decode(text: str) -> str:
    """Text from bytes of anybody; bytes that are not UTF-8 stand as ``\\xNN``."""
    return base64.b64decode(text, validate=True).decode("utf-8", "backslashreplace")


def hex_id(number: int) -> str:
    """A member or cluster id as etcd's own tools print it."""
    return f"{number:x}"


@dataclass(frozen=True)
class Status:
    """The answer of ``/v3/maintenance/status``. Ids in hexadecimal; ``leader`` is ``None`` where there is none."""

    member: str
    cluster: str
    version: str
    leader: str | None
    index: int
    learner: bool
    errors: tuple[str, ...] = ()

    @property
    def role(self) -> str | None:
        """``None`` without a leader: a node in an election is neither."""
        if self.learner:
            return "learner"
        if self.leader is None:
            return None
        return "leader" if self.leader == self.member else "follower"


@dataclass(frozen=True)
class Member:
    """One member of a cluster. ``name`` is empty until it has started for the first time."""

    id: str
    name: str
    peer_urls: tuple[str, ...]
    learner: bool


@dataclass(frozen=True)
class Members:
    """The answer of ``/v3/cluster/member/list``."""

    cluster: str
    asked: str
    members: tuple[Member, ...]


def parse_status(reply: Reply) -> Status:
    """Raises ``NodeAnswerInvalid`` when the answer is not etcd's."""
    answer = answer_of(reply)
    member, cluster = header_ids(answer, reply)
    version = answer.get("version")
    if not isinstance(version, str) or not version:
        raise not_etcd(reply, "it has no version")
    leader = number(answer, "leader", reply)
    found = answer.get("errors") or ()
    return Status(
        member=member,
        cluster=cluster,
        version=version,
        leader=hex_id(leader) if leader else None,
        index=number(answer, "raftIndex", reply),
        learner=answer.get("isLearner") is True,
        errors=tuple(str(text) for text in found) if isinstance(found, list) else (),
    )


def parse_members(reply: Reply) -> Members:
    """Raises ``NodeAnswerInvalid`` when the answer is not etcd's."""
    answer = answer_of(reply)
    asked, cluster = header_ids(answer, reply)
    listed = answer.get("members")
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise not_etcd(reply, "it lists no members")
    return Members(cluster, asked, tuple(parse_member(entry, reply) for entry in listed))


def parse_member(entry: Mapping[str, Any], reply: Reply) -> Member:
    urls = entry.get("peerURLs") or []
    if not isinstance(urls, list):
        raise not_etcd(reply, "a member has no list of peer URLs")
    return Member(
        id=hex_id(number(entry, "ID", reply)),
        name=str(entry.get("name", "")),
        peer_urls=tuple(str(url) for url in urls),
        learner=entry.get("isLearner") is True,
    )


def header_ids(answer: Mapping[str, Any], reply: Reply) -> tuple[str, str]:
    """Member and cluster id of whoever answered."""
    header = answer.get("header")
    if not isinstance(header, dict):
        raise not_etcd(reply, "it has no header")
    member, cluster = number(header, "member_id", reply), number(header, "cluster_id", reply)
    if not member or not cluster:
        raise not_etcd(reply, "its header names no member and cluster")
    return hex_id(member), hex_id(cluster)


def number(answer: Mapping[str, Any], key: str, reply: Reply) -> int:
    """A 64-bit number, which JSON carries as text; omitted means zero."""
    value = answer.get(key, 0)
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < MAX_UINT64:
        raise not_etcd(reply, f"'{key}' is no number")
    return value


def text(answer: Mapping[str, Any], key: str, reply: Reply) -> str:
    """Text from base64; omitted means empty."""
    value = answer.get(key, "")
    try:
        return decode(value if isinstance(value, str) else "?")
    except (binascii.Error, ValueError):
        raise not_etcd(reply, f"'{key}' is not base64") from None


def key_after(entry: Mapping[str, Any], reply: Reply) -> str:
    """The first key that can follow an entry's key, in base64: the same bytes and a zero byte."""
    try:
        return base64.b64encode(base64.b64decode(str(entry.get("key", "")), validate=True) + b"\0").decode()
    except (binascii.Error, ValueError):
        raise not_etcd(reply, "'key' is not base64") from None


def answer_of(reply: Reply, *, writes: bool = False) -> dict[str, Any]:
    """The JSON object of a good answer.

    Raises what ``refusal`` makes of an etcd error, and ``NodeAnswerInvalid`` for everything that etcd never says.
    ``writes``: the request may have changed something, so an uncertain error is a ``NodeTimeout``.
    """
    if writes and reply.status in (502, 503, 504) and not _is_error(reply):
        raise errors.NodeTimeout(
            f"something in front of {reply.url} answered HTTP {reply.status}",
            evidence=[excerpt(reply.text)],
            hint="the node itself may have carried the request out",
        )
    answer = reply.json()
    if reply.status == 200 and isinstance(answer, dict) and "error" not in answer:
        return answer
    if isinstance(answer, dict) and isinstance(answer.get("error"), str) and "code" in answer:
        raise refusal(reply, answer, writes=writes)
    raise not_etcd(reply, "it is some other JSON service's")


def _is_error(reply: Reply) -> bool:
    return reply.text.lstrip().startswith("{") and '"error"' in reply.text


def refusal(reply: Reply, answer: Mapping[str, Any], *, writes: bool) -> errors.ProviderError:
    """The typed error for an error that etcd answered."""
    message = str(answer["error"]).removeprefix("etcdserver: ")
    evidence = [f"HTTP {reply.status}: {answer['error']}"]
    if any(sign in message for sign in ANONYMOUS):
        return errors.AuthenticationFailed(
            f"{reply.url} demands an etcd user: {message}",
            evidence=evidence,
            hint="give 'auth: {header: {name: Authorization, value: env:TOKEN}}' with a token of etcd",
        )
    certain = answer.get("code") in CERTAIN_CODES or any(sign in message for sign in CERTAIN_TEXTS)
    if certain or not writes:
        return errors.NodeRefused(f"{reply.url} refused: {message}", evidence=evidence)
    return errors.NodeTimeout(
        f"{reply.url} could not say whether it was done: {message}",
        evidence=evidence,
        hint="has the cluster a leader and a quorum?",
    )


def not_etcd(reply: Reply, why: str) -> errors.NodeAnswerInvalid:
    start = excerpt(reply.text)
    return errors.NodeAnswerInvalid(
        f"{reply.url} does not answer like etcd: {why}",
        evidence=[f"HTTP {reply.status}: {start or '(an empty body)'}"],
        hint="is this the client port of an etcd 3.4 or later, and is the kind right?",
    )
