"""The connection to one cluster: one pool of connections, every failure a typed error.

``api`` is lightkube's client; ``http`` goes over the same connections where lightkube has no word for a request.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx2
from lightkube import AsyncClient
from lightkube.codecs import from_dict
from lightkube.config.client_adapter import user_auth, verify_cluster
from lightkube.config.kubeconfig import SingleConfig
from lightkube.core.decoders import decode_list, decode_object, decode_status, decode_watch_event
from lightkube.core.exceptions import ApiError
from lightkube.core.resource import api_info
from lightkube.models.core_v1 import Event
from lightkube.resources.core_v1 import Event as EventResource
from lightkube.resources.core_v1 import Pod

from nodeyard._aio import poll
from nodeyard._aio.clock import Clock
from nodeyard.errors.base import NodeyardError
from nodeyard.ports.ledger import Json
from nodeyard.ports.node_control import ExecResult
from nodeyard.providers._clients.kube.config import Reach, load
from nodeyard.providers._clients.kube.errors import Asked, is_absent, is_passing, translated

T = TypeVar("T")
Manifest = Mapping[str, Json]
FIELD_MANAGER = "nodeyard"
REQUEST = 15.0
"""Seconds for one request; the API server itself gives up on its store after less."""
POOL = 512
"""Connections together: a watch, and one per forwarded connection and command."""
PATIENCE = 20.0
"""Seconds that a request goes on while the API server is away: one that restarts is back after less."""
PAGE = 500
LEAVING = 5.0
"""Seconds for commands whose callers were cancelled, when the connection is closed."""
PACE = poll.Pace(first=0.05, factor=2.0, most=1.0)


class Cluster:
    """One cluster as one user. Close it; connections are made when they are first needed."""

    def __init__(self, where: Reach, environment: Mapping[str, str], clock: Clock) -> None:
        """Raises ``SpecInvalid`` for a context or kubeconfig that is not there."""
        self.where = where
        self._abandoned: dict[str, asyncio.Future[ExecResult]] = {}
        self.config: SingleConfig = load(where, environment)
        self.clock = clock
        with self.asking("connect", "cluster"):
            user = self.config.user
            assert user is not None
            verify = verify_cluster(self.config.cluster, user, self.config.abs_file, trust_env=False)
            auth = user_auth(user)
        transport = httpx2.AsyncHTTPTransport(
            verify=verify, trust_env=False, limits=httpx2.Limits(max_connections=POOL)
        )
        timeout = httpx2.Timeout(REQUEST)
        self.api = AsyncClient(
            self.config, timeout=timeout, transport=transport, trust_env=False, field_manager=FIELD_MANAGER
        )
        self.http = httpx2.AsyncClient(
            transport=transport, base_url=self.config.cluster.server, auth=auth, timeout=timeout, trust_env=False
        )

    async def close(self) -> None:
        """Close every connection. Idempotent."""
        left, self._abandoned = set(self._abandoned.values()), {}
        if left:
            await asyncio.wait(left, timeout=LEAVING)
            for work in left:
                work.cancel()
        await self.http.aclose()

    @property
    def context(self) -> str:
        return self.config.context_name

    @contextmanager
    def asking(
        self, verb: str, resource: str, namespace: str | None = None, name: str | None = None, node: str | None = None
    ) -> Iterator[None]:
        """Requests inside raise the errors of ``errors.provider``, which name this verb and resource."""
        with translated(self.config, Asked(verb, resource, namespace, name), node):
            yield

    async def persist(self, act: Callable[[], Awaitable[T]], *, deadline: float | None = None) -> T:
        """An idempotent request, again while the server is away or overloaded. Raises its last error."""
        last: list[NodeyardError] = []

        async def attempt() -> poll.Done[T] | None:
            try:
                return poll.Done(await act())
            except NodeyardError as error:
                if not is_passing(error):
                    raise
                last[:] = [error]
                return None

        limit = self.clock.now() + PATIENCE
        try:
            return await poll.until(attempt, clock=self.clock, deadline=min(limit, deadline or limit), pace=PACE)
        except poll.Timeout:
            if last:
                raise last[0] from None
            raise TimeoutError from None

    # -- objects ------------------------------------------------------------------------------------------------------

    async def apply(self, manifest: Manifest, *, node: str | None = None) -> Any:
        """Make or change one object by server-side apply, as our own field manager; returns it as it stands."""
        found: Any = from_dict(dict(manifest))
        meta = found.metadata
        resource = PLURALS[str(manifest["kind"])]
        with self.asking("patch", resource, meta.namespace, meta.name, node):
            return await self.api.apply(found, force=True)

    async def create(self, manifest: Manifest, *, node: str | None = None) -> Any:
        """Make one object that must not be there yet."""
        found: Any = from_dict(dict(manifest))
        meta = found.metadata
        with self.asking("create", PLURALS[str(manifest["kind"])], meta.namespace, meta.name, node):
            return await self.api.create(found)

    async def get(self, resource: Any, name: str, namespace: str | None = None) -> Any:
        """One object, or ``None`` where there is none."""
        try:
            with self.asking("get", plural(resource), namespace, name):
                return await self.api.get(resource, name, **({"namespace": namespace} if namespace else {}))
        except NodeyardError as error:
            if is_absent(error):
                return None
            raise

    async def list_all(
        self, resource: Any, namespace: str | None, *, labels: str | None = None, fields: str | None = None
    ) -> tuple[list[Any], str]:
        """All objects of a kind, page by page, and the version to watch from. ``namespace`` ``None`` means all."""
        items: list[Any] = []
        params = _given(limit=str(PAGE), labelSelector=labels, fieldSelector=fields)
        while True:
            with self.asking("list", plural(resource), namespace):
                reply = await self.http.get(path_of(resource, namespace), params=params)
                reply.raise_for_status()
            more, version, page = decode_list(reply.content, resource)
            items += page
            if not more:
                return items, version or ""
            params["continue"] = more

    async def watch(
        self,
        resource: Any,
        namespace: str | None,
        version: str,
        *,
        labels: str | None = None,
        fields: str | None = None,
        seconds: int,
    ) -> AsyncGenerator[tuple[str, Any], None]:
        """Every change after ``version`` as its type and the object, until the server ends it after ``seconds``."""
        params = _given(
            watch="true",
            resourceVersion=version,
            timeoutSeconds=str(seconds),
            labelSelector=labels,
            fieldSelector=fields,
        )
        timeout = httpx2.Timeout(REQUEST, read=seconds + REQUEST)
        with self.asking("watch", plural(resource), namespace):
            async with self.http.stream("GET", path_of(resource, namespace), params=params, timeout=timeout) as reply:
                if reply.is_error:
                    await reply.aread()
                reply.raise_for_status()
                async for line in reply.aiter_lines():
                    event = decode_watch_event(line.encode())
                    if event.type == "ERROR":
                        raise ApiError(status=decode_status(event.object))
                    yield event.type, decode_object(event.object, resource)

    async def delete(self, path: str, asked: Asked, *, uid: str | None = None, grace: int | None = 0) -> bool:
        """Delete the object at an API path, only if it still has this ``uid``; whether it was there."""
        body: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        if uid is not None:
            body["preconditions"] = {"uid": uid}
        with translated(self.config, asked):
            reply = await self.http.request(
                "DELETE", path, content=json.dumps(body), headers={"Content-Type": "application/json"}
            )
            if reply.status_code in (404, 409):  # gone, or another one of that name
                return False
            reply.raise_for_status()
        return True

    # -- pods ---------------------------------------------------------------------------------------------------------

    async def exec(
        self,
        pod: str,
        namespace: str,
        argv: Sequence[str],
        *,
        container: str,
        stdin: bytes | None = None,
        timeout: float,
        node: str | None = None,
    ) -> ExecResult:
        """Run a command in a container. Raises ``TimeoutError`` when no status came in time.

        A caller that is cancelled leaves it to its end, for which the next command in the pod waits: half a request
        would leave both a connection and the pod in a state that nobody knows.
        """
        if earlier := self._abandoned.pop(pod, None):
            await asyncio.wait({earlier})
        work = asyncio.ensure_future(
            self._exec(pod, namespace, argv, container=container, stdin=stdin, timeout=timeout, node=node)
        )
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            if not work.done():
                self._abandoned[pod] = work
                work.add_done_callback(_heard)
            raise

    async def _exec(
        self,
        pod: str,
        namespace: str,
        argv: Sequence[str],
        *,
        container: str,
        stdin: bytes | None,
        timeout: float,
        node: str | None,
    ) -> ExecResult:
        more: dict[str, Any] = {} if stdin is None else {"stdin": stdin}
        try:
            with self.asking("get", "pods/exec", namespace, pod, node):
                done = await self.api.exec(
                    pod, namespace=namespace, container=container, command=list(argv), stdout=True, stderr=True,
                    decode=None, timeout=timeout, **more,
                )  # fmt: skip
        except NodeyardError as error:
            if isinstance(error.__cause__, httpx2.ReadTimeout):
                raise TimeoutError from error
            raise
        texts = [bytes(part or b"").decode("utf-8", "replace") for part in (done.stdout, done.stderr)]  # type: ignore[arg-type]
        return ExecResult(done.exit_code, texts[0], texts[1])

    async def log(
        self, pod: str, namespace: str, *, container: str, tail: int | None = None, previous: bool = False
    ) -> list[str]:
        """The output of a container, or of the one that stood before it; nothing where there was none."""
        params = {"container": container, "previous": str(previous).lower()}
        if tail is not None:
            params["tailLines"] = str(tail)
        asked = Asked("get", "pods/log", namespace, pod)
        with translated(self.config, asked):
            reply = await self.http.get(f"/api/v1/namespaces/{namespace}/pods/{pod}/log", params=params)
            if reply.status_code in (400, 404):  # it has not begun, or is gone
                return []
            reply.raise_for_status()
            return reply.text.splitlines()

    async def events_of(self, kind: str, name: str, namespace: str) -> list[str]:
        """What Kubernetes told of an object, oldest first, a line each."""
        fields = f"involvedObject.kind={kind},involvedObject.name={name}"
        found, _ = await self.list_all(EventResource, namespace, fields=fields)
        events: list[Event] = sorted(found, key=lambda e: str(e.lastTimestamp or e.eventTime or ""))
        return [f"{e.reason}: {' '.join((e.message or '').split())}" for e in events]


PLURALS = {
    "Namespace": "namespaces", "Lease": "leases", "Service": "services", "ConfigMap": "configmaps", "Secret": "secrets",
    "Pod": "pods", "PersistentVolumeClaim": "persistentvolumeclaims", "StatefulSet": "statefulsets",
    "Deployment": "deployments", "ReplicaSet": "replicasets", "DaemonSet": "daemonsets", "Event": "events",
    "ServiceAccount": "serviceaccounts", "Node": "nodes",
}  # fmt: skip


def path_of(resource: Any, namespace: str | None, name: str | None = None) -> str:
    """The API path of a kind, in one namespace or all, or of one object."""
    info = api_info(resource)
    group, version = info.resource.group, info.resource.version
    parts = ["api", version] if not group else ["apis", group, version]
    parts += [*(("namespaces", namespace) if namespace else ()), info.plural, *((name,) if name else ())]
    return "/" + "/".join(parts)


def _heard(work: asyncio.Future[ExecResult]) -> None:
    """Whoever wanted to know how it ended is gone."""
    if not work.cancelled():
        work.exception()


def _given(**params: str | None) -> dict[str, str]:
    return {name: value for name, value in params.items() if value is not None}


def plural(resource: Any) -> str:
    """The word of permissions for a resource class of lightkube."""
    name = str(resource.__name__)
    return PLURALS.get(name, name.lower())


__all__ = ["FIELD_MANAGER", "Cluster", "Manifest", "Pod", "plural"]
