"""What tests of network faults need of the machine, and how they look at it without Nodeyard."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from compose.engine import needs_engine
from e2e.support import REPOSITORY, Json, Nodeyard, found

PROGRAMS = ("ip", "nsenter", "iptables", "tc")
DEPLOYERS = ("local", "compose")
PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def needs_root() -> None:
    """Skip, loudly, where network namespaces cannot be made; fail in CI."""
    missing = [] if os.geteuid() == 0 else ["root"]
    missing += [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
    if missing and os.environ.get("CI"):
        pytest.fail(f"missing: {', '.join(missing)}")
    if missing:
        pytest.skip(f"network faults need {', '.join(missing)} (packages iproute2, iptables, util-linux)")


def needs(deployer: str) -> None:
    needs_root()
    if deployer == "compose":
        needs_engine()


def sh(*argv: str, check: bool = True) -> str:
    """What a command prints."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, "PATH": PATH})
    assert not check or done.returncode == 0, f"{argv}: {done.stderr}"
    return done.stdout


def example(home: Nodeyard, word: str, deployer: str) -> list[str | Path]:
    """The arguments that run an example by a deployer: the same text for each."""
    options = ["--deployer", "compose"] if deployer == "compose" else []
    return ["run", *options, REPOSITORY / "examples" / f"network-{word}.yaml", "--keep", "always"]


def namespaces(run: str) -> list[str]:
    """Network namespaces of a run, by name."""
    folder = Path("/run/netns")
    return sorted(p.name for p in folder.glob(f"*{run}*")) if folder.exists() else []


def cables() -> set[str]:
    """Interfaces of the machine that lead into networks of runs."""
    return {name for name in os.listdir("/sys/class/net") if name.startswith("ny") and name != "nykube0"}


def rules_in(pid: int) -> str:
    """The rules in the network namespace of a process."""
    return sh("nsenter", "-t", str(pid), "-n", "iptables", "-S")


def disabled(home: Nodeyard, patches: str) -> Nodeyard:
    """The same command line over code in which something is disabled."""
    script = home.path / "disabled.py"
    script.write_text(f"import sys\n{patches}\nfrom nodeyard.cli import main\nsys.exit(main())\n")
    home.command = (home.command[0], str(script))
    return home


def checks(events: Sequence[Json]) -> dict[str, Any]:
    """The verdict of each check, by name."""
    return {event["check"]: event["verdict"] for event in events if event["event"] == "check-evaluated"}


__all__ = ["found"]
