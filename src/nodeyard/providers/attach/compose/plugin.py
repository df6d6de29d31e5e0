"""The door of Compose attach: what the registry loads. The machinery is imported only when it is used."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import ClassVar

from nodeyard.domain.capability import Capability
from nodeyard.domain.sources import AttachOptions
from nodeyard.ports.attach import AttachProvider
from nodeyard.ports.ledger import Remover
from nodeyard.ports.node_control import WHOLE_CONTROL
from nodeyard.ports.plugins import PluginContext
from nodeyard.providers._clients.extras import needed
from nodeyard.providers.attach.compose.options import ComposeAttachOptions


class ComposeAttachPlugin:
    """Nodes that are containers of a running Compose project."""

    name: ClassVar[str] = "compose"
    summary: ClassVar[str] = "nodes that are containers of a running Compose project"
    options: ClassVar[type[AttachOptions]] = ComposeAttachOptions
    capabilities: ClassVar[frozenset[Capability]] = WHOLE_CONTROL - {Capability.PATCH, Capability.WIPE}

    def create(self, options: AttachOptions, context: PluginContext) -> AttachProvider:
        """Raises ``SourceUnsupported`` where the extra is not installed; ``TypeError``: a defect of the caller."""
        with _extra():
            from nodeyard.providers.attach.compose.provider import ComposeProvider

        if not isinstance(options, ComposeAttachOptions):
            raise TypeError(f"compose attach takes ComposeAttachOptions, not {type(options).__name__}")
        return ComposeProvider(options, context)

    def remover(self) -> Remover:
        """Undoes what controls of this provider did to borrowed containers."""
        with _extra():
            from nodeyard.providers.attach.compose.remover import ComposeAttachRemover

        return ComposeAttachRemover()


def _extra() -> AbstractContextManager[None]:
    return needed("compose attach", "aiodocker", extra="docker")
