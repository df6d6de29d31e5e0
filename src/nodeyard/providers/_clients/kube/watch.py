"""Pods as they are now: listed once, then told of every change; listed anew after whatever ends the telling."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import TypeVar

from lightkube.resources.core_v1 import Pod

from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import BackendUnavailable
from nodeyard.providers._clients.kube.cluster import PACE, Cluster

T = TypeVar("T")
Seen = Callable[[str, Pod | None], None]
"""Called with the name of a pod and how it stands; ``None``: it is gone."""
SERVER_TIMEOUT = 300
"""Seconds after which the server ends a watch, which is then begun anew: a connection that died unseen is noticed."""
LOST = 45.0
"""Seconds without any answer after which waits end: an API server that restarts is back by then."""
Lost = Callable[[NodeyardError], None]
"""Told once, when nothing more can be seen: what goes on unseen can be judged by nobody."""


class PodWatch:
    """The pods of a namespace that carry a label. ``start`` it, and ``stop`` it."""

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        labels: str | None,
        seen: Seen,
        lost: Lost,
        *,
        fields: str | None = None,
    ) -> None:
        self.pods: dict[str, Pod] = {}
        self._cluster = cluster
        self._namespace = namespace
        self._labels = labels
        self._fields = fields
        self._seen = seen
        self._lost = lost
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._failure: NodeyardError | None = None

    async def start(self) -> None:
        """List the pods; from here on every change is seen. Idempotent."""
        if self._task is None:
            version = await self._cluster.persist(self._list)
            self._task = asyncio.create_task(self._follow(version), name="kube-watch")

    async def stop(self) -> None:
        """End watching. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def refresh(self) -> None:
        """List the pods again, now."""
        await self._cluster.persist(self._list)

    async def until(self, look: Callable[[], T | None], *, deadline: float) -> T:
        """What ``look`` finds once it finds something; asked at every change.

        Raises ``TimeoutError`` at the deadline, and the typed error of a watch that is lost for good.
        """
        async with asyncio.timeout(max(0.0, deadline - self._cluster.clock.now())):
            while True:
                changed = self._changed
                found = look()
                if found is not None:
                    return found
                if self._failure is not None:
                    raise self._failure
                await changed.wait()

    def _tell(self, name: str, pod: Pod | None) -> None:
        if pod is None:
            if self.pods.pop(name, None) is None:
                return
        else:
            self.pods[name] = pod
        self._seen(name, pod)

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _list(self) -> str:
        found, version = await self._cluster.list_all(Pod, self._namespace, labels=self._labels, fields=self._fields)
        present = {pod.metadata.name: pod for pod in found}
        for name in [name for name in self.pods if name not in present]:
            self._tell(name, None)
        for name, pod in present.items():
            self._tell(name, pod)
        self._failure = None
        self._wake()
        return version

    async def _follow(self, version: str) -> None:
        """Watch from a version; after any end list again. Never ends by itself."""
        current: str | None = version
        lost_since: float | None = None
        pause = PACE.first
        clock = self._cluster.clock
        while True:
            try:
                if current is None:
                    current = await self._list()
                lost_since, pause = None, PACE.first
                await self._watch(current)
                current = None
            except NodeyardError as error:
                current = None
                lost_since = clock.now() if lost_since is None else lost_since
                if clock.now() - lost_since > LOST or not isinstance(error, BackendUnavailable):
                    if self._failure is None:
                        self._lost(error)
                    self._failure = error
                    self._wake()
                await clock.sleep(pause)
                pause = PACE.next(pause)

    async def _watch(self, version: str) -> None:
        changes = self._cluster.watch(
            Pod, self._namespace, version, labels=self._labels, fields=self._fields, seconds=SERVER_TIMEOUT
        )
        async with aclosing(changes):
            async for change, pod in changes:
                self._tell(pod.metadata.name, None if change == "DELETED" else pod)
                self._wake()
