"""Every example with managed etcd nodes runs unchanged in a cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.support import Nodeyard, wait_for
from nodeyard.app.registry import installed
from nodeyard.app.spec_loader import load_scenario

from .clusters import REPOSITORY, image, kubeconfig, objects

pytestmark = [pytest.mark.real, pytest.mark.slow]
BORROWING = {"join"}
"""Joins nodes of the tester's own machine, which pods cannot reach at 127.0.0.1."""


def launchable() -> Iterator[Path]:
    for path in sorted((REPOSITORY / "examples").glob("*.yaml")):
        spec = load_scenario(path, installed(), {}).spec
        if spec.kind == "etcd" and spec.source.mode == "managed" and path.stem not in BORROWING:
            yield path


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Nodeyard]:
    made = Nodeyard(tmp_path, range(30000, 30001), extra={"KUBECONFIG": kubeconfig(), "NODEYARD_ETCD_IMAGE": image()})
    try:
        yield made
        wait_for(lambda: not made.processes(), "every process of the test has ended")
    finally:
        made.close()


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in launchable()])
def test_an_example_passes_unchanged_in_a_cluster(path: Path, home: Nodeyard) -> None:
    done = home("run", path, "--deployer", "k8s", patience=150)
    assert done.status == 0, done.out + done.err
    verdict = json.loads((home.only_run() / "verdict.json").read_text())
    assert verdict["verdict"] == "pass"
    assert not objects("namespace", f"nodeyard-{verdict['run']}")
