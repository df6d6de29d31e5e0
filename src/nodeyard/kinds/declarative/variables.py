"""The variables of templates: what they are like, samples of them, and what they are for one node or call. Pure.

``docs/kinds/declarative.md`` lists them; a test holds the page to this module.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nodeyard.domain.launch_plan import AT_RUN, NodePlan, Place
from nodeyard.domain.sources import Scalar
from nodeyard.kinds.declarative.model import Arg, KindFile
from nodeyard.kinds.declarative.templates import ANY, TEXT, Shape
from nodeyard.ports.kind import EndpointOf, RenderRequest


class Address(str):
    """``host:port`` as a text, with its parts."""

    __slots__ = ()

    @property
    def host(self) -> str:
        return self.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> str:
        return self.rpartition(":")[2]


class Url(str):
    """A URL as a text, with its parts."""

    __slots__ = ()

    @property
    def host(self) -> str:
        return Address(self._authority).host

    @property
    def port(self) -> str:
        return Address(self._authority).port

    @property
    def _authority(self) -> str:
        return self.partition("://")[2].partition("/")[0]


ADDRESS: Shape = {"host": TEXT, "port": TEXT}


def launch_shapes(file: KindFile) -> dict[str, Shape]:
    """What templates under ``launch`` may use."""
    addresses: Shape = dict.fromkeys(file.ports, ADDRESS)
    peer: Shape = {"name": TEXT, "index": TEXT, "role": TEXT, "advertise": addresses}
    seed: Shape = {"name": TEXT, "peer_id": TEXT, "address": addresses}
    return {
        "name": TEXT,
        "index": TEXT,
        "role": TEXT,
        "data_dir": TEXT,
        "config_dir": TEXT,
        "listen": addresses,
        "advertise": addresses,
        "peers": [peer],
        "seeds": [seed],
        "config": ANY if file.open_config else dict.fromkeys(file.config, TEXT),
        "network": {"id": TEXT},
        "run": {"id": TEXT},
    }


def each_shapes(arg: Arg, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    """What the template of an argument may use, with the node that it is written for."""
    if arg.each is None:
        return dict(shapes)
    several = shapes[arg.each]
    assert isinstance(several, list)
    return {**shapes, arg.one: several[0]}


def each_of(arg: Arg, variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The variables that an argument has beside those of the launch, once for each time that it is written."""
    return [{}] if arg.each is None else [{arg.one: node} for node in variables[arg.each]]


def ask_shapes(file: KindFile, more: Sequence[str] = ()) -> dict[str, Shape]:
    """What questions may use; ``more`` are the variables of one kind of call."""
    shapes: dict[str, Shape] = {"endpoint": dict.fromkeys(file.ports, ADDRESS)}
    for name in more:
        shapes[name] = {"text": TEXT, "hex": TEXT, "base64": TEXT} if name == "tx" else TEXT
    return shapes


CALL_VARIABLES: Mapping[tuple[str, ...], tuple[str, ...]] = {
    ("key_value", "get"): ("key",),
    ("key_value", "put"): ("key", "value"),
    ("key_value", "compare_and_set"): ("key", "value", "expected", "absent"),
    ("submit", "send"): ("tx",),
    ("submit", "included"): ("tx_id",),
    ("block",): ("height",),
}
"""The variables that single questions have beside ``endpoint``, by their place."""


@dataclass(frozen=True)
class Tx:
    """A transaction in the spellings that a body may need."""

    raw: bytes

    @property
    def text(self) -> str:
        return self.raw.decode("utf-8", "backslashreplace")

    @property
    def hex(self) -> str:
        return f"0x{self.raw.hex()}"

    @property
    def base64(self) -> str:
        return base64.b64encode(self.raw).decode()


class Endpoints:
    """The ports of a node as the tester reaches them, each asked for when it is used."""

    def __init__(self, ports: Sequence[str], endpoint: EndpointOf) -> None:
        self._ports, self._endpoint = ports, endpoint

    def __getattr__(self, port: str) -> Url:
        if port not in self._ports:
            raise AttributeError(port)
        return Url(self._endpoint(port).url)

    __getitem__ = __getattr__


def launch_variables(request: RenderRequest, ports: Sequence[str], config: Mapping[str, Scalar]) -> dict[str, Any]:
    """The variables of one node's launch. ``config`` is complete with defaults."""
    node, place = request.node, request.place
    return {
        "name": node.name,
        "index": node.index,
        "role": node.role,
        "data_dir": place.data_dir,
        "config_dir": place.config_dir,
        "listen": {port: Address(place.listen(port)) for port in ports},
        "advertise": _advertised(place, ports),
        "peers": [_peer(peer, there, ports) for peer, there in sorted(request.peers, key=lambda pair: pair[0].index)],
        "seeds": [
            {
                "name": seed.node,
                "peer_id": seed.peer_id,
                "address": {port: Address(address) for port, address in seed.addresses.items()},
            }
            for seed in request.seeds
        ],
        "config": dict(config),
        "network": {"id": request.material.id},
        "run": {"id": request.material.facts.get("run", AT_RUN)},
    }


def _peer(peer: NodePlan, place: Place, ports: Sequence[str]) -> dict[str, Any]:
    return {"name": peer.name, "index": peer.index, "role": peer.role, "advertise": _advertised(place, ports)}


def _advertised(place: Place, ports: Sequence[str]) -> dict[str, Address]:
    return {port: Address(place.advertise(port)) for port in ports}
