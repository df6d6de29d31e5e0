"""Kubernetes attach: pods that somebody else runs. The plugin; the machinery is imported only when it is used."""

from __future__ import annotations

from typing import ClassVar

from nodeyard.domain.capability import Capability
from nodeyard.domain.sources import AttachOptions
from nodeyard.ports.attach import AttachProvider
from nodeyard.ports.ledger import Remover
from nodeyard.ports.plugins import PluginContext
from nodeyard.providers._clients.extras import needed
from nodeyard.providers.attach.k8s.options import K8sAttachOptions
from nodeyard.providers.attach.k8s.remover import NothingToUndo


class K8sAttachPlugin:
    """Nodes that run as pods of a Kubernetes cluster already."""

    name: ClassVar[str] = "k8s"
    summary: ClassVar[str] = "nodes that run as pods of a Kubernetes cluster already"
    options: ClassVar[type[AttachOptions]] = K8sAttachOptions
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.QUERY, Capability.SUBMIT, Capability.RESTART, Capability.LOGS, Capability.EXEC}
    )

    def create(self, options: AttachOptions, context: PluginContext) -> AttachProvider:
        """A provider for one run. Does nothing yet. Raises ``SourceUnsupported`` where the extra is not installed."""
        if not isinstance(options, K8sAttachOptions):
            raise TypeError(f"k8s attach takes K8sAttachOptions, not {type(options).__name__}")
        with needed("k8s attach", "lightkube", extra="k8s", beside=("httpx2",)):
            from nodeyard.providers.attach.k8s.provider import K8sProvider
        return K8sProvider(options, context)

    def remover(self) -> Remover:
        return NothingToUndo()


__all__ = ["K8sAttachOptions", "K8sAttachPlugin"]
