"""The network namespace of a pod, where the machine under it is this one.

A cluster permits rules inside of a pod's network only to a container with NET_ADMIN, which restricted pods cannot have.
Whoever is root on the machine under a pod needs nobody's permission.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Mapping

import psutil
from lightkube.resources.core_v1 import Node

from nodeyard.domain.network_rules import Effect
from nodeyard.errors.base import NodeyardError
from nodeyard.providers._clients import process
from nodeyard.providers._clients.kube.cluster import Cluster
from nodeyard.providers._clients.netns import means
from nodeyard.providers._clients.netns.namespace import Commands, Namespace, environment_of

ELSEWHERE = (
    "rules are made inside of the networks of pods, from the machine under them, and not every machine of the cluster "
    "is this one (or its machines may not be listed)"
)


async def all_here(cluster: Cluster) -> bool:
    """Whether every machine of the cluster is this one."""
    try:
        nodes, _ = await cluster.list_all(Node, None)
    except NodeyardError:
        return False  # who may not list them cannot be sure
    ours = {a.address for addresses in psutil.net_if_addrs().values() for a in addresses if a.family in FAMILIES}
    theirs = [
        {address.address for address in (node.status.addresses or []) if address.type == "InternalIP"}
        for node in nodes
        if node.status is not None
    ]
    return bool(theirs) and all(addresses & ours for addresses in theirs)


FAMILIES = (socket.AF_INET, socket.AF_INET6)


def namespace_of(uid: str) -> Namespace | None:
    """The namespace of a pod by its uid, which stands in the control groups of its processes; ``None`` without any."""
    names = (f"pod{uid}", f"pod{uid.replace('-', '_')}")
    for pid in process.pids():
        if any(name in process.control_groups(pid) for name in names):
            who = process.identify(pid)
            if who is not None:
                return Namespace(who=who)
    return None


async def network_problems(effects: Collection[Effect], environment: Mapping[str, str], *, here: bool) -> list[str]:
    """Why these effects cannot be had on pods; ``here``: this machine is under all of them."""
    if not here:
        return [f"'{effect}' on a network: {ELSEWHERE}" for effect in sorted(effects)]
    found = await means.look(Commands(environment_of(environment)))
    return list(found.problems(effects))
