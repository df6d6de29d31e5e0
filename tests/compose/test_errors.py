"""What goes wrong with an engine is told by its own name, with what to do; and nothing is left."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from pathlib import Path

import pytest

from e2e.support import Done, Nodeyard

from .command import Yard, environment
from .engine import docker
from .private import certificates, private_engine

pytestmark = pytest.mark.real


def told(done: Done, *texts: str, status: int = 7) -> None:
    assert done.status == status, done.out + done.err
    for text in (*texts, "hint: "):
        assert text in done.out + done.err
    assert "Traceback" not in done.out + done.err


def test_no_engine(yard: Yard) -> None:
    done = yard.run({"source": yard.managed(options={"host": "unix:///run/no-engine.sock"})})
    told(
        done,
        "the Docker engine at unix:///run/no-engine.sock (the option 'host') does not answer",
        "No such file or directory",
        "hint: start it ('docker version' shows whether it answers), or set DOCKER_HOST",
    )


def test_no_permission(yard: Yard, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tried as a user who is not root, and so may not use the engine's socket."""
    if os.getuid() or not shutil.which("setpriv"):
        pytest.skip("only root can become somebody else")
    home = Nodeyard(Path("/tmp") / f"nodeyard-nobody-{os.getpid()}", range(0), extra=environment())
    home.path.mkdir(mode=0o777)
    home.path.chmod(0o777)
    home.command = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-m", "nodeyard")
    try:
        done = home("run", home.write({"source": yard.managed()}))
        told(done, "may not be used by this user", "add your user to the group 'docker'")
    finally:
        home.close()
        shutil.rmtree(home.path)


@pytest.mark.parametrize(
    ("answer", "old", "expected"),
    [
        ("exit 1", True, "the docker command has no 'compose'; "),
        ("exit 1", False, "the docker command has no 'compose' ("),
        ("echo 2.3.4", False, "Compose is version 2.3.4, and 2.17 or later is needed"),
    ],
)
def test_compose_is_too_old_or_not_there(yard: Yard, answer: str, old: bool, expected: str) -> None:
    programs = yard.home.path / "bin"
    programs.mkdir()
    scripts = {"docker": f'case "$1" in compose) {answer};; esac'} | ({"docker-compose": "echo 1.29.2"} if old else {})
    for name, body in scripts.items():
        (programs / name).write_text(f"#!/bin/sh\n{body}\n")
        (programs / name).chmod(0o755)
    yard.home.extra = {**yard.home.extra, "PATH": str(programs)}
    done = yard.run({"source": yard.managed()})
    assert done.status == 4, done.out
    assert expected in done.out + done.err
    assert "install Compose v2 as a plugin of the docker command" in done.out + done.err


def test_an_image_that_is_not_there(yard: Yard) -> None:
    nowhere = "127.0.0.1:9/nobody/etcd:1"
    never = yard.run({"source": yard.managed(image=nowhere)})
    assert never.status == 4
    assert f"image '{nowhere}' (from the scenario's 'image') is not there, and 'pull: never'" in never.out + never.err
    missing = yard.run({"source": yard.managed(image=nowhere, options={"pull": "missing"})})
    told(missing, "[provisioning/image-not-found]", "hint: correct 'image', pull or build it by hand")


def test_a_port_that_is_taken(yard: Yard) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = yard.run({"source": yard.managed(options={"ports": {"n0": {"client": port}}})})
    told(done, "[provisioning/port-taken]", f"{port}", "n0: a port that the scenario asks for is in use")


def test_no_addresses_are_left(yard: Yard) -> None:
    name = f"nodeyard-test-{os.getpid()}"
    third = os.getpid() % 250
    docker("network", "create", "--subnet", f"10.214.{third}.0/24", name)
    try:
        done = yard.run({"source": yard.managed(options={"subnets": f"10.214.{third}.0/25"})})
    finally:
        docker("network", "rm", name)
    told(done, "[provisioning/addresses-exhausted]", f"no subnet for 1 nodes is free in 10.214.{third}.0/25")


def test_an_image_without_the_program(yard: Yard, busybox_image: str) -> None:
    done = yard.run({"source": yard.managed(image=busybox_image)})
    told(done, "n0: its program cannot be started in its image", '"etcd": executable file not found')


def test_a_container_that_ends_at_once(yard: Yard) -> None:
    done = yard.run({"source": yard.managed(env={"ETCD_QUOTA_BACKEND_BYTES": "nonsense"})})
    told(done, "n0", "exit status")


def test_a_full_disk(yard: Yard, tmp_path: Path) -> None:
    """An engine of the test's own, whose disk is smaller than the image of one etcd."""
    with private_engine(tmp_path, disk="20m") as engine:
        yard.home.extra = {**yard.home.extra, "DOCKER_HOST": engine.url}
        source = {"mode": "managed", "deployer": {"type": "compose"}, "nodes": {"count": 1}}
        done = yard.run({"source": source})
        told(done, "[provisioning/disk-full]", "the engine's disk is full", "no space left on device")
        left = docker("--host", engine.url, "ps", "-aq") + docker("--host", engine.url, "images", "-q")
        assert left == ""


def test_an_engine_behind_tls(yard: Yard, tmp_path: Path) -> None:
    """With the right certificates it is found to be empty; with others it refuses, and says so."""
    good, bad = certificates(tmp_path / "good"), certificates(tmp_path / "bad")
    attach = {"source": {"mode": "attached", "attach": {"type": "compose", "project": "none"}}}
    with private_engine(tmp_path, disk="20m", tls=good) as engine:
        for folder, words in ((good, "projects of this engine: none"), (bad, "refuses TLS")):
            yard.home.extra = {
                **yard.home.extra, "DOCKER_HOST": engine.url, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(folder),
            }  # fmt: skip
            done = yard.home("attach", yard.home.write(attach))
            assert done.status == 7
            assert words in done.err
        yard.home.extra = {**yard.home.extra, "DOCKER_TLS_VERIFY": ""}
        assert "[discovery/discovery-failed]" in yard.home("attach", yard.home.write(attach)).err
