"""Every example of every kind that can be launched passes unchanged, whoever deploys its nodes."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from cometbft.chain_processes import binary
from docs.playing import reserved_ports
from e2e.support import REPOSITORY, Nodeyard

from .command import Yard, environment
from .engine import needs_engine
from .system_images import image_of

pytestmark = pytest.mark.real
EXAMPLES = REPOSITORY / "examples"
DEPLOYERS = ("local", "compose")
MANAGED = [
    path.stem
    for path in sorted(EXAMPLES.glob("*.yaml"))
    if YAML(typ="safe", pure=True).load(path)["source"]["mode"] == "managed"
]
BY_HAND = {"join": "cluster", "cometbft-join": "chain"}
"""What must run already, started by hand."""
SYSTEM = {"redis": "redis-server", "nats": "nats-server"}
"""Programs of the distribution: no image can be made of them alone."""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], dict[str, str]]]:
    """Variables that name an image for the kind of an example which needs one; each is built once, when asked for."""
    made: dict[str, dict[str, str]] = {}
    with ExitStack() as stack:

        def variables(example: str) -> dict[str, str]:
            if example in made or example not in (*SYSTEM, "notes"):
                return made.get(example, {})
            folder = tmp_path_factory.mktemp(f"image-{example}")
            image: AbstractContextManager[str]
            if example == "notes":
                image = image_of(folder, "notes", {"notes-server": EXAMPLES / "kinds/notes-server"}, python=True)
            else:
                image = image_of(folder, example, {SYSTEM[example]: found(SYSTEM[example])})
            made[example] = {variable_of(example): stack.enter_context(image)}
            return made[example]

        yield variables


def variable_of(example: str) -> str:
    """By the rule of declared kinds; a word that is wrong here makes the test fail for want of an image."""
    return f"NODEYARD_{example.upper()}_IMAGE"


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
        known = {**os.environ, "COMETBFT": binary() if script == "chain" else "", **more}
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


@pytest.mark.parametrize("deployer", DEPLOYERS)
@pytest.mark.parametrize("example", MANAGED)
def test_an_example_passes(
    tmp_path: Path,
    images: Callable[[str], dict[str, str]],
    by_hand: Callable[[str, str], Path],
    example: str,
    deployer: str,
) -> None:
    needs_engine()
    extra = {**environment(), **({"NODEYARD_COMETBFT": binary()} if example.startswith("cometbft") else {})}
    host = "127.0.0.1"
    if deployer == "compose":
        extra |= images(example)
        host = own_address()
    elif example in SYSTEM:
        found(SYSTEM[example])
    folder = by_hand(BY_HAND[example], host) if example in BY_HAND else EXAMPLES
    home = tmp_path / "home"  # of its own: what was started by hand beside it is not Nodeyard's to remove
    home.mkdir()
    yard = Yard(Nodeyard(home, range(0), extra=extra), "")
    try:
        done = yard.home("run", folder / f"{example}.yaml", "--deployer", deployer, patience=240)
        assert done.status == 0, done.out + done.err
        assert done.out.startswith("PASS")
        yard.gone_soon()
    finally:
        yard.close()
