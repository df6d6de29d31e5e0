"""A real CometBFT chain in a Compose project, as people write one; no Nodeyard in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compose.engine import needs_engine
from compose.projects import Foreign, etcd_project, free_subnet
from compose.system_images import image_of
from etcd.etcd_processes import wait_until

from .borrowed import heights
from .chain_processes import Json, binary, cometbft, keys_of, settle

NAMES = ("h0", "h1", "h2", "h3")


@dataclass(frozen=True)
class ContainerChain:
    """Its validators by their published ports: what a node tells of its own address is not right from outside."""

    project: Foreign
    homes: Path
    external: list[Json]

    def portrait(self) -> dict[str, Any]:
        return {**self.project.portrait(), **{path.name: keys_of(path) for path in sorted(self.homes.glob("node*"))}}


@contextmanager
def container_chain(folder: Path) -> Iterator[ContainerChain]:
    """Four validators that make blocks, from the image to the removal of everything of them."""
    needs_engine()
    subnet = free_subnet()
    hosts = {name: f"{subnet}.{10 + i}" for i, name in enumerate(NAMES)}
    words = [word for host in hosts.values() for word in ("--hostname", host)]
    cometbft("testnet", "--v", "4", "--o", folder / "homes", *words)
    for home in (folder / "homes").glob("node*"):
        settle(home)
    with (
        image_of(folder / "image", "chain", {"cometbft": Path(binary())}) as image,
        etcd_project(folder / "project", image, content=_document(image, subnet, hosts, folder / "homes")) as project,
    ):
        chain = ContainerChain(project, folder / "homes", [_listed(project, name) for name in NAMES])
        wait_until(lambda: all(heights(chain).values()), "the chain makes blocks")
        yield chain


def _document(image: str, subnet: str, hosts: dict[str, str], homes: Path) -> Json:
    services = {
        name: {
            "image": image,
            "command": ["cometbft", "start", "--home", "/home", "--proxy_app", "kvstore", "--rpc.laddr",
                        "tcp://0.0.0.0:26657"],
            "networks": {"default": {"ipv4_address": host}},
            "volumes": [f"{homes}/node{i}:/home"],
            "ports": ["127.0.0.1::26657", "127.0.0.1::26656"],
        }
        for i, (name, host) in enumerate(hosts.items())
    }  # fmt: skip
    return {"services": services, "networks": {"default": {"ipam": {"config": [{"subnet": f"{subnet}.0/24"}]}}}}


def _listed(project: Foreign, name: str) -> Json:
    rpc, p2p = (project.compose("port", name, port) for port in ("26657", "26656"))
    return {"name": name, "endpoints": {"rpc": f"http://{rpc}", "p2p": f"tcp://{p2p}"}}
