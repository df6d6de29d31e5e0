"""``exec``: a command beside a node of a run that still stands, whoever drives it."""

from __future__ import annotations

from collections.abc import Sequence

from nodeyard.app.config import Settings
from nodeyard.app.looking import standing_ledger
from nodeyard.app.registry import Registry, installed
from nodeyard.errors.validation import UsageError
from nodeyard.ledger import file as ledgers
from nodeyard.ledger.state import LedgerState
from nodeyard.ports.node_control import ExecResult
from nodeyard.ports.plugins import CanVisit, Visit


async def exec_in(settings: Settings, run: str, node: str, argv: Sequence[str], *, timeout: float) -> ExecResult:
    """Run a command beside a node, for at most ``timeout`` seconds. Raises ``UsageError``, ``OperationFailed``."""
    state = ledgers.read(standing_ledger(settings, run))
    plugin = _plugin_of(node, state, installed())
    return await plugin.visit(node, Visit(state.header.mark, state.entries)).exec(argv, timeout=timeout)


def _plugin_of(node: str, state: LedgerState, registry: Registry) -> CanVisit:
    """The deployer that made a node, by the ledger."""
    made = [entry for entry in state.entries if entry.node == node and entry.by.startswith("deployer:")]
    names = sorted({entry.node for entry in state.entries if entry.node is not None})
    if not made:
        raise UsageError(
            f"the run '{state.header.mark.run}' has no node '{node}' of its own that runs",
            evidence=[f"its nodes: {', '.join(names) or 'none'}"],
            hint="commands run beside nodes that Nodeyard started",
        )
    plugin = registry.deployers[made[0].by.partition(":")[2]]
    if not isinstance(plugin, CanVisit):
        raise UsageError(f"the deployer of '{node}' runs no commands from another process", node=node)
    return plugin
