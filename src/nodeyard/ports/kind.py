"""Node kinds: what Nodeyard knows of one node software."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable

from nodeyard._aio.clock import Clock
from nodeyard.domain.identity import HostPort, NetworkFacts
from nodeyard.domain.launch_plan import Endpoint, LaunchPlan, NetworkMaterial, NodePlan, Place, PortSpec, Seed
from nodeyard.domain.node_client import NodeClient
from nodeyard.domain.policy import NetworkPins
from nodeyard.domain.run_identity import RunMark
from nodeyard.domain.sources import Scalar
from nodeyard.ports.ledger import Ledger, Remover
from nodeyard.ports.node_control import CanExec, HasLogs
from nodeyard.ports.transport import Transport

Inside = Callable[[HostPort], HostPort]
"""How managed nodes reach an address that the tester uses: a container has a loopback of its own."""


def same_inside(address: HostPort) -> HostPort:
    """Managed nodes share the tester's network."""
    return address


EndpointOf = Callable[[str], Endpoint]
"""Gives the endpoint of a port by name, at this moment."""


class Matters(StrEnum):
    """What a difference between two nodes in one network fact means."""

    FATAL = "fatal"
    WARNING = "warning"
    IGNORED = "ignored"


@dataclass(frozen=True)
class GoModule:
    """A program that ``go install PATH@VERSION`` builds; ``version`` is exact, so that it means the same each time."""

    path: str
    version: str


@dataclass(frozen=True)
class Download:
    """A program behind a URL. ``member`` is its path inside a ``.tar.gz``, ``.tgz`` or ``.zip``; empty where the file
    is the program. ``system`` is the machine that it is for, as in ``linux-x86_64``; empty: any.
    """

    url: str
    sha256: str
    member: str = ""
    system: str = ""


@dataclass(frozen=True)
class ProgramSpec:
    """Where a kind's program may come from, in this order: a path in the spec, ``variable`` in the environment, the
    file ``package_file`` of the installed Python package ``package``, ``program`` on the PATH, then what can be had:
    the one of ``downloads`` that is for this machine, or ``module``. What was had once is kept in the user's cache.

    ``version_args`` print a version that ``version_pattern`` (one group) finds; older than ``minimum`` is refused.

    In a container or pod the command is ``program`` and the rendered arguments, found by the image's own PATH. The
    image is the spec's, else that of ``image_variable`` in the environment, else the kind's own ``image``, else what a
    deployer makes of the binary.
    """

    program: str
    variable: str
    package: str | None = None
    package_file: str | None = None
    install_hint: str = ""
    version_args: tuple[str, ...] = ()
    version_pattern: str = r"(\d+\.\d+\.\d+)"
    minimum: tuple[int, ...] = ()
    image: str | None = None
    downloads: tuple[Download, ...] = ()
    module: GoModule | None = None

    @property
    def image_variable(self) -> str:
        """The environment variable that names an image with this program, as in ``NODEYARD_ETCD_IMAGE``."""
        return f"{self.variable}_IMAGE"


@dataclass(frozen=True)
class JoinTicket:
    """What a node must be told to start as a member of a network that runs already."""

    facts: Mapping[str, str]
    through: str
    member: str


@dataclass(frozen=True)
class RenderRequest:
    """All that rendering one node may depend on. ``peers`` are all managed nodes of the kind, this one included,
    that belong to the network from its start; on-demand nodes are members from the start too.
    """

    node: NodePlan
    place: Place
    peers: Sequence[tuple[NodePlan, Place]]
    seeds: Sequence[Seed]
    material: NetworkMaterial
    ticket: JoinTicket | None = None


@dataclass(frozen=True)
class JoinRequest:
    """A managed node that is to join a borrowed network through nodes that allow it."""

    node: NodePlan
    place: Place
    through: Sequence[JoinPoint]
    transport: Transport
    ledger: Ledger
    clock: Clock
    deadline: float
    inside: Inside = same_inside


@dataclass(frozen=True)
class JoinPoint:
    """A borrowed node of the network that a managed one is to enter."""

    node: str
    endpoint: EndpointOf = field(repr=False)


@dataclass(frozen=True)
class AdoptRequest:
    """Managed nodes that are to enter a borrowed network; ``through`` are its nodes that answered, at least one.

    ``own`` is what ``CanAdopt.own_material`` made for these nodes.
    """

    nodes: Sequence[NodePlan]
    own: NetworkMaterial
    through: Sequence[JoinPoint]
    transport: Transport
    clock: Clock
    deadline: float
    inside: Inside = same_inside


@dataclass(frozen=True)
class ReadmitRequest:
    """A member that does not run and whose data is lost. ``through`` are clients of others of its network that run,
    made by its kind, by node.
    """

    render: RenderRequest
    through: Mapping[str, NodeClient]
    clock: Clock
    deadline: float


@dataclass(frozen=True)
class Adoption:
    """A borrowed network as managed nodes enter it. ``genesis`` is its hash; ``through`` are the nodes that told it."""

    material: NetworkMaterial
    genesis: str | None
    through: tuple[str, ...]


