"""The door of the local deployer: what the registry loads. The machinery is imported only when it is used."""

from __future__ import annotations

from typing import ClassVar

from nodeyard.domain.capability import Capability
from nodeyard.domain.sources import DeployerOptions
from nodeyard.ports.deployer import Deployer
from nodeyard.ports.ledger import Remover
from nodeyard.ports.node_control import WHOLE_CONTROL, CanExec
from nodeyard.ports.plugins import PluginContext, Visit
from nodeyard.providers.deployer.local.options import LocalOptions


class LocalPlugin:
    """Nodes as processes of this machine."""

    name: ClassVar[str] = "local"
    summary: ClassVar[str] = "nodes as processes of this machine"
    options: ClassVar[type[DeployerOptions]] = LocalOptions
    capabilities: ClassVar[frozenset[Capability]] = WHOLE_CONTROL

    def create(self, options: DeployerOptions, context: PluginContext) -> Deployer:
        """A deployer for one run. Does nothing yet."""
        from nodeyard.providers.deployer.local.deployer import LocalDeployer

        if not isinstance(options, LocalOptions):
            raise TypeError(f"the local deployer needs LocalOptions, not {type(options).__name__}")
        return LocalDeployer(options, context)

    def remover(self) -> Remover:
        """Carries out the entries of ``deployer:local``."""
        from nodeyard.providers.deployer.local.remover import LocalRemover

        return LocalRemover()

    def visit(self, node: str, visit: Visit) -> CanExec:
        """Commands in the environment of the node's running process."""
        from nodeyard.providers.deployer.local.visiting import LocalVisitor

        return LocalVisitor(node, visit)
