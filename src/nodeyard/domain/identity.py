"""Who a node is: addresses in one normal form, network facts, the identity that merging works on. Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, fields
from functools import lru_cache
from urllib.parse import urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443, "tcp": 0}
LOOPBACK = "127.0.0.1"
IPV6_IN_BRACKETS = "an IPv6 address in a URL stands in brackets, as in http://[fd00::1]:2379"
LOOPBACK_NAMES = frozenset({"localhost", "localhost.localdomain", "localhost6", "ip6-localhost", "ip6-loopback"})


@dataclass(frozen=True, order=True)
class HostPort:
    """An address as the tester uses it, in normal form (see ``normal_host``)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@lru_cache(maxsize=16384)
def normal_host(host: str) -> str:
    """One spelling per host: lower case, no trailing dot, IPv6 compressed, every loopback name ``127.0.0.1``.

    Only ``127.0.0.1`` and ``::1`` are the loopback; other addresses of 127/8 may be other nodes. The unspecified
    address, as people copy it from listen options, connects to the loopback. A zone (``%eth0``) tells link-local
    addresses apart and means nothing elsewhere.
    """
    text, _, zone = host.strip().strip("[]").partition("%")
    text = text.rstrip(".").lower()
    if text in LOOPBACK_NAMES:
        return LOOPBACK
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return normal_host(str(address.ipv4_mapped))
        if address.is_link_local and zone:
            return f"{address}%{zone.removeprefix('25')}"  # a URL writes %25eth0 (RFC 6874)
        if address.is_loopback:
            return LOOPBACK
    return LOOPBACK if address.is_unspecified else str(address)


@lru_cache(maxsize=16384)
def host_port(url: str) -> HostPort:
    """The normal address inside a URL or a bare ``host:port``.

    Raises ``ValueError`` with a plain sentence when there is no host, no port that can be known, or user info.
    """
    if any(character.isspace() for character in url):
        raise ValueError("a URL must not contain blanks")
    try:
        parts = urlsplit(url if "://" in url else f"tcp://{url}")
    except ValueError:
        raise ValueError(IPV6_IN_BRACKETS) from None
    if "@" in parts.netloc:
        raise ValueError("a URL must not contain credentials; use 'auth:' instead")
    if not normal_host(parts.hostname or ""):
        raise ValueError("a URL needs a host, as in http://127.0.0.1:2379")
    if parts.netloc.count(":") > 1 and "[" not in parts.netloc:
        raise ValueError(IPV6_IN_BRACKETS)
    try:
        port = parts.port
    except ValueError:
        raise ValueError("a port is a number from 1 to 65535") from None
    port = port if port is not None else DEFAULT_PORTS.get(parts.scheme, 0)
    if port == 0:
        raise ValueError("a URL needs a port, as in http://127.0.0.1:2379")
    return HostPort(normal_host(parts.hostname or ""), port)


@dataclass(frozen=True)
class NetworkFacts:
    """What a node says of the network that it is in; ``None`` is "not said", never "none".

    ``id`` network, cluster or chain id; ``genesis`` hash of the genesis; ``protocol`` protocol versions as one text;
    ``api`` version of the API or software; ``auth`` class of authentication that it demands.
    """

    id: str | None = None
    genesis: str | None = None
    protocol: str | None = None
    api: str | None = None
    auth: str | None = None

    def merged(self, other: NetworkFacts) -> NetworkFacts:
        """Each fact from whoever knows it; two different answers give the smaller one, so that order cannot matter."""
        return NetworkFacts(**{f.name: _known(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)})


def _known(one: str | None, other: str | None) -> str | None:
    known = sorted(value for value in (one, other) if value is not None)
    return known[0] if known else None


@dataclass(frozen=True)
class Identity:
    """A node's canonical key: the peer id if it reports one, else the address that the tester uses."""

    peer_id: str | None
    endpoint: HostPort | None
    aliases: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return self.peer_id if self.peer_id is not None else str(self.endpoint)
