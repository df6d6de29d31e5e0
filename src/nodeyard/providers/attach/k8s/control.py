"""Control over one borrowed pod: what its source may grant, and nothing that could end it for good."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from lightkube.resources.core_v1 import Pod

from nodeyard.domain.capability import Capability
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import OperationFailed
from nodeyard.ports.node_control import ExecResult, NodeState
from nodeyard.providers._clients.kube import rights, states
from nodeyard.providers._clients.kube.cluster import Cluster, path_of
from nodeyard.providers._clients.kube.errors import Asked
from nodeyard.providers._clients.kube.watch import PodWatch
from nodeyard.providers.attach.k8s import reading
from nodeyard.providers.attach.k8s.reading import Seen

RIGHTS: Mapping[Capability, Mapping[str, Sequence[str]]] = {
    Capability.RESTART: {"pods": ("delete",)},
    Capability.LOGS: {"pods/log": ("get",)},
    Capability.EXEC: {"pods/exec": ("get", "create")},
}
"""What each capability takes beside seeing pods."""
UNOWNED = "nobody would make the pod again: it belongs to no StatefulSet, Deployment or the like"


class K8sAttachedControl:
    """One node. ``node`` is the pod as it is now; a restart may give it another name."""

    def __init__(
        self,
        node: Seen,
        cluster: Cluster,
        watch: PodWatch,
        *,
        missing: Mapping[Capability, str],
        restart_timeout: float,
        taken: Callable[[], frozenset[str]],
        moved: Callable[[Seen], None],
    ) -> None:
        self.node = node
        self._cluster = cluster
        self._watch = watch
        self._missing = dict(missing)
        self._restart_timeout = restart_timeout
        self._taken = taken
        self._moved = moved
        if not node.owner_uid:
            self._missing[Capability.RESTART] = UNOWNED

    def missing(self) -> Mapping[Capability, str]:
        return self._missing

    @property
    def pod(self) -> Pod | None:
        """The node's pod as the watch has it; ``None`` while there is none."""
        found = self._watch.pods.get(self.node.pod)
        return found if found is not None and reading.pod_uid(found) == self.node.uid else None

    async def state(self) -> NodeState:
        pod = self.pod
        if pod is None:
            return NodeState("exited", status="its pod is gone")
        if reason := states.over(pod):
            return NodeState("exited", status=reason)
        if states.running(pod, self.node.container):
            return NodeState("running", self.node.locator)
        ends = states.ends_of(pod, self.node.container)
        return NodeState("exited", status=ends[-1].status if ends else states.waiting_for(pod, self.node.container))

    async def logs(self, *, tail: int | None = None) -> Sequence[str]:
        node = self.node
        return await self._cluster.persist(
            lambda: self._cluster.log(node.pod, node.namespace, container=node.container, tail=tail)
        )

    async def exec(self, argv: Sequence[str], *, timeout: float) -> ExecResult:
        """See the port. A command that takes longer is left to itself: nothing in a borrowed pod may end it for us."""
        node = self.node
        try:
            return await self._cluster.exec(
                node.pod, node.namespace, argv, container=node.container, timeout=timeout, node=node.name
            )
        except TimeoutError:
            raise OperationFailed(
                f"'{argv[0]}' did not end within {timeout:g}s, and goes on in the pod",
                node=node.name, operation="exec", hint="give it more time",
            ) from None  # fmt: skip

    async def restart(self) -> None:
        """Delete the pod, so that its controller makes it again; returns when the new one is ready."""
        old = self.node
        if self.pod is None:
            raise self._failed("has no pod that could be restarted", "is its controller at work?")
        asked = Asked("delete", "pods", old.namespace, old.pod)
        path = path_of(Pod, old.namespace, old.pod)
        try:
            await self._cluster.persist(lambda: self._cluster.delete(path, asked, uid=old.uid, grace=None))
            deadline = self._cluster.clock.now() + self._restart_timeout
            successor = await self._watch.until(self._successor, deadline=deadline)
        except TimeoutError:
            raise self._failed(
                f"{old.owner} has no new pod ready after {self._restart_timeout:g}s", "raise 'restart_timeout'"
            ) from None
        except NodeyardError as error:
            raise OperationFailed(
                error.message, node=old.name, operation="restart", evidence=error.evidence, hint=error.hint
            ) from error
        self.node = successor
        self._moved(successor)

    def _successor(self) -> Seen | None:
        """The pod that took the old one's place: of its name if its controller keeps names, else a new one of it."""
        old, taken = self.node, self._taken()
        for pod in self._watch.pods.values():
            name, uid = reading.pod_name(pod), reading.pod_uid(pod)
            if uid == old.uid or reading.owner_of(pod)[1] != old.owner_uid or reading.unusable(pod):
                continue
            if name != old.pod and (name in taken or old.owner.startswith("StatefulSet/")):
                continue
            if not reading.unready(pod) and states.running(pod, old.container):
                return Seen(old.name, old.namespace, name, uid, old.container, old.ports, old.owner, old.owner_uid)
        return None

    def _failed(self, fact: str, hint: str) -> OperationFailed:
        return OperationFailed(fact, node=self.node.name, operation="restart", hint=hint)


async def lacking(cluster: Cluster, namespaces: Sequence[str]) -> Mapping[str, Mapping[Capability, str]]:
    """By namespace, the capabilities that we are not permitted, each with the reason."""

    async def one(namespace: str) -> Mapping[Capability, str]:
        wanted = {c: rights.rights(namespace, table) for c, table in RIGHTS.items()}
        missing = set(await rights.lacking(cluster, [right for rs in wanted.values() for right in rs]))
        reasons = {c: [right for right in rs if right in missing] for c, rs in wanted.items()}
        return {c: f"not permitted to {', '.join(map(str, rs))}" for c, rs in reasons.items() if rs}

    return dict(zip(namespaces, await asyncio.gather(*map(one, namespaces)), strict=True))
