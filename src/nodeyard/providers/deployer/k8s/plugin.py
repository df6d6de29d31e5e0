"""The door of the Kubernetes deployer: what the registry loads. The machinery is imported only when it is used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from nodeyard.domain.capability import Capability
from nodeyard.domain.sources import DeployerOptions
from nodeyard.ports.deployer import Deployer
from nodeyard.ports.ledger import Remover
from nodeyard.ports.node_control import WHOLE_CONTROL, CanExec
from nodeyard.ports.plugins import Collection, Leftover, PluginContext, Visit
from nodeyard.providers._clients.extras import needed
from nodeyard.providers.deployer.k8s.options import K8sOptions

if TYPE_CHECKING:
    from nodeyard.providers.deployer.k8s.deployer import K8sDeployer


class K8sPlugin:
    """Nodes as pods of a Kubernetes cluster."""

    name: ClassVar[str] = "k8s"
    summary: ClassVar[str] = "nodes as pods of a Kubernetes cluster"
    options: ClassVar[type[DeployerOptions]] = K8sOptions
    capabilities: ClassVar[frozenset[Capability]] = WHOLE_CONTROL

    def create(self, options: DeployerOptions, context: PluginContext) -> Deployer:
        """A deployer for one run. Does nothing yet. Raises ``SourceUnsupported`` where the extra is not installed."""
        if not isinstance(options, K8sOptions):
            raise TypeError(f"the k8s deployer needs K8sOptions, not {type(options).__name__}")
        return _machinery()(options, context)

    def remover(self) -> Remover:
        """Carries out the entries of ``deployer:k8s``."""
        _machinery()
        from nodeyard.providers.deployer.k8s.remover import K8sRemover

        return K8sRemover()

    def visit(self, node: str, visit: Visit) -> CanExec:
        """Commands in the container of the node's pod."""
        _machinery()
        from nodeyard.providers.deployer.k8s.visiting import K8sVisitor

        return K8sVisitor(node, visit)

    async def collect(self, context: str, collection: Collection) -> Sequence[Leftover]:
        """What runs left in the cluster of a context, by their leases."""
        _machinery()
        from nodeyard.providers.deployer.k8s.collecting import collect

        return await collect(context, collection)


def _machinery() -> type[K8sDeployer]:
    with needed("the k8s deployer", "lightkube", extra="k8s", beside=("httpx2",)):
        from nodeyard.providers.deployer.k8s.deployer import K8sDeployer
    return K8sDeployer
