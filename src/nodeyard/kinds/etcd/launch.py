"""How an etcd node is launched: network material and command line. Pure.

**Who is in the cluster.** A new cluster's members are all its managed nodes, on-demand ones included: etcd fixes the
membership at its birth, and a node that starts later with the same material simply takes its place. The price is
etcd's own: until then it counts as a failed member. So the nodes that start at once must be a majority of all, and
``render`` refuses a plan where they are not, because no leader could ever be chosen.
"""

from __future__ import annotations

from collections.abc import Sequence

from nodeyard.domain.launch_plan import LaunchPlan, NetworkMaterial, NodePlan, Place, StopPolicy
from nodeyard.domain.run_identity import RunMark
from nodeyard.errors.validation import Problem, SpecInvalid
from nodeyard.kinds.etcd.flags import as_args
from nodeyard.ports.kind import JoinTicket, RenderRequest

TOKEN = "token"
FACT_NAME, FACT_CLUSTER = "name", "initial-cluster"
"""Facts of a join ticket: the member's name in the borrowed cluster, and who its members are."""
GRACE = 10.0
"""Seconds that a node may take to end. One member alone takes 5 ms; a leader whose followers are gone takes 7 s."""


def material(mark: RunMark) -> NetworkMaterial:
    """Member and cluster ids follow from peer URLs and the token, so the token must be new in every run."""
    token = f"nodeyard-{mark.run}"
    return NetworkMaterial(token, {TOKEN: token})


def render(request: RenderRequest) -> LaunchPlan:
    """The launch plan of one node. Raises ``SpecInvalid`` when the nodes that start at once are no majority."""
    node, place = request.node, request.place
    if request.ticket is None:
        check_majority(request.peers)
        membership = birth(request)
        name = node.name
    else:
        membership = entry(request.ticket)
        name = request.ticket.facts[FACT_NAME]
    args = (
        f"--name={name}",
        f"--data-dir={place.data_dir}",
        f"--listen-client-urls=http://{place.listen('client')}",
        f"--advertise-client-urls=http://{place.advertise('client')}",
        f"--listen-peer-urls=http://{place.listen('peer')}",
        f"--initial-advertise-peer-urls={peer_url(place)}",
        *membership,
        "--logger=zap",
        "--log-outputs=stderr",
        *as_args(node.config),
    )
    return LaunchPlan(node.name, "etcd", args, env=dict(node.env), stop=StopPolicy(grace=GRACE))


def birth(request: RenderRequest) -> tuple[str, ...]:
    """The membership flags of a new cluster, the same for every member."""
    members = sorted((node.index, node.name, peer_url(place)) for node, place in request.peers)
    return (
        f"--initial-cluster={','.join(f'{name}={url}' for _, name, url in members)}",
        "--initial-cluster-state=new",
        f"--initial-cluster-token={request.material.facts[TOKEN]}",
    )


def entry(ticket: JoinTicket) -> tuple[str, ...]:
    """The membership flags of a node that enters a running cluster; etcd takes the cluster's id from its members."""
    return (f"--initial-cluster={ticket.facts[FACT_CLUSTER]}", "--initial-cluster-state=existing")


def peer_url(place: Place) -> str:
    return f"http://{place.advertise('peer')}"


def check_majority(peers: Sequence[tuple[NodePlan, Place]]) -> None:
    """Raise ``SpecInvalid`` when the nodes that start at once cannot choose a leader."""
    total = len(peers)
    waiting = [node.name for node, _ in peers if node.on_demand]
    if total - len(waiting) > total // 2:
        return
    raise SpecInvalid(
        [
            Problem(
                path="source.nodes",
                message=f"{len(waiting)} of {total} etcd nodes are on demand ({', '.join(sorted(waiting))}), "
                "so those that start are no majority and can never choose a leader",
                hint=f"let at least {total // 2 + 1} start at once",
            )
        ]
    )