class NodeKind(Protocol):
    """Knowledge of one node software. Holds no state of a run; all methods but the client's are pure.

    What stands here as a property may be a plain attribute: of the class, or of an object that a file describes.
    """

    @property
    def name(self) -> str:
        """As a scenario names it."""

    @property
    def summary(self) -> str:
        """One line for people."""

    @property
    def ports(self) -> tuple[PortSpec, ...]:
        """At least one."""

    @property
    def api_port(self) -> str:
        """The name of the port that its clients ask."""

    @property
    def program(self) -> ProgramSpec | None:
        """``None`` for a kind whose nodes are never started, only attached or listed."""

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that a group of nodes may have; none where nodes are alike."""

    @property
    def protocols(self) -> tuple[type, ...]:
        """The client protocols of ``domain.node_client`` that its clients implement."""

    @property
    def matters(self) -> Mapping[str, Matters]:
        """What a difference means, by the fields of ``NetworkFacts``."""

    def config_problems(self, config: Mapping[str, Scalar]) -> Sequence[tuple[str, str]]:
        """Each wrong key of a node's config with what is wrong about it."""

    def material(self, nodes: Sequence[NodePlan], *, mark: RunMark, seed: int, pins: NetworkPins) -> NetworkMaterial:
        """The network material of a new network."""

    def render(self, request: RenderRequest) -> LaunchPlan:
        """How to launch one node."""

    def client(self, endpoint: EndpointOf, transport: Transport) -> NodeClient:
        """A client of one node; it may implement any of the client protocols listed in ``protocols``."""


def speaks(kind: NodeKind, protocol: type) -> bool:
    """Whether a kind's clients implement a client protocol, or one that includes it."""
    return any(issubclass(spoken, protocol) for spoken in kind.protocols)


@dataclass(frozen=True)
class Beside:
    """What may be used beside a node: only what its source supports and grants; ``None`` where it does not."""

    commands: CanExec | None = None
    log: HasLogs | None = None


@runtime_checkable
class LooksBeside(Protocol):
    """A kind whose clients also look beside the node, by commands or at its log."""

    def client_beside(self, endpoint: EndpointOf, transport: Transport, beside: Beside) -> NodeClient:
        """As ``NodeKind.client``, with what may be used beside the node."""


@runtime_checkable
class CanJoin(Protocol):
    """A kind whose members enter a running network by a change on the borrowed side (capability ``join``)."""

    def join_problem(self, *, borrowed: int, joining: int) -> str:
        """Why this many nodes must not join this many borrowed ones, or an empty text. Pure."""

    async def join(self, request: JoinRequest) -> JoinTicket:
        """Register the node with the borrowed network; the inverse is in the ledger before. Then it may start."""

    async def admit(self, request: JoinRequest, ticket: JoinTicket) -> None:
        """After its start: wait until the node may become a full member, and make it one."""

    def remover(self, transport: Transport) -> Remover:
        """Carries out the inverses that ``join`` recorded."""


@runtime_checkable
class TellsEntering(Protocol):
    """A kind of which only its description tells whether entering a running network changes that network."""

    def enters_by_grant(self) -> bool:
        """Whether nodes that are told of a running network's nodes take their grant ``join`` for it. Pure."""


@runtime_checkable
class CanAdopt(Protocol):
    """A kind whose nodes enter a running network by knowing enough of it, without any change on the borrowed side."""

    def own_material(self, nodes: Sequence[NodePlan], *, mark: RunMark, seed: int) -> NetworkMaterial:
        """What these nodes bring along, before the network was asked; its id is not known yet. Pure."""

    async def adopt(self, request: AdoptRequest) -> Adoption:
        """The material of the borrowed network, read from its nodes and compared between them, with ``own`` in it.

        Only reads. Raises ``Incompatible`` when two nodes tell different things, and the errors of unreachable nodes.
        """


@runtime_checkable
class ChecksMembers(Protocol):
    """A kind that cannot make a network of just any nodes."""

    def member_problems(self, nodes: Sequence[NodePlan], *, borrowed: int) -> Sequence[str]:
        """Why these managed nodes cannot make a network, or enter that of so many borrowed nodes. Pure."""


@runtime_checkable
class KnowsProgram(Protocol):
    """A kind that can tell from its program alone what a node will speak."""

    def program_facts(self, answer: str) -> NetworkFacts:
        """What a node will say that runs a program which answered this to ``ProgramSpec.version_args``. Pure."""


@runtime_checkable
class CanReadmit(Protocol):
    """A kind whose networks keep a list of members and refuse one that comes back without its data.

    Nodes of other kinds are simply started again after their data was lost.
    """

    async def readmit(self, request: ReadmitRequest) -> JoinTicket:
        """Make the network forget the member that it was and take it in anew at the same address; then it may start.

        May be repeated after an attempt that was cut short. Raises ``OperationFailed``.
        """
