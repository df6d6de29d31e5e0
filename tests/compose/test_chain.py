"""A chain in a Compose project that somebody else runs, and nodes of ours in it; a chain of our own as containers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cometbft.chain_processes import binary, cometbft, settle
from e2e.support import REPOSITORY, Nodeyard

from .command import Yard
from .engine import docker
from .projects import Foreign, etcd_project, free_subnet

pytestmark = pytest.mark.real
NAMES = ("h0", "h1", "h2", "h3")


@pytest.fixture(scope="module")
def chain(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Foreign]:
    """Four validators, as people write such a project."""
    folder, subnet = tmp_path_factory.mktemp("chain"), free_subnet()
    hosts = {name: f"{subnet}.{10 + i}" for i, name in enumerate(NAMES)}
    words = [word for host in hosts.values() for word in ("--hostname", host)]
    cometbft("testnet", "--v", "4", "--o", folder / "homes", *words)
    for i in range(4):
        settle(folder / "homes" / f"node{i}")
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY cometbft /bin/cometbft\nENV PATH=/bin\n")
    (folder / "cometbft").write_bytes(Path(binary()).read_bytes())
    (folder / "cometbft").chmod(0o755)
    (folder / ".dockerignore").write_text("homes\n")
    reference = f"nodeyard-test/chain:{folder.parent.parent.name}-{folder.parent.name}".lower()
    docker("build", "--quiet", "--tag", reference, str(folder))
    content: dict[str, Any] = {
        "services": {
            name: {
                "image": reference,
                "command": ["cometbft", "start", "--home", "/home", "--proxy_app", "kvstore", "--rpc.laddr",
                            "tcp://0.0.0.0:26657"],
                "networks": {"default": {"ipv4_address": host}},
                "volumes": [f"{folder}/homes/node{i}:/home"],
                "ports": ["127.0.0.1::26657", "127.0.0.1::26656"],
            }
            for i, (name, host) in enumerate(hosts.items())
        },
        "networks": {"default": {"ipam": {"config": [{"subnet": f"{subnet}.0/24"}]}}},
    }  # fmt: skip
    try:
        with etcd_project(folder / "project", reference, content=content) as project:
            yield project
    finally:
        docker("rmi", "--force", reference, check=False)


def external(chain: Foreign) -> list[dict[str, Any]]:
    """The published ports: what a node tells of its own address is not right from outside."""
    return [
        {
            "name": name,
            "endpoints": {
                "rpc": f"http://{chain.compose('port', name, '26657')}",
                "p2p": f"tcp://{chain.compose('port', name, '26656')}",
            },
        }
        for name in NAMES
    ]


def test_processes_of_ours_enter_a_chain_of_containers(chain: Foreign, nodeyard: Nodeyard) -> None:
    nodeyard.extra = {"NODEYARD_COMETBFT": binary()}
    before = chain.portrait()
    source = {**nodeyard.managed(count=2, name="n{index}", config={}), "external": external(chain)}
    steps = [
        {"put": {"key": "colour", "value": "green", "target": "h1"}},
        {"get": {"key": "colour", "expect": "green", "target": "n1"}},
        {"kill": {"target": "n0"}},
        {"start": {"target": "n0"}},
    ]
    checks = [{"use": "agreement"}, {"use": "height-advances", "per": "origin"}]
    path = nodeyard.write(
        {"kind": "cometbft", "name": "mixed", "source": source, "steps": steps, "expectations": checks}
    )
    done = nodeyard("run", path, patience=180)
    assert done.status == 0, done.out + done.err
    found = json.loads((nodeyard.only_run() / "inventory.json").read_text())["nodes"]
    assert sorted(node["ownership"] for node in found) == ["borrowed"] * 4 + ["owned"] * 2
    assert nodeyard.leftovers() == []
    assert chain.portrait() == before


def test_the_example_runs_as_containers(engine: None, yard: Yard) -> None:
    yard.home.extra = {**yard.home.extra, "NODEYARD_COMETBFT": binary()}
    done = yard.home("run", REPOSITORY / "examples" / "cometbft.yaml", "--deployer", "compose", patience=240)
    assert done.status == 0, done.out + done.err
    assert yard.left() == []
