"""A real engine for tests: there, or the test says why not. What tests ask of it goes past Nodeyard, by ``docker``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

BUSYBOX = Path("/bin/busybox")


def docker(*words: str, check: bool = True, **more: Any) -> str:
    """What a docker command prints."""
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False, timeout=120, **more)
    assert not check or done.returncode == 0, f"docker {' '.join(words)}: {done.stderr}"
    return done.stdout.strip()


def needs_engine() -> None:
    """Skip where there is no engine; fail where there has to be one."""
    missing = None if shutil.which("docker") else "the docker command"
    if missing is None and subprocess.run(["docker", "version"], capture_output=True, check=False).returncode:
        missing = "an engine that answers"
    if missing is None and not BUSYBOX.exists():
        missing = f"{BUSYBOX} (apt-get install busybox-static)"
    if missing and os.environ.get("CI"):
        pytest.fail(f"{missing} is missing")
    if missing:
        pytest.skip(f"{missing} is missing: '../shared/bin/docker-engine up' starts an engine")


def ids(kind: str, *filters: str) -> list[str]:
    """Ids of containers (also stopped ones), networks, volumes or images with all these labels."""
    words = {"container": ["ps", "-aq", "--no-trunc"], "network": ["network", "ls", "-q", "--no-trunc"],
             "volume": ["volume", "ls", "-q"], "image": ["images", "-q", "--no-trunc"]}[kind]  # fmt: skip
    chosen = [word for label in filters for word in ("--filter", f"label={label}")]
    return sorted(docker(*words, *chosen).split())


def remains(label: str) -> list[str]:
    """Everything in the engine with this label."""
    return [f"{kind} {one}" for kind in ("container", "network", "volume", "image") for one in ids(kind, label)]


def inspected(*things: str) -> Any:
    """``docker inspect``, for comparing before and after."""
    return json.loads(docker("inspect", *things))


def env(extra: dict[str, str] | None = None) -> dict[str, str]:
    """What adapters need of the environment."""
    known = {name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_HOST", "DOCKER_CONTEXT") if name in os.environ}
    return known | (extra or {})


def shell(code: str) -> Sequence[str]:
    """Arguments that make busybox run a script."""
    return ("sh", "-c", code)
