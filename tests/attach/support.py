"""What the tests of attach providers share: a run's context in which nothing may be written or asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from nodeyard._aio.clock import SystemClock
from nodeyard.domain.launch_plan import PortSpec, Scheme
from nodeyard.domain.run_identity import RunMark
from nodeyard.ports.plugins import PluginContext


class Untouchable:
    """Stands for everything that a static provider has no business with: any use fails the test."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"'{name}' was used")


class EmptyLedger(Untouchable):
    def open_entries(self) -> tuple[()]:
        return ()


class KvKind:
    """As much of a node kind as attach providers look at."""

    name: ClassVar[str] = "kv"
    api_port: ClassVar[str] = "client"
    ports: ClassVar[tuple[PortSpec, ...]] = (PortSpec("client", 2379), PortSpec("peer", 2380, Scheme.TCP))


class ChainKind:
    name: ClassVar[str] = "chain"
    api_port: ClassVar[str] = "rpc"
    ports: ClassVar[tuple[PortSpec, ...]] = (PortSpec("rpc", 26657), PortSpec("p2p", 26656, Scheme.TCP))


def context(base: Path, *, kind: str = "kv", known: bool = True) -> PluginContext:
    """A context for files below ``base``; ``known`` says whether the kinds are told to the provider."""
    nothing: Any = Untouchable()
    ledger: Any = EmptyLedger()
    kinds: Any = {"kv": KvKind(), "chain": ChainKind()} if known else {}
    return PluginContext(
        mark=RunMark("run", "host", "boot"),
        folder=base / "run",
        base=base,
        cache=base / "cache",
        ledger=ledger,
        clock=SystemClock(),
        emit=nothing,
        transport=nothing,
        secrets=nothing,
        environment={},
        kind=kind,
        kinds=kinds,
    )
