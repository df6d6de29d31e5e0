"""Static attach: nodes that a file lists. The plugin; the reading is in ``loading`` and the modules under it."""

from __future__ import annotations

from typing import ClassVar

from nodeyard.domain.capability import Capability
from nodeyard.domain.sources import AttachOptions
from nodeyard.ports.attach import AttachProvider
from nodeyard.ports.ledger import Remover
from nodeyard.ports.plugins import PluginContext
from nodeyard.providers.attach.static.options import StaticOptions
from nodeyard.providers.attach.static.provider import NothingToUndo, StaticProvider


class StaticPlugin:
    """Nodes from a nodes file, another run's ``inventory.json``, or Prometheus ``file_sd``."""

    name: ClassVar[str] = "static"
    summary: ClassVar[str] = "nodes from a nodes file, another run's inventory.json, or Prometheus file_sd"
    options: ClassVar[type[AttachOptions]] = StaticOptions
    capabilities: ClassVar[frozenset[Capability]] = frozenset({Capability.QUERY, Capability.SUBMIT})

    def create(self, options: AttachOptions, context: PluginContext) -> AttachProvider:
        """Raises ``TypeError`` for options of another plugin: a defect of the caller."""
        if not isinstance(options, StaticOptions):
            raise TypeError(f"static attach takes StaticOptions, not {type(options).__name__}")
        return StaticProvider(options, context)

    def remover(self) -> Remover:
        return NothingToUndo()


__all__ = ["StaticOptions", "StaticPlugin", "StaticProvider"]
