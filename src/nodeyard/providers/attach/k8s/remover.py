"""Undoing what attach did to pods: nothing, because a pod that was deleted comes back by its own controller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nodeyard.errors.base import NodeyardError
from nodeyard.ports.ledger import LedgerEntry, RemovalContext, Removed


class NothingToUndo:
    """The remover of a provider that records nothing, so that any entry is already dealt with."""

    async def remove(
        self, entries: Sequence[LedgerEntry], context: RemovalContext
    ) -> Mapping[str, Removed | NodeyardError]:
        return {entry.id: Removed(absent=True, detail="k8s attach leaves nothing") for entry in entries}
