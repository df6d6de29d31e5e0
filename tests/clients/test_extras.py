"""Backends whose optional package is missing say which, and how to get it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nodeyard.errors.base import ExitStatus
from nodeyard.providers._clients.extras import needed

WITHOUT = """
import sys
sys.modules[sys.argv[1]] = None
from nodeyard.cli.group import invoke
sys.exit(invoke(sys.argv[2:]))
"""
MANAGED = """
nodeyard: 1
name: s
kind: etcd
source: {mode: managed, deployer: {type: local}, nodes: {count: 1}}
"""
ATTACHED = """
nodeyard: 1
name: s
kind: etcd
source: {mode: attached, attach: {type: compose, project: theirs}}
"""
ATTACHED_K8S = ATTACHED.replace("type: compose, project: theirs", "type: k8s, selector: app=etcd")


@pytest.mark.parametrize(
    ("scenario", "argv", "package", "said", "extra"),
    [
        (MANAGED, ["plan", "--deployer", "compose"], "aiodocker", "the compose deployer", "docker"),
        (MANAGED.replace("local", "compose"), ["plan"], "aiodocker", "the compose deployer", "docker"),
        (ATTACHED, ["attach"], "aiodocker", "compose attach", "docker"),
        (MANAGED.replace("local", "k8s"), ["plan"], "lightkube", "the k8s deployer", "k8s"),
        (ATTACHED_K8S, ["attach"], "lightkube", "k8s attach", "k8s"),
    ],
)
def test_a_missing_extra_is_named(
    tmp_path: Path, scenario: str, argv: list[str], package: str, said: str, extra: str
) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(scenario)
    asked = [sys.executable, "-c", WITHOUT, package, argv[0], str(file), *argv[1:]]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == ExitStatus.USAGE, done.stderr
    assert f"{said} needs the package {package}" in done.stderr
    assert f"hint: pip install 'nodeyard[{extra}]'" in done.stderr


def test_another_missing_module_stays_a_defect() -> None:
    with pytest.raises(ModuleNotFoundError), needed("it", "aiodocker", extra="docker"):
        raise ModuleNotFoundError(name="nodeyard.typo")
