"""A node of a run that another process started: commands and output of its container, as its runner would have them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from nodeyard._aio.clock import SystemClock
from nodeyard.errors.provider import OperationFailed
from nodeyard.ports.node_control import ExecResult
from nodeyard.ports.plugins import Visit
from nodeyard.providers._clients.kube.cluster import Cluster
from nodeyard.providers._clients.kube.config import reach_of
from nodeyard.providers.deployer.k8s.keeping import Keeper
from nodeyard.providers.deployer.k8s.layout import CONTAINER, NAMESPACE, POD
from nodeyard.providers.deployer.k8s.sweep import Sweep


class K8sVisitor:
    """Implements ``ports.node_control.CanExec`` and ``HasLogs`` for one node of a run that stands."""

    def __init__(self, node: str, visit: Visit) -> None:
        self._node = node
        self._visit = visit

    async def exec(self, argv: Sequence[str], *, timeout: float) -> ExecResult:
        """See the port; only in a pod that carries the run's mark."""
        async with self._keeper("exec") as keeper:
            return await keeper.command(argv, timeout=timeout)

    async def logs(self, *, tail: int | None = None) -> Sequence[str]:
        """See the port; of the pod's present container."""
        async with self._keeper("logs") as keeper:
            return await keeper.cluster.log(keeper.pod, keeper.namespace, container=CONTAINER, tail=tail)

    @asynccontextmanager
    async def _keeper(self, operation: str) -> AsyncIterator[Keeper]:
        """The node's keeper, found by the ledger and the run's mark on the pod."""
        entry = next((e for e in reversed(self._visit.entries) if e.type == POD and e.node == self._node), None)
        if entry is None:
            raise self._failed("the run has no pod of it", operation)
        namespace, pod = str(entry.data.get(NAMESPACE)), str(entry.data.get("pod"))
        cluster = Cluster(reach_of(entry.data), {}, SystemClock())
        try:
            if not await Sweep(cluster, namespace, self._visit.mark, 0.0).is_ours(pod):
                raise self._failed("no pod of it runs", operation)
            yield Keeper(cluster, namespace, pod, self._node)
        finally:
            await cluster.close()

    def _failed(self, message: str, operation: str) -> OperationFailed:
        return OperationFailed(message, node=self._node, operation=operation, hint="'nodeyard ps' lists what runs")
