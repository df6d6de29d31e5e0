"""What the runtime asks of the bootstrap again and again: are these nodes ready, and who are they now?"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from nodeyard.domain.node_inventory import NodeInventory
from nodeyard.domain.policy import ReadinessSpec


class ReadinessGate(Protocol):
    """The readiness barrier, and the identification that follows it."""

    async def wait(self, nodes: Collection[str] | None, spec: ReadinessSpec, *, deadline: float) -> None:
        """Wait until these nodes (all known ones: ``None``) meet the policy. ``deadline`` is a time of the clock.

        Raises ``NotReady`` naming every laggard, its rung, last answer and last log lines.
        """

    async def identify_again(self, nodes: Collection[str], *, reason: str) -> NodeInventory:
        """Ask these nodes who they are and return the new inventory; changes are told as events.

        Raises ``IdentityConflict`` or ``Incompatible`` when what they say now does not fit.
        """
