"""Finding and removing what one run has in one namespace: by its label, and only if the object carries its mark."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lightkube.resources.coordination_v1 import Lease
from lightkube.resources.core_v1 import ConfigMap, Namespace, PersistentVolumeClaim, Pod, Secret, Service

from nodeyard._aio import poll
from nodeyard._aio.tasks import side_by_side
from nodeyard.domain.run_identity import RunMark
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import PermissionMissing
from nodeyard.providers._clients.kube.cluster import Cluster, path_of, plural
from nodeyard.providers._clients.kube.errors import Asked, is_absent
from nodeyard.providers.deployer.k8s.layout import ANNOTATION, Layout

KINDS: Sequence[Any] = (Service, ConfigMap, Secret, PersistentVolumeClaim, Lease)
"""What a run makes beside pods; the lease last, because it is how others find the rest."""
PACE = poll.Pace(first=0.02, factor=1.5, most=0.25)


@dataclass(frozen=True)
class Swept:
    """What was removed: pods by name, everything in words; and what is left, each with the reason."""

    pods: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()
    left: Mapping[str, str] = field(default_factory=dict)


class Sweep:
    """One namespace and one run's mark."""

    def __init__(self, cluster: Cluster, namespace: str, mark: RunMark, deadline: float) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._mark = mark
        self._deadline = deadline
        self._selector = Layout(mark, namespace, owns_namespace=False).selector

    def _mine(self, item: Any) -> bool:
        return ((item.metadata.annotations or {}).get(ANNOTATION)) == self._mark.text

    async def is_ours(self, pod: str) -> bool:
        """Whether there is a pod of that name that carries the mark."""
        found = await self._cluster.persist(lambda: self._cluster.get(Pod, pod, self._namespace))
        return found is not None and self._mine(found)

    async def find(self, resource: Any) -> list[Any]:
        """All objects of a kind that carry the mark; none where the namespace is gone or never had any."""

        async def ask() -> list[Any]:
            found, _ = await self._cluster.list_all(resource, self._namespace, labels=self._selector)
            return [item for item in found if self._mine(item)]

        try:
            return await self._cluster.persist(ask, deadline=self._deadline)
        except PermissionMissing:
            if resource is PersistentVolumeClaim:  # who may not even see claims has made none
                return []
            raise
        except NodeyardError as error:
            if is_absent(error):
                return []
            raise

    async def pods(self, names: Iterable[str]) -> Swept:
        """Remove these pods."""
        wanted = set(names)
        found = [pod for pod in await self.find(Pod) if pod.metadata.name in wanted]
        await self._delete(Pod, found)
        left = await self._until_gone(wanted)
        gone = tuple(pod.metadata.name for pod in found)
        return Swept(gone, tuple(f"pod {name}" for name in gone), left)

    async def everything(self, *, owns_namespace: bool) -> Swept:
        """Remove all of the run, and its namespace if the run made it."""
        pods = await self.find(Pod)
        await self._delete(Pod, pods)
        removed = [f"pod {pod.metadata.name}" for pod in pods]
        for kind, found in zip(KINDS, await self._all(KINDS), strict=True):
            await self._delete(kind, found)
            removed += [f"{kind.__name__.lower()} {item.metadata.name}" for item in found]
        left = await self._until_gone(None)
        if owns_namespace:
            removed += await self._remove_namespace(left)
        return Swept(tuple(pod.metadata.name for pod in pods), tuple(removed), left)

    async def names(self) -> list[str]:
        """Everything of the run, in words."""
        found = zip((Pod, *KINDS), await self._all((Pod, *KINDS)), strict=True)
        return [f"{kind.__name__.lower()} {item.metadata.name}" for kind, items in found for item in items]

    async def _all(self, kinds: Sequence[Any]) -> list[list[Any]]:
        outcomes = await side_by_side(self.find, kinds)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
        return [outcome for outcome in outcomes if not isinstance(outcome, Exception)]

    async def _delete(self, resource: Any, items: Sequence[Any]) -> None:
        async def one(item: Any) -> None:
            name = item.metadata.name
            asked = Asked("delete", plural(resource), self._namespace, name)
            path = path_of(resource, self._namespace, name)
            await self._cluster.persist(lambda: self._cluster.delete(path, asked, uid=item.metadata.uid))

        for outcome in await side_by_side(one, items, at_once=32):
            if isinstance(outcome, Exception):
                raise outcome

    async def _until_gone(self, names: set[str] | None) -> dict[str, str]:
        """Wait for the run's pods to be gone; those that are not, each with why."""

        async def look() -> poll.Done[None] | list[Any]:
            there = [pod for pod in await self.find(Pod) if names is None or pod.metadata.name in names]
            return there or poll.Done(None)

        try:
            await poll.until(look, clock=self._cluster.clock, deadline=self._deadline, pace=PACE)
        except poll.Timeout as late:
            pods: list[Any] = late.last if isinstance(late.last, list) else []
            return {pod.metadata.name: f"pod {pod.metadata.name} is still there: {_held(pod)}" for pod in pods}
        return {}

    async def _remove_namespace(self, left: dict[str, str]) -> list[str]:
        """Remove the namespace if it carries the mark, and wait for its end.

        It is asked for and not watched: watching takes a right on every namespace of the cluster.
        """
        name = self._namespace
        found = await self._cluster.persist(lambda: self._cluster.get(Namespace, name))
        if found is None or not self._mine(found):
            return []
        path, asked = path_of(Namespace, None, name), Asked("delete", "namespaces", None, name)
        await self._cluster.persist(lambda: self._cluster.delete(path, asked, uid=found.metadata.uid, grace=None))

        async def look() -> poll.Done[None] | Any:
            there = await self._cluster.persist(lambda: self._cluster.get(Namespace, name))
            return poll.Done(None) if there is None or there.metadata.uid != found.metadata.uid else there

        try:
            await poll.until(look, clock=self._cluster.clock, deadline=self._deadline, pace=PACE)
        except poll.Timeout as late:
            left[name] = f"namespace {name} is still there: {_held(late.last)}"
        return [f"namespace {name}"]


def _held(item: Any) -> str:
    """Why an object that was deleted is still there."""
    if item is None:
        return "it was never seen"
    finalizers = list(item.metadata.finalizers or [])
    conditions = [c for c in (getattr(item.status, "conditions", None) or []) if c.status == "True" and c.message]
    words = [f"finalizers {', '.join(finalizers)}"] if finalizers else []
    words += [c.message for c in conditions if c.type.startswith("Namespace")]
    return "; ".join(words) or "its machine has not confirmed its end"
