"""``exec`` and ``logs``: beside a node of a run that still stands, whoever drives it."""

from __future__ import annotations

from collections.abc import Sequence

from nodeyard.app.config import Settings
from nodeyard.app.looking import locate, node_logs, standing_ledger
from nodeyard.app.registry import Registry, installed
from nodeyard.errors.provider import ProviderError
from nodeyard.errors.validation import UsageError
from nodeyard.ledger import file as ledgers
from nodeyard.ledger.state import LedgerState
from nodeyard.ports.node_control import ExecResult, HasLogs
from nodeyard.ports.plugins import CanVisit, Visit


async def exec_in(settings: Settings, run: str, node: str, argv: Sequence[str], *, timeout: float) -> ExecResult:
    """Run a command beside a node, for at most ``timeout`` seconds. Raises ``UsageError``, ``OperationFailed``."""
    state = ledgers.read(standing_ledger(settings, run))
    plugin = _plugin_of(node, state, installed())
    return await plugin.visit(node, Visit(state.header.mark, state.entries)).exec(argv, timeout=timeout)


async def logs_of(settings: Settings, run: str, node: str, *, tail: int | None) -> tuple[str, ...]:
    """The last lines of a node's output, or all of it: from the run's folder, or from its backend while it stands.

    Raises ``UsageError`` where there is none.
    """
    try:
        return node_logs(settings, run, node, tail=tail)
    except UsageError as error:
        source = _source_of_logs(settings, run, node)
        if source is None:
            raise
        try:
            return tuple(await source.logs(tail=tail))
        except ProviderError as failure:
            raise failure from error


def _source_of_logs(settings: Settings, run: str, node: str) -> HasLogs | None:
    """What reads the output of a node of a run that still stands; ``None`` where its files are all there is."""
    try:
        state = ledgers.read(standing_ledger(settings, locate(settings, run).run))
        visitor = _plugin_of(node, state, installed()).visit(node, Visit(state.header.mark, state.entries))
    except UsageError:
        return None
    return visitor if isinstance(visitor, HasLogs) else None


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
