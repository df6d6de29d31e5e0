"""What may be done to a node, to whom it belongs, and the one rule that decides.

Pure. Everything that acts on a node asks ``authorize``; nothing else decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nodeyard.domain.node_handle import NodeHandle, Origin


class Capability(StrEnum):
    """One thing that may be done to a node."""

    QUERY = "query"
    SUBMIT = "submit"
    START = "start"
    STOP = "stop"
    RESTART = "restart"
    KILL = "kill"
    PAUSE = "pause"
    PATCH = "patch"
    WIPE = "wipe"
    LOGS = "logs"
    EXEC = "exec"
    NETWORK = "network"
    JOIN = "join"


class Ownership(StrEnum):
    """Owned: Nodeyard made it and may do all it supports. Borrowed: only what was granted."""

    OWNED = "owned"
    BORROWED = "borrowed"


class OnConflict(StrEnum):
    """Which origins decide when a node is both owned and borrowed."""

    FAIL = "fail"
    PREFER_BORROWED = "prefer-borrowed"
    PREFER_OWNED = "prefer-owned"


ALL_CAPABILITIES = frozenset(Capability)
ALWAYS_GRANTED = frozenset({Capability.QUERY, Capability.SUBMIT})
"""What a borrowed node permits without being asked."""


@dataclass(frozen=True)
class Decision:
    """The answer of ``authorize``: by which origin it is allowed, or why it is not and what would allow it."""

    allowed: bool
    capability: Capability
    node: str
    origin: Origin | None = None
    reason: str = ""
    hint: str = ""


def deciding_origins(handle: NodeHandle) -> tuple[Origin, ...]:
    """The origins whose support and grants count for a node, after an override of an ownership conflict."""
    if handle.preference is OnConflict.PREFER_BORROWED:
        chosen = tuple(o for o in handle.origins if o.ownership is Ownership.BORROWED)
    elif handle.preference is OnConflict.PREFER_OWNED:
        chosen = tuple(o for o in handle.origins if o.ownership is Ownership.OWNED)
    else:
        chosen = handle.origins
    return chosen or handle.origins


def authorize(handle: NodeHandle, capability: Capability) -> Decision:
    """May ``capability`` be exercised on ``handle``? Only if one single origin both supports and grants it."""
    origins = deciding_origins(handle)
    for origin in origins:
        if capability in origin.supported and capability in origin.granted:
            return Decision(True, capability, handle.id, origin)
    supporting = [o for o in origins if capability in o.supported]
    if not supporting:
        named = ", ".join(f"{o.origin} source '{o.source}'" for o in origins)
        return Decision(
            False,
            capability,
            handle.id,
            reason=f"'{capability}' is not supported on {handle.id} by its {named}",
            hint=f"choose a node whose inventory row lists '{capability}'",
        )
    source = supporting[0].source
    return Decision(
        False,
        capability,
        handle.id,
        reason=f"'{capability}' is not granted on {handle.ownership} node {handle.id} (source '{source}')",
        hint=f"add 'allow: [{capability}]' to source '{source}' if its owner agrees",
    )
