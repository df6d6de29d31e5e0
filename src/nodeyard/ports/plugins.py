"""What a plugin package registers through an entry point, and what it is given.

Groups: ``nodeyard.kinds`` (a ``NodeKind``), ``nodeyard.deployers`` (a ``DeployerPlugin``), ``nodeyard.attach`` (an
``AttachPlugin``), ``nodeyard.operations`` and ``nodeyard.expectations`` (classes of ``runtime.steps``). The name of the
entry point is the word in a scenario; it refers to the class, which is made without arguments.

Kinds that are described by a file: ``nodeyard.kind_formats`` (a ``KindFormat``; the name is the suffix of its files),
and ``nodeyard.kind_files``, where the entry point refers to the package that has the file ``NAME.SUFFIX``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

from pydantic import BaseModel

from nodeyard._aio.clock import Clock
from nodeyard.domain.capability import Capability
from nodeyard.domain.document import Document
from nodeyard.domain.run_identity import RunMark
from nodeyard.domain.secrets import SecretSource
from nodeyard.domain.sources import AttachOptions, DeployerOptions
from nodeyard.errors.base import NodeyardError
from nodeyard.ports.attach import AttachProvider
from nodeyard.ports.deployer import Deployer
from nodeyard.ports.kind import NodeKind
from nodeyard.ports.ledger import Ledger, LedgerEntry, Remover
from nodeyard.ports.node_control import CanExec
from nodeyard.ports.observer import Emit
from nodeyard.ports.transport import Transport


def _nobody(_: NodeyardError) -> None:
    """Where no run is, none can be ended."""


@dataclass(frozen=True)
class PluginContext:
    """What a plugin may use during one run.

    ``folder`` is the run's folder; ``base`` the folder of the scenario file, which relative paths start from;
    ``cache`` a folder of the user that outlives runs; ``environment`` the settings that adapters may read.
    ``scenario`` is the scenario's name, ``kind`` its default kind, ``kinds`` all installed ones by name: a provider
    that is told an address and no port name asks them for the API port. ``give_up`` ends the run with an error that no
    single node is to blame for (an engine that went away); evidence and cleanup follow.
    """

    mark: RunMark
    folder: Path
    base: Path
    cache: Path
    ledger: Ledger
    clock: Clock
    emit: Emit
    transport: Transport
    secrets: SecretSource
    environment: Mapping[str, str]
    kind: str = ""
    kinds: Mapping[str, NodeKind] = field(default_factory=dict)
    scenario: str = ""
    give_up: Callable[[NodeyardError], None] = _nobody


class KindFormat(Protocol):
    """A format of files that describe a kind each. ``model`` is one file as a model, with a ``name`` of the kind."""

    summary: ClassVar[str]
    model: ClassVar[type[BaseModel]]

    def kind(self, written: BaseModel, document: Document) -> NodeKind:
        """The kind that a file describes. Raises ``SpecInvalid`` with all that the model alone cannot see."""


class DeployerPlugin(Protocol):
    """A deployer that scenarios can name."""

    name: ClassVar[str]
    summary: ClassVar[str]
    options: ClassVar[type[DeployerOptions]]
    capabilities: ClassVar[frozenset[Capability]]

    def create(self, options: DeployerOptions, context: PluginContext) -> Deployer:
        """A deployer for one run. Does nothing yet."""

    def remover(self) -> Remover:
        """Carries out the ledger entries of this deployer, also without a run (in the reaper and in ``gc``)."""


@dataclass(frozen=True)
class Visit:
    """A run that another process made and that still stands, seen from outside: its mark, and what it owns."""

    mark: RunMark
    entries: Sequence[LedgerEntry]


@runtime_checkable
class CanVisit(Protocol):
    """A deployer plugin whose running nodes can be worked beside from another process than their runner."""

    def visit(self, node: str, visit: Visit) -> CanExec:
        """A way to run commands beside a node. Does nothing yet."""


@dataclass(frozen=True)
class Collection:
    """How a backend is to be searched for what runs left whose machine is gone. ``older_than``: seconds that a run must
    have gone without a sign, beyond its own time; ``within``: seconds for all of it.
    """

    environment: Mapping[str, str]
    clock: Clock
    dry_run: bool = False
    older_than: float = 0.0
    within: float = 60.0


@dataclass(frozen=True)
class Leftover:
    """What one run left in a backend. ``live``: it gave a sign of life in time, and was not touched."""

    run: str
    place: str
    live: bool = False
    resources: tuple[str, ...] = ()
    error: NodeyardError | None = None


@runtime_checkable
class CanCollect(Protocol):
    """A deployer plugin whose resources tell by themselves whose they are, and whether their runner lives."""

    async def collect(self, context: str, collection: Collection) -> Sequence[Leftover]:
        """Find every run in the backend that ``context`` names, and remove all of those that are dead.

        Raises a ``ProviderError`` when it cannot be searched.
        """


@runtime_checkable
class CanCheck(Protocol):
    """A deployer or attach provider with something to check that takes the world: an engine, a cluster, permissions."""

    async def check(self) -> None:
        """Ask before anything is made whether it can be; makes and changes nothing. Raises a ``ProviderError``."""


@runtime_checkable
class CanClose(Protocol):
    """A deployer or attach provider that holds connections, watches or listeners while its run lasts."""

    async def close(self) -> None:
        """Let go of them; what was made stands. Called at the end of whatever used it. Idempotent."""


async def close_all(sources: Iterable[object]) -> None:
    """Close those that can be closed."""
    for source in sources:
        if isinstance(source, CanClose):
            await source.close()


class AttachPlugin(Protocol):
    """An attach provider that scenarios can name."""

    name: ClassVar[str]
    summary: ClassVar[str]
    options: ClassVar[type[AttachOptions]]
    capabilities: ClassVar[frozenset[Capability]]

    def create(self, options: AttachOptions, context: PluginContext) -> AttachProvider:
        """A provider for one run. Does nothing yet."""

    def remover(self) -> Remover:
        """Carries out the inverses that controls of this provider recorded."""
