"""Samples of every variable, with which the templates of a kind file are tried when it is read. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nodeyard.kinds.declarative.model import KindFile
from nodeyard.kinds.declarative.variables import Address, Tx, Url


def launches(file: KindFile) -> list[dict[str, Any]]:
    """Two nodes of a network of three: the first without seeds, a later one with two and an unknown peer id."""
    return [_launch(file, 0, 0), _launch(file, 2, 2)]


def _launch(file: KindFile, index: int, seeds: int) -> dict[str, Any]:
    addresses = {port: Address(f"127.0.0.1:{20000 + place}") for place, port in enumerate(file.ports)}
    peers = [{"name": f"n{i}", "index": i, "role": None, "advertise": addresses} for i in range(3)]
    peer_ids = ("sample", None)
    return {
        "name": f"n{index}",
        "index": index,
        "role": file.roles[0] if file.roles else None,
        "data_dir": "/sample/data",
        "config_dir": "/sample/config",
        "listen": addresses,
        "advertise": addresses,
        "peers": peers,
        "seeds": [{"name": f"n{i}", "peer_id": peer_ids[i], "address": addresses} for i in range(seeds)],
        "config": dict(file.config),
        "network": {"id": "sample"},
        "run": {"id": "sample"},
    }


def ask(file: KindFile, more: Sequence[str]) -> dict[str, Any]:
    """A question's variables; ``more`` are those of one kind of call."""
    values: dict[str, Any] = {"tx": Tx(b"{}"), "height": 1, "absent": False}
    urls = {port: Url(f"http://127.0.0.1:{20000 + place}") for place, port in enumerate(file.ports)}
    return {"endpoint": urls, **{name: values.get(name, "sample") for name in more}}
