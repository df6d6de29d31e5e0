"""What bootstrap is asked to do, as values. ``app`` fills it in; nothing here acts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nodeyard.domain.capability import Capability
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import ScenarioSpec
from nodeyard.ports.attach import AttachProvider
from nodeyard.ports.deployer import Deployer
from nodeyard.ports.kind import NodeKind
from nodeyard.ports.plugins import PluginContext


@dataclass(frozen=True)
class PlannedOperation:
    """A requirement of a step or check, with what people call that step (``steps.0.restart``)."""

    label: str
    needs: Requirement


@dataclass(frozen=True)
class BootstrapRequest:
    """Everything that the nine steps need. ``deadline`` is a time of the context's clock."""

    spec: ScenarioSpec
    seed: int
    kinds: Mapping[str, NodeKind]
    context: PluginContext
    deployer: Deployer | None = None
    deployer_capabilities: frozenset[Capability] = frozenset()
    attach: AttachProvider | None = None
    planned: tuple[PlannedOperation, ...] = ()
    deadline: float = 0.0

    def kind(self, name: str | None) -> NodeKind:
        """The kind of that name, or the scenario's default one."""
        return self.kinds[name or self.spec.kind]
