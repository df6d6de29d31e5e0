"""A node's client of which every call is authorised at the moment of the call.

A client may be held for long (by a workload), and a grant may be revoked meanwhile; so the question is asked at each
call and not when the client is handed out. Who decides is ``runtime.node_ops``; here is only the wrapping.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nodeyard.domain.capability import Capability

READS = frozenset(
    {
        "probe",
        "identify",
        "get",
        "height",
        "role",
        "digest",
        "block",
        "transactions",
        "included",
        "peers",
        "peer_count",
        "metrics",
    },
)
"""The methods of ``domain.node_client`` that change nothing. Every other method needs ``submit``, the stronger."""


def capability_of(method: str) -> Capability:
    """What calling a client's method takes."""
    return Capability.QUERY if method in READS else Capability.SUBMIT


class GuardedClient:
    """Stands for ``target``; ``permit`` raises ``OperationDenied`` before a call that is not allowed now."""

    def __init__(self, target: object, permit: Callable[[Capability], object]) -> None:
        self._target = target
        self._permit = permit

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self._permit(capability_of(name))
            return found(*args, **kwargs)

        return call
