"""Commands of tc that hold back what goes out to certain addresses, and nothing else. Pure.

One tree of classes at the interface that leads there: everything takes the first class, which holds nothing back, and
what goes to the addresses takes the second one.
"""

from __future__ import annotations

import json

from nodeyard.domain.network_rules import Effect, NetworkRule

HANDLE = "4e59"
"""The handle of our tree, by which it is known again."""
UNLIMITED = "100gbit"
LEAST_BURST = 1600
"""Bytes: one full packet. A class sends so much at once."""


def device_of(answer: str) -> str | None:
    """The interface in an answer of ``ip -j route get``."""
    try:
        routes = json.loads(answer)
    except ValueError:
        return None
    device = routes[0].get("dev") if isinstance(routes, list) and routes and isinstance(routes[0], dict) else None
    return device if isinstance(device, str) else None


def root_of(answer: str) -> str | None:
    """The root of an interface in an answer of ``tc qdisc show dev``: ``ours``, ``other``, or ``None`` for none."""
    for line in answer.splitlines():
        words = line.split()
        if words[:1] == ["qdisc"] and "root" in words:
            if words[2] == f"{HANDLE}:":
                return "ours"
            return None if words[1] in ("noqueue", "pfifo_fast", "fq_codel", "mq") and words[2] == "0:" else "other"
    return None


def added(device: str, rule: NetworkRule) -> str:
    """The lines for ``tc -batch``."""
    limit = rule.effect is Effect.BANDWIDTH
    rate = f"{int(rule.amount)}bit" if limit else UNLIMITED
    burst = f" burst {max(LEAST_BURST, int(rule.amount / 8 / 100))}b" if limit else ""
    lines = [
        f"qdisc add dev {device} root handle {HANDLE}: htb default 1",
        f"class add dev {device} parent {HANDLE}: classid {HANDLE}:1 htb rate {UNLIMITED} quantum 60000",
        f"class add dev {device} parent {HANDLE}: classid {HANDLE}:2 htb rate {rate} ceil {rate}{burst} quantum 1600",
    ]
    if rule.effect is Effect.DELAY:
        lines.append(f"qdisc add dev {device} parent {HANDLE}:2 netem delay {rule.amount * 1000:g}ms limit 100000")
    lines += [
        f"filter add dev {device} parent {HANDLE}: protocol ip prio 1 u32 match ip dst {peer}/32 flowid {HANDLE}:2"
        for peer in rule.peers
    ]
    return "\n".join((*lines, ""))


def removed(device: str) -> tuple[str, ...]:
    """The command that takes our tree away, with all that hangs on it."""
    return ("tc", "qdisc", "del", "dev", device, "root", "handle", f"{HANDLE}:")
