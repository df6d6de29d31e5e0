"""The manifests of a plan make a chain by ``kubectl apply`` alone, which is nobody's to clean up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from e2e.conftest import nodeyard as nodeyard
from e2e.conftest import ports as ports
from e2e.support import REPOSITORY, Nodeyard
from etcd.etcd_processes import wait_until
from k8s.clusters import kubeconfig, kubectl, objects

from .borrowed import data_of, heights
from .chain_pods import PodChain, chain_image, listed

pytestmark = pytest.mark.real
NAMES = ("v0", "v1", "v2", "v3")


def test_the_manifests_of_the_example_are_a_chain_without_nodeyard(nodeyard: Nodeyard, tmp_path: Path) -> None:
    nodeyard.extra = {"KUBECONFIG": kubeconfig(), "NODEYARD_COMETBFT_IMAGE": chain_image(tmp_path / "image")}
    planned = nodeyard("plan", "--manifests", REPOSITORY / "examples" / "cometbft.yaml", "--deployer", "k8s")
    assert planned.status == 0, planned.err
    made: list[dict[str, Any]] = list(YAML(typ="safe", pure=True).load_all(planned.out))
    (namespace,) = [item["metadata"]["name"] for item in made if item["kind"] == "Namespace"]
    joining = nodeyard("plan", "--manifests", REPOSITORY / "examples" / "cometbft-join.yaml", "--deployer", "k8s")
    assert joining.status == 4
    assert "there are no manifests of n0, n1: only a run learns" in joining.err
    try:
        kubectl("apply", "-f", "-", stdin=planned.out)
        kubectl("wait", "--for=condition=Ready", "pods", "--all", "-n", namespace, "--timeout=60s")
        chain = PodChain(namespace, listed(namespace, dict(zip(NAMES, NAMES, strict=True))))
        wait_until(lambda: min(heights(chain).values()) >= 3, "every validator has three blocks")
        told = data_of(chain, 2)
        assert len({peer for peer, _ in told.values()}) == 4
        assert len({blocks for _, blocks in told.values()}) == 1
        assert not objects("leases", "-n", namespace)
        context = kubectl("config", "current-context").strip()
        collected = nodeyard("gc", "--context", context, "--dry-run", "--json")
        assert namespace.removeprefix("nodeyard-") not in [row["run"] for row in collected.document["runs"]]
        restarts = [
            s["restartCount"] for pod in objects("pods", "-n", namespace) for s in pod["status"]["containerStatuses"]
        ]
        assert restarts == [0, 0, 0, 0]
    finally:
        kubectl("delete", "pods", "--all", "-n", namespace, "--grace-period=0", "--force", check=False)
        kubectl("delete", "namespace", namespace, "--wait=false", check=False)
