"""``CometbftKind``: CometBFT as a node kind.

Lives here: the facts that the rest of Nodeyard reads, and the door to the modules beside this one. Must not live here:
settings (``settings``), keys and genesis (``keys``, ``genesis``), launch configuration (``launch``), requests
(``client``), and how a borrowed network is joined (``adopt``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from nodeyard.domain.identity import NetworkFacts
from nodeyard.domain.launch_plan import LaunchPlan, NetworkMaterial, NodePlan, PortSpec, Scheme
from nodeyard.domain.node_client import ChainReader, KeyValue, ListsTx, PeerView, ReportsHeight, StateDigest, TxSubmit
from nodeyard.domain.policy import NetworkPins
from nodeyard.domain.run_identity import RunMark
from nodeyard.domain.sources import Scalar
from nodeyard.kinds.cometbft import adopt, launch, members, settings, wire
from nodeyard.kinds.cometbft.client import CometbftClient
from nodeyard.ports.kind import (
    Adoption,
    AdoptRequest,
    CanAdopt,
    ChecksMembers,
    EndpointOf,
    GoModule,
    KnowsProgram,
    Matters,
    NodeKind,
    ProgramSpec,
    RenderRequest,
)
from nodeyard.ports.transport import Transport


class CometbftKind:
    """CometBFT 0.37 and later, over its RPC."""

    name: ClassVar[str] = "cometbft"
    summary: ClassVar[str] = "CometBFT, a blockchain (its kvstore application unless told otherwise)"
    ports: ClassVar[tuple[PortSpec, ...]] = (PortSpec("rpc", 26657), PortSpec("p2p", 26656, Scheme.TCP))
    api_port: ClassVar[str] = "rpc"
    program: ClassVar[ProgramSpec | None] = ProgramSpec(
        program="cometbft",
        variable="NODEYARD_COMETBFT",
        install_hint="install Go, and it is built once; or put cometbft on the PATH",
        version_args=("version", "--verbose"),
        version_pattern=r'"(?:cometbft|tendermint)": *"v?(\d+\.\d+\.\d+)',
        minimum=(0, 37),
        module=GoModule("github.com/cometbft/cometbft/cmd/cometbft", "v0.38.26"),
    )
    roles: ClassVar[tuple[str, ...]] = members.ROLES
    protocols: ClassVar[tuple[type, ...]] = (
        ChainReader,
        TxSubmit,
        ListsTx,
        KeyValue,
        PeerView,
        ReportsHeight,
        StateDigest,
    )
    matters: ClassVar[Mapping[str, Matters]] = {
        "id": Matters.FATAL,
        "genesis": Matters.FATAL,
        "protocol": Matters.FATAL,
        "api": Matters.WARNING,
        "auth": Matters.IGNORED,
    }
    """CometBFT itself checks chain id and block protocol alone, and a node with another genesis may run for long before
    anybody notices. Versions of the software may differ where the protocols do not, and that deserves a word."""

    def config_problems(self, config: Mapping[str, Scalar]) -> Sequence[tuple[str, str]]:
        """Each wrong key of a node's config with what is wrong about it."""
        return settings.config_problems(config)

    def material(self, nodes: Sequence[NodePlan], *, mark: RunMark, seed: int, pins: NetworkPins) -> NetworkMaterial:
        """Keys and genesis of a new network; its chain id is the pinned one, or one that no other run has."""
        return launch.material(nodes, mark=mark, seed=seed, pins=pins)

    def render(self, request: RenderRequest) -> LaunchPlan:
        """The command line and files of one node."""
        return launch.render(request)

    def member_problems(self, nodes: Sequence[NodePlan], *, borrowed: int) -> Sequence[str]:
        """Why no network can be made of these nodes, or why they cannot enter a borrowed one."""
        return members.problems(nodes, joining=borrowed > 0)

    def program_facts(self, answer: str) -> NetworkFacts:
        """The protocol versions that a program tells of itself."""
        return wire.program_facts(answer)

    def own_material(self, nodes: Sequence[NodePlan], *, mark: RunMark, seed: int) -> NetworkMaterial:
        """Keys of nodes that enter a borrowed network."""
        return launch.own_material(nodes, mark=mark, seed=seed)

    async def adopt(self, request: AdoptRequest) -> Adoption:
        """The genesis and the peers of a borrowed network, read from its nodes."""
        return await adopt.adopt(request)

    def client(self, endpoint: EndpointOf, transport: Transport) -> CometbftClient:
        """A client of one node."""
        return CometbftClient(endpoint, transport)


if TYPE_CHECKING:
    _KIND: type[NodeKind] = CometbftKind
    _ADOPTS: type[CanAdopt] = CometbftKind
    _CHECKS: type[ChecksMembers] = CometbftKind
    _KNOWS: type[KnowsProgram] = CometbftKind
