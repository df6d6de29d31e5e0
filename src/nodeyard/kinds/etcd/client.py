"""The client of one etcd node: probe, identity, and the client protocols that the kind offers.

Must not live here: the form of answers (``wire``), and changes of a cluster's membership (``cluster``).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any

from nodeyard.domain.identity import NetworkFacts
from nodeyard.domain.node_client import Identification, Probe, Rung, Value
from nodeyard.errors import provider as errors
from nodeyard.kinds._wording import excerpt
from nodeyard.kinds.etcd import wire
from nodeyard.kinds.etcd.cluster import ClusterDoor
from nodeyard.ports.kind import EndpointOf
from nodeyard.ports.transport import Reply, Transport

PORT = "client"
PAGE = 256
"""Keys that one request of a digest reads."""
LOWEST_KEY = "AA=="
"""One zero byte in base64; as first key and as end of a range it means *every key*."""


class EtcdClient:
    """Talks to one node over its JSON gateway. Asks for the endpoint at each use, because it may move."""

    def __init__(self, endpoint: EndpointOf, transport: Transport) -> None:
        self._endpoint = endpoint
        self._transport = transport

    def door(self, name: str) -> ClusterDoor:
        """The same endpoint, for changes of its cluster's membership."""
        return ClusterDoor(name, lambda: self._endpoint(PORT), self._transport)

    async def probe(self, *, timeout: float) -> Probe:
        """Two looks: the status says whether there is a leader, ``/health`` whether a quorum answers this node."""
        clock = asyncio.get_running_loop().time
        start = clock()
        try:
            status = await self._status(timeout=timeout)
            if status.leader is None:
                return Probe(False, Rung.API_ANSWERS, f"no leader yet ({'; '.join(status.errors) or 'no error told'})")
            seen = f"leader {status.leader}, raft index {status.index}"
            unwell = await self._unwell(timeout=max(0.001, timeout - (clock() - start)))
        except errors.ProviderError as error:
            return Probe(False, _rung_of(error), error.message)
        if unwell:
            return Probe(False, Rung.API_ANSWERS, f"{seen}, but {unwell}")
        if status.index == 0:
            return Probe(False, Rung.NETWORK_AGREED, f"{seen}: nothing is committed yet")
        return Probe(True, Rung.HEIGHT, f"{status.role}, {seen}")

    async def identify(self, *, timeout: float) -> Identification:
        """One request. Raises ``NodeUnreachable``, ``NodeTimeout``, ``NodeRefused`` or ``NodeAnswerInvalid``."""
        status = await self._status(timeout=timeout)
        auth = self._endpoint(PORT).auth
        facts = NetworkFacts(
            id=status.cluster,
            protocol=".".join(status.version.split(".")[:2]),
            api=status.version,
            auth=auth.kind if auth is not None else None,
        )
        return Identification(status.member, facts, role=status.role, height=status.index)

    async def get(self, key: str, *, timeout: float, local: bool = False) -> Value:
        """Linearizable, or with ``local`` this node's own state, also without a quorum."""
        question: dict[str, Any] = {"key": wire.encode(key)}
        if local:
            question["serializable"] = True
        reply = await self._post("/v3/kv/range", question, timeout=timeout)
        entries = _entries(wire.answer_of(reply), reply)
        if not entries:
            return Value(None)
        return Value(wire.text(entries[0], "value", reply), wire.number(entries[0], "mod_revision", reply))

    async def put(self, key: str, value: str, *, timeout: float) -> int | None:
        """Write; returns the revision of the store after it."""
        reply = await self._post("/v3/kv/put", _pair(key, value), timeout=timeout)
        return _revision(wire.answer_of(reply, writes=True), reply)

    async def compare_and_set(self, key: str, expected: str | None, value: str, *, timeout: float) -> bool:
        """One transaction: compare the value, or that the key was never created, and put."""
        compare: dict[str, str] = {"key": wire.encode(key), "result": "EQUAL"}
        if expected is None:
            compare |= {"target": "CREATE", "create_revision": "0"}
        else:
            compare |= {"target": "VALUE", "value": wire.encode(expected)}
        body = {"compare": [compare], "success": [{"request_put": _pair(key, value)}]}
        reply = await self._post("/v3/kv/txn", body, timeout=timeout)
        return wire.answer_of(reply, writes=True).get("succeeded") is True

    async def height(self, *, timeout: float) -> int:
        """The raft index: the length of the log that this node knows as committed."""
        return (await self._status(timeout=timeout)).index

    async def role(self, *, timeout: float) -> str | None:
        """``leader``, ``follower``, ``learner``, or ``None`` while there is no leader."""
        return (await self._status(timeout=timeout)).role

    async def peers(self, *, timeout: float) -> tuple[str, ...]:
        """Member ids of the others. A learner refuses to tell (``NodeRefused``)."""
        reply = await self._post("/v3/cluster/member/list", {}, timeout=timeout)
        listed = wire.parse_members(reply)
        return tuple(sorted(m.id for m in listed.members if m.id != listed.asked))

    async def digest(self, *, timeout: float) -> Mapping[str, str]:
        """Revision and hash of every key with its value, revisions and lease, as this node alone has them.

        Read at one revision, in pages. Not ``/v3/maintenance/hash``: that one hashes the file behind the store, which
        also depends on how far each node has compacted, and learners refuse it. Raises ``NodeRefused`` when the
        revision was compacted meanwhile.
        """
        revision, state = await self._digest(0, timeout=timeout)
        return {"revision": str(revision), "state": state}

    async def revision(self, *, timeout: float) -> int:
        """The revision of this node's own store."""
        question = {"key": LOWEST_KEY, "serializable": True, "count_only": True}
        reply = await self._post("/v3/kv/range", question, timeout=timeout)
        return _revision(wire.answer_of(reply), reply)

    async def state_at(self, revision: int, *, timeout: float) -> str:
        """The hash of every key as this node had it at ``revision``; ``NodeRefused`` when it was compacted."""
        return (await self._digest(revision, timeout=timeout))[1]

    async def _digest(self, revision: int, *, timeout: float) -> tuple[int, str]:
        """Hash all keys at a revision (0: the present one); returns which one it was."""
        clock = asyncio.get_running_loop().time
        end = clock() + timeout
        sha = hashlib.sha256()
        key = LOWEST_KEY
        while key:
            revision, key = await self._digest_page(sha, revision, key, timeout=max(0.001, end - clock()))
        return revision, sha.hexdigest()

    async def metrics(self, *, timeout: float) -> str:
        """``/metrics`` of the client port. Raises ``NodeRefused`` where it is switched off."""
        reply = await self._transport.request(self._endpoint(PORT), "GET", "/metrics", timeout=timeout)
        if reply.status != 200:
            raise errors.NodeRefused(f"{reply.url} answered with status {reply.status}")
        return reply.text

    async def _digest_page(self, sha: Any, revision: int, key: str, *, timeout: float) -> tuple[int, str]:
        question: dict[str, Any] = {"key": key, "range_end": LOWEST_KEY, "serializable": True, "limit": str(PAGE)}
        if revision:
            question["revision"] = str(revision)
        reply = await self._post("/v3/kv/range", question, timeout=timeout)
        answer = wire.answer_of(reply)
        entries = _entries(answer, reply)
        for entry in entries:
            sha.update(repr(sorted(entry.items())).encode())
        after = wire.key_after(entries[-1], reply) if answer.get("more") is True and entries else ""
        return revision or _revision(answer, reply), after

    async def _status(self, *, timeout: float) -> wire.Status:
        return wire.parse_status(await self._post("/v3/maintenance/status", {}, timeout=timeout))

    async def _unwell(self, *, timeout: float) -> str:
        """Why ``/health`` is not good, or an empty text."""
        reply = await self._transport.request(self._endpoint(PORT), "GET", "/health", timeout=timeout)
        answer = reply.json()
        if isinstance(answer, dict) and answer.get("health") in ("true", True):
            return ""
        reason = answer.get("reason") if isinstance(answer, dict) else None
        return f"/health says {excerpt(str(reason or reply.text))}"

    async def _post(self, path: str, body: Mapping[str, Any], *, timeout: float) -> Reply:
        return await self._transport.request(self._endpoint(PORT), "POST", path, json=body, timeout=timeout)


def _rung_of(error: errors.ProviderError) -> Rung:
    """How far a probe came that ended in an error: TLS, no answer and a wrong one all mean that the port is open."""
    reached = errors.NodeTimeout | errors.TlsFailed | errors.NodeAnswerInvalid | errors.NodeRefused
    return Rung.PORT_OPEN if isinstance(error, reached) else Rung.NOTHING


def _pair(key: str, value: str) -> dict[str, str]:
    return {"key": wire.encode(key), "value": wire.encode(value)}


def _entries(answer: Mapping[str, Any], reply: Reply) -> list[dict[str, Any]]:
    found = answer.get("kvs") or []
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise wire.not_etcd(reply, "its keys are no list")
    return found


def _revision(answer: Mapping[str, Any], reply: Reply) -> int:
    header = answer.get("header")
    return wire.number(header if isinstance(header, dict) else {}, "revision", reply)
