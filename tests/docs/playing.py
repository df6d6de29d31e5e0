"""Plays a page: writes its files and runs its commands in a folder of its own, one after the other."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nodeyard._aio.clock import SystemClock
from nodeyard.app.config import Settings
from nodeyard.ledger.host import new_mark
from nodeyard.providers.deployer.local.ports import PortLocks, bindable

from .pages import ROOT, Block, Page

PATIENCE = 120.0
BY_HAND = (
    *("21379", "21380", "21479", "21480", "21579", "21580"),
    *("22656", "22657", "22756", "22757", "22856", "22857", "22956", "22957"),
)
"""The ports of ``examples/by-hand``, which a test replaces by ports that it has reserved."""


@dataclass
class Player:
    """One page, played in ``folder``. ``ports`` replace those of the cluster that is started by hand."""

    page: Page
    folder: Path
    ports: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    output: str = ""

    def play(self) -> None:
        """Every block in turn; then nothing may be left."""
        self._prepare()
        try:
            for block in self.page.played:
                self._one(block)
            assert not self._standing(), "the page leaves runs behind"
        finally:
            self._tidy()

    def _prepare(self) -> None:
        shutil.copytree(ROOT / "examples", self.folder / "examples")
        for path in (self.folder / "examples").rglob("*"):
            if path.is_file():
                mode = path.stat().st_mode
                path.write_text(self._ported(path.read_text(encoding="utf-8")), encoding="utf-8")
                path.chmod(mode)

    def _ported(self, text: str) -> str:
        for known, ours in self.ports.items():
            text = text.replace(known, ours)
        return text

    def _one(self, block: Block) -> None:
        text = self._ported(block.text)
        name = block.option("file")
        if name is not None:
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            if path.name == "pyproject.toml":
                _install(path, self.folder)
        if "output" in block.words:
            check_output(block, text, self.output)
        if "run" in block.words:
            argv = ["bash", "-euo", "pipefail", "-c", text] if block.language == "sh" else [sys.executable, "-c", text]
            self._run(block, argv)

    def _run(self, block: Block, argv: list[str]) -> None:
        done = subprocess.run(
            argv, cwd=self.folder, env=self._environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        self.output = done.stdout
        wanted = int(block.option("exit") or 0)
        assert done.returncode == wanted, f"{block}: exit status {done.returncode}, not {wanted}\n{done.stdout}"

    def _environment(self) -> dict[str, str]:
        # The cache is the user's own: locks of ports keep runs apart only where all share them.
        known = {name: value for name, value in os.environ.items() if not name.startswith("NODEYARD_")}
        ours = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "NODEYARD_STATE_DIR": str(self.folder / ".state"),
            "PYTHONPATH": str(self.folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "COLUMNS": "160",
        }
        return {**known, **ours, **self.settings}

    def _nodeyard(self, *words: str) -> str:
        argv = [sys.executable, "-m", "nodeyard", *words]
        done = subprocess.run(
            argv,
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return done.stdout

    def _standing(self) -> list[str]:
        return [row["run"] for row in json.loads(self._nodeyard("ps", "--json"))["runs"]]

    def _tidy(self) -> None:
        for run in self._standing():
            self._nodeyard("down", run)
        for pids in {path.parent for path in self.folder.rglob("h?.pid")}:
            subprocess.run([self.folder / "examples/by-hand/cluster", "down", pids], check=True, timeout=PATIENCE)
        for pids in {path.parent for path in self.folder.rglob("node?.pid")}:
            subprocess.run([self.folder / "examples/by-hand/chain", "down", pids], check=True, timeout=PATIENCE)


def check_output(block: Block, wanted: str, output: str) -> None:
    """Each line of the block is a line of the output, in this order; blanks and ``…`` are taken loosely."""
    lines = iter([" ".join(line.split()) for line in output.splitlines()])
    for line in wanted.splitlines():
        parts = " ".join(line.split()).split("…")
        pattern = re.compile(".*".join(re.escape(part) for part in parts))
        assert not line.strip() or any(pattern.fullmatch(seen) for seen in lines), f"{block}: no '{line}' in\n{output}"


def _install(project: Path, site: Path) -> None:
    """Make the entry points of a project known, as installing it would."""
    told = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    info = site / f"{told['name'].replace('-', '_')}-{told['version']}.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {told['name']}\nVersion: {told['version']}\n")
    groups = told.get("entry-points", {}).items()
    lines = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in points.items()) for group, points in groups]
    (info / "entry_points.txt").write_text("\n".join(lines))


@contextmanager
def reserved_ports(test: str) -> Iterator[dict[str, str]]:
    """A free port, locked against every run of this user, for each port of the cluster by hand."""
    locks, mark = PortLocks(Settings.load().cache), new_mark(f"docs-{os.getpid()}-{test}"[:60].rstrip("-"))
    won: list[int] = []
    try:
        free = (port for port in range(20011, 30000) if port not in locks.taken() and bindable(port, strict=True))
        while len(won) < len(BY_HAND):
            won += locks.take([next(free)], mark)
        yield dict(zip(BY_HAND, map(str, won), strict=True))
    finally:
        asyncio.run(_release(locks, won, mark))


async def _release(locks: PortLocks, won: list[int], mark: object) -> None:
    clock = SystemClock()
    await locks.release(won, mark, clock=clock, deadline=clock.now() + PATIENCE)  # type: ignore[arg-type]
