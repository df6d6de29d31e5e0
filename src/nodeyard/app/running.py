"""The verbs ``run`` and ``up``: one session each, ended in order by signals."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nodeyard.app.session import RunResult, Session, SessionRequest
from nodeyard.app.signals import ended_by_signals
from nodeyard.domain.node_inventory import NodeInventory

Say = Callable[[str], None]


@dataclass(frozen=True)
class UpResult:
    """A network that stays. ``ttl`` seconds from now its reaper takes it down."""

    run: str
    folder: Path
    ttl: float
    inventory: NodeInventory


async def run_scenario(request: SessionRequest, *, say: Say) -> RunResult:
    """Run a scenario to its verdict. Raises ``RunFolderUnusable`` when it could not even begin."""
    session = Session(request)
    async with session.opened():
        with ended_by_signals(session, say):
            return await session.run()


async def bring_up(request: SessionRequest, *, ttl: float, say: Say) -> UpResult | RunResult:
    """Bootstrap and hand over to the reaper; a ``RunResult`` where that failed and everything was taken down again."""
    session = Session(request)
    async with session.opened():
        with ended_by_signals(session, say):
            failure = await session.supervise(_stay(session, ttl))
            if failure is not None or session.network is None:
                result = await session.finish(failure)
                session.pass_on_cancellation()
                return result
            return UpResult(session.run_id, session.folder.path, ttl, session.network.inventory)


async def _stay(session: Session, ttl: float) -> None:
    await session.start()
    # From here on a signal would find the network half handed over.
    await asyncio.shield(session.hand_over(ttl))
