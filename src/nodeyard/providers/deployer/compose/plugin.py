"""The door of the Compose deployer: what the registry loads. The machinery is imported only when it is used."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import ClassVar

from nodeyard.domain.capability import Capability
from nodeyard.domain.sources import DeployerOptions
from nodeyard.ports.deployer import Deployer
from nodeyard.ports.ledger import Remover
from nodeyard.ports.node_control import WHOLE_CONTROL, CanExec
from nodeyard.ports.plugins import PluginContext, Visit
from nodeyard.providers._clients.extras import needed
from nodeyard.providers.deployer.compose.options import ComposeOptions


class ComposePlugin:
    """Nodes as containers of one Compose project."""

    name: ClassVar[str] = "compose"
    summary: ClassVar[str] = "nodes as containers of a Compose project"
    options: ClassVar[type[DeployerOptions]] = ComposeOptions
    capabilities: ClassVar[frozenset[Capability]] = WHOLE_CONTROL

    def create(self, options: DeployerOptions, context: PluginContext) -> Deployer:
        """A deployer for one run. Does nothing yet. Raises ``SourceUnsupported`` where the extra is not installed."""
        with _extra():
            from nodeyard.providers.deployer.compose.deployer import ComposeDeployer

        if not isinstance(options, ComposeOptions):
            raise TypeError(f"the compose deployer needs ComposeOptions, not {type(options).__name__}")
        return ComposeDeployer(options, context)

    def remover(self) -> Remover:
        """Carries out the entries of ``deployer:compose``."""
        with _extra():
            from nodeyard.providers.deployer.compose.remover import ComposeRemover

        return ComposeRemover()

    def visit(self, node: str, visit: Visit) -> CanExec:
        """Commands in the node's running container, and its output."""
        with _extra():
            from nodeyard.providers.deployer.compose.visiting import ComposeVisitor

        return ComposeVisitor(node, visit)


def _extra() -> AbstractContextManager[None]:
    return needed("the compose deployer", "aiodocker", extra="docker")
