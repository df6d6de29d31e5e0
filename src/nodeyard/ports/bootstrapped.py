"""What bootstrap hands to the runtime: the inventory, and for each node its client and its controls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nodeyard.domain.launch_plan import NodePlan
from nodeyard.domain.node_client import NodeClient
from nodeyard.domain.node_handle import Origin
from nodeyard.domain.node_inventory import NodeInventory
from nodeyard.ports.kind import EndpointOf, NodeKind, RenderRequest
from nodeyard.ports.node_control import NoControl, NodeControl

ControlKey = tuple[str, str]
"""Origin class and source name."""


@dataclass(frozen=True)
class Binding:
    """The live side of one node. ``controls`` are by origin class and source, because each origin grants its own.

    ``render`` is how a managed node was launched, so that a patch can render it anew.
    """

    client: NodeClient
    endpoint: EndpointOf
    kind: NodeKind
    controls: Mapping[ControlKey, NodeControl] = field(default_factory=dict)
    plan: NodePlan | None = None
    render: RenderRequest | None = None

    def control_of(self, origin: Origin) -> NodeControl:
        """The control of one origin; ``NoControl`` where that origin has none."""
        return self.controls.get((origin.origin.value, origin.source), NoControl())

    @property
    def managed_control(self) -> NodeControl | None:
        return next((c for (cls, _), c in self.controls.items() if cls == "managed"), None)


@dataclass(frozen=True)
class Bootstrapped:
    """The network as it stands at hand-off."""

    inventory: NodeInventory
    bindings: Mapping[str, Binding]
    notes: tuple[str, ...] = ()
