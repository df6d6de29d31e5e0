"""Free ports for the bare sides: below those that runs of Nodeyard reserve, so that neither disturbs the other."""

from __future__ import annotations

import random
import socket

FIRST, LAST = 5000, 9999


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens at now."""
    order = random.sample(range(FIRST, LAST + 1), LAST - FIRST + 1)
    found: list[int] = []
    for number in order:
        if len(found) == count:
            return found
        if _is_free(number):
            found.append(number)
    raise RuntimeError(f"fewer than {count} free ports in {FIRST}-{LAST}")


def _is_free(number: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", number))
        except OSError:
            return False
    return True
