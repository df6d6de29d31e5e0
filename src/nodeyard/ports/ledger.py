"""The ledger as the core sees it: what a run owns and what it must undo, written before the act."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from nodeyard._aio.clock import Clock
from nodeyard.domain.run_identity import RunMark
from nodeyard.domain.secrets import SecretSource
from nodeyard.errors.base import NodeyardError

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]


@dataclass(frozen=True)
class LedgerEntry:
    """One resource, or one inverse of a change.

    ``by`` names the plugin that can remove it, as ``GROUP:NAME`` (``deployer:local``, ``kind:etcd``). ``type`` is that
    plugin's own word. ``data`` is all that removal needs; it holds references to secrets, never their values.
    """

    id: str
    by: str
    type: str
    node: str | None
    data: Mapping[str, Json] = field(default_factory=dict)
    inverse: bool = False


class Ledger(Protocol):
    """The append-only record of one run. Nothing is created and nothing borrowed is changed without an entry."""

    @property
    def mark(self) -> RunMark: ...

    async def record(
        self, by: str, type: str, *, node: str | None, data: Mapping[str, Json], inverse: bool = False
    ) -> LedgerEntry:
        """Write an entry and return once it is on disk and a reaper watches; only then may the act follow.

        Raises ``ReaperUnavailable`` or ``RunFolderUnusable``; then the act must not happen.
        """

    def amend(self, entry: LedgerEntry, data: Mapping[str, Json]) -> LedgerEntry:
        """Add what was learned after the act (a pid and its start time). Idempotent."""

    def settle(self, entry: LedgerEntry) -> None:
        """The resource is gone, or the change undone; nothing remains to do. Idempotent."""

    def open_entries(self) -> tuple[LedgerEntry, ...]:
        """What remains, oldest first, with amendments applied."""


@runtime_checkable
class TakesNothing(Protocol):
    """The ledger of a look that makes nothing: it refuses every entry, and no reaper watches."""

    takes_nothing: Literal[True]


@dataclass(frozen=True)
class RemovalContext:
    """What a remover may use: it runs in the session, in the reaper and in ``gc`` alike."""

    mark: RunMark
    clock: Clock
    secrets: SecretSource
    deadline: float


@dataclass(frozen=True)
class Removed:
    """An entry is dealt with; ``absent`` when there was nothing (any more)."""

    absent: bool
    detail: str = ""


class Remover(Protocol):
    """Carries out entries of one plugin."""

    async def remove(
        self, entries: Sequence[LedgerEntry], context: RemovalContext
    ) -> Mapping[str, Removed | NodeyardError]:
        """Remove these resources or undo these changes, side by side; the outcome of each, by entry id.

        Acts only on what carries ``context.mark`` itself. Idempotent: an absent resource is a success. An error as an
        outcome means that the entry stays open. Raises nothing but cancellation.
        """


def removal_order(entries: Sequence[LedgerEntry]) -> tuple[LedgerEntry, ...]:
    """Inverses first, because undoing may need our nodes alive (a member leaves before it dies); each newest first."""
    newest = tuple(reversed(entries))
    return tuple(e for e in newest if e.inverse) + tuple(e for e in newest if not e.inverse)
