"""What plugins are given in a test: a context over fakes, and secrets that are known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nodeyard._aio.clock import Clock
from nodeyard.domain.run_identity import RunMark
from nodeyard.domain.secrets import Secret
from nodeyard.errors.validation import Problem, SpecInvalid
from nodeyard.ports.kind import NodeKind
from nodeyard.ports.ledger import Ledger
from nodeyard.ports.observer import Emit
from nodeyard.ports.plugins import PluginContext
from nodeyard.ports.transport import Transport
from nodeyard.testing.fake_transport import FakeTransport
from nodeyard.testing.recording import TEST_MARK, MemoryLedger, RecordingObserver
from nodeyard.testing.virtual_time import VirtualClock


class FakeSecrets:
    """Implements ``SecretSource``: references have the values given here, literals their own text."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = dict(values or {})

    def reveal(self, secret: Secret) -> str:
        if not secret.is_reference:
            return secret.expose_literal()
        if secret.reference not in self._values:
            raise SpecInvalid([Problem(message=f"secret {secret.reference} has no value")])
        return self._values[secret.reference]


def context(
    tmp: Path,
    *,
    mark: RunMark = TEST_MARK,
    ledger: Ledger | None = None,
    clock: Clock | None = None,
    emit: Emit | None = None,
    transport: Transport | None = None,
    secrets: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    kinds: Mapping[str, NodeKind] | None = None,
) -> PluginContext:
    """A ``PluginContext`` below ``tmp``: folders ``run``, ``base`` and ``cache`` are made, what is not given is fake.

    The first of ``kinds`` is the scenario's default kind.
    """
    folders = {name: tmp / name for name in ("run", "base", "cache")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    return PluginContext(
        mark=mark,
        folder=folders["run"],
        base=folders["base"],
        cache=folders["cache"],
        ledger=ledger if ledger is not None else MemoryLedger(mark),
        clock=clock if clock is not None else VirtualClock(),
        emit=emit if emit is not None else RecordingObserver().see,
        transport=transport if transport is not None else FakeTransport(),
        secrets=FakeSecrets(secrets),
        environment=dict(environment or {}),
        kind=next(iter(kinds or {}), ""),
        kinds=dict(kinds or {}),
    )


__all__ = ["FakeSecrets", "context"]
