"""The levels hold, and the contract that holds them bites on every kind of violation."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT = Path(sys.executable).with_name("lint-imports")

PLANTED = {
    "errors see the domain": ("errors/base.py", "nodeyard.domain.verdict"),
    "the clock sees the domain": ("_aio/clock.py", "nodeyard.domain.verdict"),
    "errors see the clock": ("errors/provider.py", "nodeyard._aio.clock"),
    "the domain sees ports": ("domain/identity.py", "nodeyard.ports.ledger"),
    "the domain sees the runtime": ("domain/selectors.py", "nodeyard.runtime.node"),
    "ports see a provider": ("ports/deployer.py", "nodeyard.providers.deployer.local.options"),
    "ports see bootstrap": ("ports/readiness.py", "nodeyard.bootstrap.network"),
    "bootstrap sees the runtime": ("bootstrap/peering.py", "nodeyard.runtime.node"),
    "bootstrap sees observability": ("bootstrap/cleanup.py", "nodeyard.observability.journal"),
    "the runtime sees bootstrap": ("runtime/node.py", "nodeyard.bootstrap.gate"),
    "the runtime sees a kind": ("runtime/node_ops.py", "nodeyard.kinds.etcd"),
    "a provider sees a kind": ("providers/deployer/local/ports.py", "nodeyard.kinds.etcd.flags"),
    "a kind sees a provider": ("kinds/etcd/launch.py", "nodeyard.providers.deployer.local.options"),
    "the ledger sees observability": ("ledger/file.py", "nodeyard.observability.journal"),
    "observability sees the ledger": ("observability/report.py", "nodeyard.ledger.file"),
    "expectations see a kind": ("runtime/exits.py", "nodeyard.expectations.reachable"),
    "bootstrap sees an expectation": ("bootstrap/planning.py", "nodeyard.expectations.no_crash"),
    "an expectation sees app": ("expectations/reachable.py", "nodeyard.app.config"),
    "the runtime sees app": ("runtime/context.py", "nodeyard.app.config"),
    "app sees the command line": ("app/session.py", "nodeyard.cli.output"),
    "app sees testing": ("app/wiring.py", "nodeyard.testing.fakes"),
    "a provider sees testing": ("providers/attach/static/provider.py", "nodeyard.testing.fakes"),
}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the copy in ``folder`` by the contracts of the project."""
    command = [str(LINT), "--no-cache"]
    environment = {"PYTHONPATH": str(folder / "src"), "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_levels_hold(copy: Path) -> None:
    found = lint(copy)
    assert found.returncode == 0, found.stdout
    assert "1 kept, 0 broken" in found.stdout


def test_every_planted_violation_is_found(copy: Path) -> None:
    """All at once, and each is named: one that went unnoticed among the others is missing from the list."""
    for place, imported in PLANTED.values():
        path = copy / "src" / "nodeyard" / place
        path.write_text(path.read_text() + f"\nimport {imported}  # planted\n")
    found = lint(copy)
    assert found.returncode != 0
    told = " ".join(found.stdout.split())
    unnoticed = []
    for name, (place, imported) in PLANTED.items():
        importer = "nodeyard." + place.removesuffix(".py").replace("/", ".")
        if f"{importer} -> {imported}" not in told:
            unnoticed.append(name)
    assert not unnoticed, found.stdout


def test_a_new_package_needs_a_level(copy: Path) -> None:
    (copy / "src" / "nodeyard" / "elsewhere").mkdir()
    (copy / "src" / "nodeyard" / "elsewhere" / "__init__.py").write_text("")
    found = lint(copy)
    assert found.returncode != 0
    assert "elsewhere" in found.stdout + found.stderr
