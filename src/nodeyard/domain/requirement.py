"""What a step or a check will need of the network, known before the run, so that preflight can refuse it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from nodeyard.domain.capability import Capability
from nodeyard.domain.network_rules import Effect
from nodeyard.domain.selectors import Selector


@dataclass(frozen=True)
class Requirement:
    """Nodes that will be used, and what for.

    Every node that ``selector`` could mean must permit ``capability`` (``None``: nothing beyond standing there) and
    its kind must speak ``protocol``, a client protocol of ``domain.node_client``, or one of several (``None``: any).
    ``least`` is the smallest number of nodes that the use makes sense with. ``effects`` is what will be done to their
    network.
    """

    selector: Selector
    capability: Capability | None = None
    protocol: type | tuple[type, ...] | None = None
    least: int = 1
    effects: tuple[Effect, ...] = ()
