"""Nodes in network namespaces of their own (``isolation: netns``): what it takes, and making and removing them."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nodeyard._aio import poll
from nodeyard.domain.network_rules import Effect
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import CleanupIncomplete, ProvisioningFailed
from nodeyard.ports.ledger import LedgerEntry, RemovalContext, Removed
from nodeyard.ports.plugins import PluginContext
from nodeyard.providers._clients.netns import means, wiring
from nodeyard.providers._clients.netns.namespace import Commands, Namespace, end_commands, environment_of
from nodeyard.providers._clients.netns.wiring import Wires
from nodeyard.providers.deployer.local.ports import TAKING, PortLocks
from nodeyard.providers.deployer.local.resources import BY, NETWORKS, numbers, texts

LOCKS = "subnets"
BATCH = 8
"""Networks that are tried to be locked at once."""
NOT_ISOLATED = "nodes of this deployer share the machine's network: it takes 'isolation: netns', and root"


@dataclass(frozen=True)
class Home:
    """Where one node lives."""

    namespace: Namespace
    address: str


def problems(count: int, environment: Mapping[str, str]) -> list[str]:
    """What forbids isolation here, as texts."""
    found = []
    if os.geteuid() != 0:
        found.append("deployer.isolation: network namespaces take root; run as root, or leave 'isolation' out")
    path = environment_of(environment)["PATH"]
    found += [
        f"deployer.isolation: the program '{name}' is not installed (packages iproute2 and util-linux)"
        for name in ("ip", "nsenter")
        if shutil.which(name, path=path) is None
    ]
    if count > wiring.MOST_NODES:
        found.append(f"deployer.isolation: at most {wiring.MOST_NODES} nodes can have networks of their own")
    return found


async def network_problems(effects: Collection[Effect], environment: Mapping[str, str], *, isolated: bool) -> list[str]:
    """Why these effects cannot be had on nodes of this deployer."""
    if not isolated:
        return [f"'{effect}' on a network: {NOT_ISOLATED}" for effect in sorted(effects)]
    found = await means.look(Commands(environment_of(environment)))
    return list(found.problems(effects))


class Isolation:
    """The networks of one run."""

    def __init__(self, context: PluginContext) -> None:
        self._context = context
        self._commands = Commands.of(context.environment, context.mark)

    async def make(self, nodes: Sequence[str]) -> Mapping[str, Home]:
        """A home for each node. Raises ``ProvisioningFailed``; what was made by then is in the ledger."""
        wires = await self._reserved(nodes)
        try:
            await wiring.wire(wires, nodes, self._commands)
        except (OSError, TimeoutError) as error:
            raise ProvisioningFailed(
                f"network namespaces cannot be made: {error}",
                operation="provision",
                hint="it takes root and a kernel with network namespaces, bridges and veth",
            ) from error
        return {
            node: Home(Namespace(wiring.path_of(wires.namespace(node))), address)
            for node, address in wiring.addresses(wires, nodes).items()
        }

    async def _reserved(self, nodes: Sequence[str]) -> Wires:
        """A network that no other run has, and that the machine knows nothing of."""
        context, mark = self._context, self._context.mark
        locks = PortLocks(context.cache, LOCKS)
        with locks.usable():
            await locks.reclaim(sorted(locks.taken()), clock=context.clock, deadline=context.clock.now() + TAKING)
        avoid = await wiring.taken_subnets(self._commands) | locks.taken()
        free = [number for number in range(wiring.SUBNETS) if number not in avoid]
        random.SystemRandom().shuffle(free)
        for start in range(0, len(free), BATCH):
            wanted = free[start : start + BATCH]
            first = Wires(mark.text, mark.run, wanted[0])
            await context.ledger.record(
                BY,
                NETWORKS,
                node=None,
                data={
                    "cache": str(context.cache),
                    "subnets": wanted,
                    "cable": first.cable,
                    "namespaces": [*map(first.namespace, nodes), first.hub],
                },
            )
            with locks.usable():
                won = locks.take(wanted, mark)
            if won:
                locks.drop_own(won[1:])
                return Wires(mark.text, mark.run, won[0])
        raise ProvisioningFailed(
            f"none of {wiring.SUBNETS} networks is free",
            operation="provision",
            hint="end other runs, or remove what dead ones left with 'nodeyard gc'",
        )


async def remove(entry: LedgerEntry, context: RemovalContext) -> Removed | NodeyardError:
    """Remove the namespaces of an entry, then give its network back."""
    commands = Commands(environment_of({}))
    try:
        await end_commands(context)
        gone = await wiring.unwire(
            texts(entry.data, "namespaces"), str(entry.data.get("cable")), context.mark.text, commands
        )
        locks = PortLocks(Path(str(entry.data.get("cache"))), LOCKS)
        await locks.release(
            numbers(entry.data, "subnets"), context.mark, clock=context.clock, deadline=context.deadline
        )
    except (OSError, TimeoutError, poll.Timeout) as error:
        return CleanupIncomplete(f"network namespaces could not be removed: {error}", hint="'nodeyard gc' tries again")
    return Removed(absent=not gone, detail=f"{len(gone)} network namespaces and cables" if gone else "")
