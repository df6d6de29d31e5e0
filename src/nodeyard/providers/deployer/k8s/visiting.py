"""A node of a run that another process started: commands run in its container, as its runner's would."""

from __future__ import annotations

from collections.abc import Sequence

from nodeyard._aio.clock import SystemClock
from nodeyard.errors.provider import OperationFailed
from nodeyard.ports.node_control import ExecResult
from nodeyard.ports.plugins import Visit
from nodeyard.providers._clients.kube.cluster import Cluster
from nodeyard.providers._clients.kube.config import reach_of
from nodeyard.providers.deployer.k8s.keeping import Keeper
from nodeyard.providers.deployer.k8s.layout import NAMESPACE, POD
from nodeyard.providers.deployer.k8s.sweep import Sweep


class K8sVisitor:
    """Implements ``ports.node_control.CanExec`` for one node of a run that stands."""

    def __init__(self, node: str, visit: Visit) -> None:
        self._node = node
        self._visit = visit

    async def exec(self, argv: Sequence[str], *, timeout: float) -> ExecResult:
        """See the port; only in a pod that carries the run's mark."""
        entry = next((e for e in reversed(self._visit.entries) if e.type == POD and e.node == self._node), None)
        if entry is None:
            raise self._failed("the run has no pod of it")
        namespace, pod = str(entry.data.get(NAMESPACE)), str(entry.data.get("pod"))
        cluster = Cluster(reach_of(entry.data), {}, SystemClock())
        try:
            if not await Sweep(cluster, namespace, self._visit.mark, 0.0).is_ours(pod):
                raise self._failed("no pod of it runs")
            return await Keeper(cluster, namespace, pod, self._node).command(argv, timeout=timeout)
        finally:
            await cluster.close()

    def _failed(self, message: str) -> OperationFailed:
        return OperationFailed(message, node=self._node, operation="exec", hint="'nodeyard logs' shows its last words")
