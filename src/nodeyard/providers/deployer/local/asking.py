"""Asking programs for their version before there is any node: with an entry, so that one that hangs is found."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from nodeyard.domain.run_identity import MARK_VARIABLE
from nodeyard.ports.ledger import TakesNothing
from nodeyard.ports.plugins import PluginContext
from nodeyard.providers._clients.program_versions import Versions
from nodeyard.providers.deployer.local.environment import inherited
from nodeyard.providers.deployer.local.resources import BY, COMMAND


def versions_of(context: PluginContext) -> Versions:
    """Versions of programs, asked for by this run."""
    environment = {**inherited(context.environment), MARK_VARIABLE: context.mark.text}
    return Versions(context.cache, environment, partial(_announced, context))


@asynccontextmanager
async def _announced(context: PluginContext) -> AsyncIterator[None]:
    if isinstance(context.ledger, TakesNothing):
        yield
        return
    entry = await context.ledger.record(BY, COMMAND, node=None, data={})
    yield
    # Not settled when it was cut short: a child of it may live on.
    context.ledger.settle(entry)
