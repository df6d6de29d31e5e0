"""What tests of declared kinds need: examples on ports of their own, programs of the distribution, anvil, stand-ins."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from .support import PATIENCE, REPOSITORY, Nodeyard, wait_for

EXAMPLES = REPOSITORY / "examples"
ANVIL = "@foundry-rs/anvil@1.7.1"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nodeyard-tests"


def needs(program: str, package: str) -> None:
    """Skip, loudly and never in CI, where a program of the distribution is missing."""
    if shutil.which(program) is None and not os.environ.get("CI"):
        pytest.skip(f"{program} is not installed: apt-get install {package}")


def example(home: Nodeyard, name: str) -> Path:
    """A copy of an example with its kinds beside it, on ports that nobody else here uses."""
    shutil.copytree(EXAMPLES / "kinds", home.path / "kinds", dirs_exist_ok=True)
    text = (EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8")
    local = "deployer: {type: local}"
    assert text.count(local) == 1
    path = home.path / f"{name}.yaml"
    path.write_text(text.replace(local, f"deployer: {{type: local, port_range: [{home.ports[0]}, {home.ports[-1]}]}}"))
    return path


def anvil() -> Path:
    """The program, from npm, in a cache that outlives the tests. Skips where there is no npm, but never in CI."""
    folder = CACHE / ANVIL.rpartition("@")[2]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (found := sorted(folder.glob("node_modules/@foundry-rs/anvil-*/bin/anvil"))):
            if shutil.which("npm") is None and not os.environ.get("CI"):
                pytest.skip("npm is not installed, and anvil comes from it")
            words = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts", ANVIL]
            subprocess.run(words, check=True, timeout=300, capture_output=True)
            found = sorted(folder.glob("node_modules/@foundry-rs/anvil-*/bin/anvil"))
    assert found, f"{ANVIL} has no program for {platform.machine()}"
    return found[0]


@contextmanager
def anvils(home: Nodeyard, *timestamps: int) -> Iterator[list[str]]:
    """The URL of an anvil for each time of its genesis; a block every second."""
    program = anvil()
    ports = list(home.ports)[-len(timestamps) :]
    started: list[subprocess.Popen[bytes]] = []
    try:
        for port, time in zip(ports, timestamps, strict=True):
            log = (home.path / f"anvil-{port}.log").open("wb")
            words = [str(program), "--port", str(port), "--timestamp", str(time), "--block-time", "1"]
            with log:
                started.append(subprocess.Popen(words, stdout=log, stderr=log, cwd="/"))
        for port in ports:
            path = home.path / f"anvil-{port}.log"
            wait_for(lambda path=path: "Listening on" in path.read_text(errors="replace"), "anvil listens")  # type: ignore[misc]
        yield [f"http://127.0.0.1:{port}" for port in ports]
    finally:
        for process in started:
            process.kill()
            process.wait(PATIENCE)


@dataclass
class StandIn:
    """Answers GET by path with JSON, over real HTTP; ``posted`` are the bodies that came by POST."""

    answers: Mapping[str, Any]
    authorization: str | None = None
    posted: list[bytes] = field(default_factory=list)
    url: str = ""

    @contextmanager
    def serving(self) -> Iterator[StandIn]:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(200 if self.path in stand_in.answers else 404, stand_in.answers.get(self.path))

            def do_POST(self) -> None:
                stand_in.posted.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
                self._answer(200, None)

            def _answer(self, status: int, document: Any) -> None:
                if self.headers.get("Authorization") != stand_in.authorization:
                    status, document = 401, {"message": "who are you?"}
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Tests are quiet."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join(PATIENCE)
