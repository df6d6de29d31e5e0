"""Nodeyard as its users have it, over a real engine, and what a run must not leave there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.support import Done, FairTime, Nodeyard, Runner, wait_for

from .engine import docker, ids, remains

SOON = 15.0
"""Seconds within which nothing of a killed runner may be left in an engine."""


REMOVING = {"container": ("rm", "-f", "-v"), "network": ("network", "rm"), "volume": ("volume", "rm"),
            "image": ("rmi", "-f")}  # fmt: skip


@dataclass
class Yard:
    """The command line in a folder of its own; ``image`` is what etcd nodes run."""

    home: Nodeyard
    image: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def managed(self, *, count: int = 1, options: Mapping[str, Any] | None = None, **node: Any) -> dict[str, Any]:
        deployer = {"type": "compose", "pull": "never", **self.options, **(options or {})}
        return {"mode": "managed", "deployer": deployer, "nodes": {"count": count, "image": self.image, **node}}

    def runs(self) -> list[str]:
        return [path.name for path in self.home.output.glob("*")] if self.home.output.exists() else []

    def left(self) -> list[str]:
        """What runs from here have in the engine, and their ledgers."""
        found = [thing for run in self.runs() for thing in remains(f"nodeyard.run={run}")]
        ledgers = self.home.state / "ledgers"
        found += [f"ledger {path.name}" for path in (ledgers.iterdir() if ledgers.exists() else ())]
        return found + [str(process) for process in self.home.processes()]

    def gone_soon(self, *, within: float = SOON) -> None:
        """Nothing is left, within so many seconds from now."""
        clock = FairTime()
        while left := self.left():
            assert clock.tick() < within, f"after {within:g} s there are still: {left}"
            wait_for(lambda: True, "", pause=0.1)

    def close(self) -> None:
        """Remove whatever a test that failed has left."""
        self.home.close()
        for run in self.runs():
            for kind, words in REMOVING.items():
                for one in ids(kind, f"nodeyard.run={run}"):
                    docker(*words, one, check=False)

    def run(self, scenario: Mapping[str, Any], *words: str | Path) -> Done:
        return self.home("run", self.home.write(scenario), *words, patience=180)

    def start(self, scenario: Mapping[str, Any]) -> Runner:
        return self.home.start("run", self.home.write(scenario))


def environment() -> dict[str, str]:
    """What reaches Nodeyard beside its own folders."""
    return {name: os.environ[name] for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG") if name in os.environ}
