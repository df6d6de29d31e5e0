"""Deployers: they create and control owned nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from nodeyard.domain.identity import HostPort
from nodeyard.domain.launch_plan import Endpoint, LaunchPlan, NodePlan, Place
from nodeyard.ports.kind import ProgramSpec
from nodeyard.ports.node_control import NodeControl


@dataclass(frozen=True)
class DeploymentPlan:
    """What a deployer would make, as values. ``places`` answer with ``at-run`` where only the run can know.

    ``resources`` lists, for people, everything that would be created; ``programs`` what each node would run.
    """

    nodes: tuple[NodePlan, ...]
    places: Mapping[str, Place]
    programs: Mapping[str, str]
    resources: tuple[str, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)


class Deployer(Protocol):
    """Creates the managed nodes of one run. One instance per run.

    The order of calls is ``resolve``, ``plan``, ``provision``, ``start``, then controls and endpoints, then
    ``destroy``. ``destroy`` is permitted at any time.
    """

    @property
    def source(self) -> str:
        """The name of this source in origins, for example ``local``."""

    async def resolve(self, nodes: Sequence[NodePlan], programs: Mapping[str, ProgramSpec]) -> Sequence[str]:
        """Find what the nodes need to run (programs by kind) and return every problem found. Creates nothing."""

    def plan(self, nodes: Sequence[NodePlan]) -> DeploymentPlan:
        """Pure: what would be made for these nodes. Call ``resolve`` before."""

    async def provision(self, plan: DeploymentPlan) -> Mapping[str, Place]:
        """Reserve names, folders and addresses; nothing runs yet. Each one is in the ledger first.

        Raises ``ProvisioningFailed``; what was reserved by then is in the ledger.
        """

    async def start(self, launches: Sequence[LaunchPlan]) -> None:
        """Write files and start these nodes side by side. Raises ``ProvisioningFailed`` naming the node."""

    def prepare(self, launch: LaunchPlan) -> None:
        """Remember the launch plan of an on-demand node, so that its control can start it later."""

    def control(self, node: str) -> NodeControl:
        """The control of a provisioned node; the same object each time."""

    def endpoint(self, node: str, port: str) -> Endpoint:
        """A port as the tester reaches it now. Raises ``NodeUnreachable`` while it has none."""

    def log_files(self, node: str) -> Sequence[Path]:
        """Files that hold the node's output so far; empty where the backend keeps it elsewhere."""

    async def destroy(self) -> Sequence[str]:
        """Remove everything that the ledger says this deployer made; returns what could not be removed and why.

        Idempotent, and safe after partial provisioning.
        """


@runtime_checkable
class SeesHost(Protocol):
    """A deployer whose nodes reach this machine by other addresses than the tester does."""

    def from_inside(self, address: HostPort) -> HostPort:
        """How its nodes reach an address that the tester uses; the same where there is no difference. Pure."""


@runtime_checkable
class KnowsVersions(Protocol):
    """A deployer that has asked the programs of its nodes for their versions."""

    def version_answer(self, node: str) -> str:
        """What the program of a provisioned node answered to ``ProgramSpec.version_args``; empty if it is not known."""


@runtime_checkable
class HasManifests(Protocol):
    """A deployer whose backend takes descriptions of what it is to make."""

    def manifests(self, launches: Sequence[LaunchPlan]) -> str:
        """Everything that starting these nodes would hand to the backend, as a text that its own tools take.

        What they make of it belongs to no run, so that no cleanup may touch it. Pure, after ``plan``. The files of the
        launches stand there as they are; values of secrets that the spec refers to stand as ``***``.
        """


@runtime_checkable
class CanHandOver(Protocol):
    """A deployer that must know when its runner leaves a network standing."""

    async def hand_over(self, ttl: float) -> None:
        """The runner goes away on purpose, and the network is to stand for ``ttl`` seconds."""
