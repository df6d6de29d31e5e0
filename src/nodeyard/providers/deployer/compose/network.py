"""Making the run's private network: in the ledger first, on a subnet that nobody else has."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from nodeyard.errors.provider import AddressesExhausted
from nodeyard.ports.plugins import PluginContext
from nodeyard.providers._clients.docker import labels, objects
from nodeyard.providers._clients.docker.engine import Engine
from nodeyard.providers.deployer.compose.resources import BY, NETWORK, NETWORK_KEY, network_name, project_name
from nodeyard.providers.deployer.compose.subnets import TRIES, Subnet, candidates, routes

ROUTES = Path("/proc/net/route")


async def make_network(pool: str, nodes: int, engine: Engine, context: PluginContext) -> Subnet:
    """Make the network of a run with an address for each node.

    The engine refuses a subnet that overlaps another one, so that two runs can't get the same: then the next one is
    tried. Raises ``AddressesExhausted`` when there is none.
    """
    run = context.mark.run
    marks = {
        **labels.labels(context.mark, context.scenario),
        labels.PROJECT: project_name(run),
        labels.NETWORK: NETWORK_KEY,
    }
    entry = await context.ledger.record(BY, NETWORK, node=None, data={"engine": engine.address.data()})
    taken = [*await objects.subnets(engine), *_host_routes(engine)]
    found = candidates(pool, nodes, taken, random.SystemRandom())
    refused: AddressesExhausted | None = None
    for subnet in islice(found, TRIES):
        try:
            await objects.create_network(
                engine, network_name(run), subnet=subnet.cidr, gateway=subnet.gateway, labels=marks
            )
        except AddressesExhausted as error:
            refused = error
            continue
        context.ledger.amend(entry, {"made": True, "subnet": subnet.cidr})
        return subnet
    raise refused or AddressesExhausted(
        f"no subnet for {nodes} nodes is free in {pool}",
        operation="provision",
        evidence=[f"{len(taken)} networks are in use there and elsewhere"],
        hint="remove what dead runs left with 'nodeyard gc', or give the deployer another 'subnets'",
    )


def _host_routes(engine: Engine) -> Sequence[str]:
    """Where this machine sends packets already; of another machine's routes nothing is known."""
    if not engine.address.local:
        return ()
    try:
        return routes(ROUTES.read_text())
    except OSError:
        return ()  # not a Linux machine: its engine runs in a virtual machine with routes of its own
