"""How one node is launched, as a value that every backend can carry out. Pure.

A kind renders a ``LaunchPlan`` from a ``NodePlan`` and the ``Place`` that a deployer gives it. A kind never assembles
a host and a port: it asks the place, so that one kind runs as process, container and pod.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from nodeyard.domain.sources import Auth, Resources, Scalar, Tls

AT_RUN = "at-run"
"""Stands for what only the run can know (a port, a pid) in everything that ``plan`` shows."""


class Scheme(StrEnum):
    """What is spoken on a port."""

    HTTP = "http"
    TCP = "tcp"


@dataclass(frozen=True)
class PortSpec:
    """A port of a kind: its name, the number inside a container, and what is spoken on it."""

    name: str
    number: int
    scheme: Scheme = Scheme.HTTP


@dataclass(frozen=True)
class Endpoint:
    """A port as the tester reaches it, at this moment: asked for at each use, because it may move."""

    url: str
    auth: Auth | None = None
    tls: Tls | None = None


@dataclass(frozen=True)
class NodePlan:
    """One managed node before it has a place. ``config`` is the group's with the node's patches applied."""

    name: str
    kind: str
    index: int
    group: int
    role: str | None = None
    config: Mapping[str, Scalar] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    binary: str | None = None
    image: str | None = None
    resources: Resources | None = None
    on_demand: bool = False
    ports: tuple[PortSpec, ...] = ()


class Place(Protocol):
    """Where a deployer puts a node, as the node itself and its peers see it."""

    @property
    def data_dir(self) -> str:
        """The data folder, as a path that the node's process sees."""

    @property
    def config_dir(self) -> str:
        """The folder of rendered files, as a path that the node's process sees."""

    def listen(self, port: str) -> str:
        """``host:port`` to bind. Raises ``KeyError`` for a port that the node does not have."""

    def advertise(self, port: str) -> str:
        """``host:port`` at which other nodes reach this one."""


@dataclass(frozen=True)
class FileToWrite:
    """A file below the config folder (an ``initial`` one: below the data folder).

    ``secret`` files get mode 0600 and are never kept as evidence.
    """

    path: str
    content: bytes = field(repr=False)
    secret: bool = False


@dataclass(frozen=True)
class StopPolicy:
    """How a node is asked to end, and how long it may take before it is forced (seconds)."""

    signal: int = 15
    grace: float = 10.0


@dataclass(frozen=True)
class LaunchPlan:
    """Everything that starting a node takes. ``program`` is what a deployer resolves to a binary or an image.

    ``initial`` files belong below the data folder and not the config folder: each is written before a start only if it
    is not there, because from then on it is the node's own (a validator's record of what it signed, for example).
    """

    node: str
    program: str
    args: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: tuple[FileToWrite, ...] = ()
    stop: StopPolicy = StopPolicy()
    initial: tuple[FileToWrite, ...] = ()

    @property
    def argv(self) -> tuple[str, ...]:
        return (self.program, *self.args)


@dataclass(frozen=True)
class Seed:
    """One node that a managed node is told of at its start, and how other nodes reach it."""

    node: str
    peer_id: str | None
    addresses: Mapping[str, str]


@dataclass(frozen=True)
class NetworkMaterial:
    """What all managed nodes of one kind share: an id or token, a genesis, keys. Text values, never secrets."""

    id: str
    facts: Mapping[str, str] = field(default_factory=dict)
    per_node: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
