"""Node names out of other people's words. Pure."""

from __future__ import annotations

import re
from collections.abc import Container

from nodeyard.domain.identity import HostPort

LONGEST = 63
"""Characters of a DNS label (RFC 1035)."""


def node_name(text: str) -> str:
    """``text`` as a node name: lower case, everything but letters and digits a hyphen, not too long."""
    words = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return words[:LONGEST].rstrip("-") or "node"


def address_name(address: HostPort) -> str:
    """A name from an address; of a long host its start gives way, because the port tells neighbours apart."""
    tail = f"-{address.port}"
    return node_name(address.host)[: LONGEST - len(tail)].rstrip("-") + tail


def unique(name: str, taken: Container[str]) -> str:
    """``name``, or the first of ``name-2``, ``name-3``, … that nobody has."""
    candidate, number = name, 2
    while candidate in taken:
        tail = f"-{number}"
        candidate, number = name[: LONGEST - len(tail)].rstrip("-") + tail, number + 1
    return candidate
