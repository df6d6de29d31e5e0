"""A network of namespaces on this machine: one for each node, wired by a bridge that has a namespace of its own.

The bridge is not the machine's, so that no firewall rule of the machine concerns it; one cable leads to the machine,
where the tester is. Each namespace carries the run's mark. Lives here: the commands, as text, and carrying them out.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nodeyard._aio.tasks import side_by_side
from nodeyard.providers._clients.netns.namespace import Commands

NAMED = "/run/netns"
"""Where ``ip netns`` keeps names."""
SUBNETS = 512
"""How many networks there are: 198.18.0.0/15 is set aside for tests of this kind (RFC 2544), and routed nowhere."""
FIRST_HOST, MOST_NODES = 10, 240


@dataclass(frozen=True)
class Wires:
    """The names and addresses of one run's network. ``subnet`` counts the networks of ``SUBNETS``."""

    mark: str
    run: str
    subnet: int

    @property
    def prefix(self) -> str:
        return f"198.{18 + self.subnet // 256}.{self.subnet % 256}"

    @property
    def gateway(self) -> str:
        """The machine's address, as nodes see it."""
        return f"{self.prefix}.1"

    @property
    def cable(self) -> str:
        """The machine's end of the cable: an interface name has at most 15 characters."""
        return f"ny{hashlib.sha256(self.mark.encode()).hexdigest()[:10]}"

    @property
    def hub(self) -> str:
        return f"nodeyard-{self.run}...hub"  # no node can be called that

    def namespace(self, node: str) -> str:
        return f"nodeyard-{self.run}..{node}"

    def address(self, position: int) -> str:
        return f"{self.prefix}.{FIRST_HOST + position}"

    @property
    def alias(self) -> str:
        """What marks a namespace: the alias of its loopback interface."""
        return f"nodeyard {self.mark}"[:255]


def path_of(name: str) -> str:
    return f"{NAMED}/{name}"


def outer(wires: Wires, nodes: Sequence[str]) -> str:
    """For ``ip -batch`` on the machine: the namespaces, and cables between them."""
    lines = [f"netns add {name}" for name in (wires.hub, *map(wires.namespace, nodes))]
    lines.append(f"link add {wires.cable} type veth peer name uplink netns {wires.hub}")
    lines += [f"link set {wires.cable} alias '{wires.alias}'", f"addr add {wires.gateway}/24 dev {wires.cable}"]
    lines.append(f"link set {wires.cable} up")
    lines += [
        f"link add port{i} netns {wires.hub} type veth peer name eth0 netns {wires.namespace(node)}"
        for i, node in enumerate(nodes)
    ]
    return "\n".join((*lines, ""))


def hub_lines(wires: Wires, count: int) -> str:
    """For ``ip -batch`` in the bridge's namespace."""
    ports = ["uplink", *(f"port{i}" for i in range(count))]
    lines = [f"link set lo alias '{wires.alias}'", "link add bridge type bridge", "link set bridge up"]
    lines += [line for port in ports for line in (f"link set {port} master bridge", f"link set {port} up")]
    return "\n".join((*lines, ""))


def node_lines(wires: Wires, position: int) -> str:
    """For ``ip -batch`` in a node's namespace."""
    lines = (
        f"link set lo alias '{wires.alias}'",
        "link set lo up",
        f"addr add {wires.address(position)}/24 dev eth0",
        "link set eth0 up",
        f"route add default via {wires.gateway}",
        "",
    )
    return "\n".join(lines)


async def taken_subnets(commands: Commands) -> frozenset[int]:
    """Networks of ``SUBNETS`` that this machine has a route to already."""
    done = await commands.run(("ip", "-j", "-4", "route", "show", "table", "all"))
    routes = json.loads(done.stdout or "[]")
    found = set()
    for route in routes:
        parts = str(route.get("dst", "")).partition("/")[0].split(".")
        if len(parts) == 4 and parts[0] == "198" and parts[1] in ("18", "19"):
            found.add((int(parts[1]) - 18) * 256 + int(parts[2]))
    return frozenset(found)


async def wire(wires: Wires, nodes: Sequence[str], commands: Commands) -> None:
    """Make everything. Raises ``OSError`` with what the kernel said; what was made by then is found by its names."""
    await _batch(commands, (), outer(wires, nodes))
    await _batch(commands, ("-n", wires.hub), hub_lines(wires, len(nodes)))

    async def one(position: int) -> None:
        await _batch(commands, ("-n", wires.namespace(nodes[position])), node_lines(wires, position))

    for outcome in await side_by_side(one, range(len(nodes)), at_once=8):
        if isinstance(outcome, Exception):
            raise outcome


async def _batch(commands: Commands, options: Sequence[str], text: str) -> None:
    done = await commands.run(("ip", *options, "-batch", "-"), text)
    if done.code:
        raise OSError(done.stderr.strip()[:300] or done.status)


async def unwire(names: Sequence[str], cable: str, mark: str, commands: Commands) -> list[str]:
    """Remove these namespaces, and the cable, unless they carry another mark; returns what was removed.

    One without a mark was made by a run that was killed before it could mark it: its name says whose it is. Raises
    ``OSError`` for one that would not go.
    """
    removed = []
    for name in names:
        if os.path.exists(path_of(name)) and await _ours(commands, ("-n", name), "lo", mark):
            done = await commands.run(("ip", "netns", "del", name))
            if done.code and os.path.exists(path_of(name)):
                raise OSError(f"namespace {name}: {done.stderr.strip()}")
            removed.append(name)
    if os.path.exists(f"/sys/class/net/{cable}") and await _ours(commands, (), cable, mark):
        done = await commands.run(("ip", "link", "del", cable))
        if done.code and os.path.exists(f"/sys/class/net/{cable}"):
            raise OSError(f"interface {cable}: {done.stderr.strip()}")
        removed.append(cable)
    return removed


async def _ours(commands: Commands, options: Sequence[str], device: str, mark: str) -> bool:
    done = await commands.run(("ip", *options, "-j", "link", "show", "dev", device))
    try:
        (link,) = json.loads(done.stdout)
    except ValueError:
        return True  # the name stands for nothing any more
    alias = link.get("ifalias")
    return alias is None or alias == f"nodeyard {mark}"[:255]


def addresses(wires: Wires, nodes: Sequence[str]) -> Mapping[str, str]:
    return {node: wires.address(position) for position, node in enumerate(nodes)}
