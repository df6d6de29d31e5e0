"""Which subnet the run's network gets, and which address each node in it. Pure, but for the random start."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

RESERVED = 10
"""Addresses at the beginning of a subnet that no node gets: network, gateway, and room for other containers."""
USUAL_PREFIX = 24
TRIES = 32


@dataclass(frozen=True)
class Subnet:
    """A subnet with its gateway and an address for each of so many nodes."""

    cidr: str
    gateway: str
    addresses: tuple[str, ...]


def prefix_for(nodes: int) -> int:
    """The prefix of the smallest usual subnet that holds these nodes."""
    needed = nodes + RESERVED + 1  # the broadcast address
    return min(USUAL_PREFIX, 32 - (needed - 1).bit_length())


def candidates(pool: str, nodes: int, taken: Iterable[str], start: random.Random) -> Iterator[Subnet]:
    """Free subnets of ``pool`` from a random one on, so that runs that begin together seldom want the same.

    ``taken`` are networks in use, by engine or host; what is no IPv4 network among them is passed over.
    """
    whole = ipaddress.IPv4Network(pool)
    prefix = max(prefix_for(nodes), whole.prefixlen)
    if 2 ** (32 - prefix) < nodes + RESERVED + 1:
        return
    used = [network for text in taken if (network := _network(text)) is not None and network.overlaps(whole)]
    count = 2 ** (prefix - whole.prefixlen)
    first = start.randrange(count)
    for step in range(count):
        base = int(whole.network_address) + ((first + step) % count) * 2 ** (32 - prefix)
        subnet = ipaddress.IPv4Network((base, prefix))
        if not any(subnet.overlaps(other) for other in used):
            addresses = tuple(str(subnet[RESERVED + number]) for number in range(nodes))
            yield Subnet(str(subnet), str(subnet[1]), addresses)


def _network(text: str) -> ipaddress.IPv4Network | None:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    # The default route is everybody's way out and nobody's network.
    return network if isinstance(network, ipaddress.IPv4Network) and network.prefixlen else None


def routes(table: str) -> Sequence[str]:
    """The networks in ``/proc/net/route``, whose numbers are little-endian hexadecimal."""
    found: list[str] = []
    for line in table.splitlines()[1:]:
        words = line.split()
        if len(words) > 7:
            target, mask = (int.from_bytes(bytes.fromhex(words[i]), "little") for i in (1, 7))
            found.append(f"{ipaddress.IPv4Address(target)}/{mask.bit_count()}")
    return found
