"""An engine of a test's own, for what must not be done to the one that everybody uses. Needs root."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.authority import Authority
from e2e.support import wait_for


@dataclass(frozen=True)
class Private:
    """Where it is."""

    url: str


@contextmanager
def private_engine(folder: Path, *, disk: str, tls: Path | None = None) -> Iterator[Private]:
    """A ``dockerd`` with a disk of this size and no networks of its own, until the end of the block."""
    if os.getuid() or shutil.which("dockerd") is None:
        pytest.skip("only root can start an engine of its own, where there is dockerd")
    root = Path("/tmp") / f"nodeyard-engine-{os.getpid()}"  # sockets have short names
    data = root / "data"
    data.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={disk}", "tmpfs", data], check=True)
    inside = f"unix://{root}/docker.sock"
    words = ["dockerd", "--data-root", data, "--exec-root", root / "exec", "--pidfile", root / "pid"]
    # A bridge of its own: an engine without any removes 'docker0', which belongs to everybody's.
    bridge = f"ny{os.getpid()}"
    subprocess.run(["ip", "link", "add", bridge, "type", "bridge"], check=True)
    subprocess.run(["ip", "addr", "add", f"10.215.{os.getpid() % 250}.1/24", "dev", bridge], check=True)
    words += ["--bridge", bridge, "--iptables=false", "--host", inside]
    url = inside
    if tls is not None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            url = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
        words += ["--host", url, "--tlsverify", "--tlscacert", tls / "ca.pem", "--tlscert", tls / "cert.pem"]
        words += ["--tlskey", tls / "key.pem"]
    with (folder / "dockerd.log").open("w") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        wait_for(lambda: _answers(inside) or process.poll() is not None, "the engine answers", pause=0.1)
        assert process.poll() is None, (folder / "dockerd.log").read_text()
        yield Private(url)
    finally:
        process.terminate()
        process.wait(30)
        subprocess.run(["ip", "link", "delete", bridge], check=False)
        subprocess.run(["umount", "--lazy", data], check=True)
        shutil.rmtree(root, ignore_errors=True)


def _answers(url: str) -> bool:
    return subprocess.run(["docker", "--host", url, "version"], capture_output=True, check=False).returncode == 0


def certificates(folder: Path) -> Path:
    """``ca.pem``, and ``cert.pem`` with ``key.pem`` that server and client share."""
    pair = Authority(folder).issue("both")
    pair.cert.rename(folder / "cert.pem")
    pair.key.rename(folder / "key.pem")
    return folder
