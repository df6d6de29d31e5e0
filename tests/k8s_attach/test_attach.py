"""Attaching to pods that somebody else runs, on a real cluster, by the command that users type."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.support import Nodeyard
from k8s.clusters import a_namespace, image, kubeconfig, kubectl, objects

from .borrowed import apply_alone, apply_cluster, config_with, state_of, user_of

pytestmark = pytest.mark.real

SCENARIO = """
nodeyard: 1
name: borrowed
kind: etcd
source:
  mode: attached
  attach: {attach}
readiness: {{policy: all, timeout: 30s}}
deadline: 2m
steps:
{steps}
expectations:
  - {{use: reachable}}
"""
READ_AND_WRITE = """
  - put: {key: nodeyard/borrowed, value: seen, target: any}
  - get: {key: nodeyard/borrowed, expect: seen, target: etcd-1}
  - expect: {use: converged, within: 10s}
"""


@pytest.fixture(scope="module")
def devnet() -> Iterator[str]:
    kubeconfig()
    with a_namespace("devnet") as name:
        apply_cluster(name, image())
        yield name


@pytest.fixture
def home(tmp_path: Path) -> Nodeyard:
    return Nodeyard(tmp_path, range(30000, 30001), extra={"KUBECONFIG": kubeconfig()})


def scenario(home: Nodeyard, attach: dict[str, Any], steps: str = READ_AND_WRITE) -> Path:
    path = home.path / "scenario.yaml"
    path.write_text(SCENARIO.format(attach=json.dumps({"type": "k8s", **attach}), steps=steps.strip("\n")))
    return path


@pytest.mark.parametrize("access", ["auto", "pod-ip", "node-port", "port-forward", "api-proxy"])
def test_a_scenario_passes_by_each_way_and_changes_nothing(home: Nodeyard, devnet: str, access: str) -> None:
    before = state_of(devnet)
    path = scenario(
        home, {"namespace": devnet, "selector": "app=etcd", "port": "client", "access": access, "expect": 3}
    )
    done = home("run", str(path))
    assert done.status == 0, done.err
    (nodes,) = [json.loads((run / "inventory.json").read_text())["nodes"] for run in home.output.iterdir()]
    details = [node["origins"][0]["details"] for node in nodes]
    assert {d["owner"] for d in details} == {"StatefulSet/etcd"}
    assert {d["access"] for d in details} == {"pod-ip" if access == "auto" else access}
    assert state_of(devnet) == before


def test_attach_runs_under_exactly_the_role_that_is_shipped(home: Nodeyard, devnet: str) -> None:
    home.extra = {"KUBECONFIG": user_of(devnet, home.path, kubeconfig())}
    path = scenario(home, {"selector": "app=etcd", "access": "port-forward", "expect": 3})
    done = home("run", str(path))
    assert done.status == 0, done.err
    allowing = scenario(home, {"selector": "app=etcd", "expect": 3, "allow": ["restart"]})
    refused = home("preflight", str(allowing))
    assert refused.status == 7
    assert f"delete pods in namespace {devnet}" in refused.err
    assert "kind: Role" in refused.out
    assert "name: reader" in refused.out
    proxied = home("run", str(scenario(home, {"selector": "app=etcd", "access": "api-proxy"})))
    assert proxied.status == 7
    assert "pods/proxy" in proxied.err


def test_the_roles_that_preflight_prints_can_be_applied_and_are_enough(home: Nodeyard, devnet: str) -> None:
    with a_namespace("bare") as other:
        kubectl("create", "serviceaccount", "bare", "-n", other)
        token = kubectl("create", "token", "bare", "-n", other).strip()
        home.extra = {"KUBECONFIG": config_with(home.path, kubeconfig(), {"token": token}, other)}
        path = scenario(home, {"namespace": devnet, "selector": "app=etcd", "access": "port-forward", "expect": 3})
        told = home("preflight", str(path), "--json")
        assert (told.status, told.document["errors"][0]["code"]) == (7, "permission-missing")
        refused = home("preflight", str(path))
        assert told.document["remedy"] == refused.out
        kubectl("apply", "-f", "-", stdin=refused.out)
        try:
            assert home("preflight", str(path)).status == 0
        finally:
            kubectl("delete", "role,rolebinding", "nodeyard", "-n", devnet)


def test_a_pod_that_is_not_ready_is_a_partial_discovery(home: Nodeyard, devnet: str) -> None:
    with a_namespace("partial") as name:
        apply_alone(name, image(), "Deployment", "etcd")
        kubectl("scale", "deployment/etcd", "-n", name, "--replicas=0")
        kubectl("wait", "--for=delete", "pods", "--all", "-n", name, "--timeout=30s")
        kubectl(
            "patch",
            "deployment/etcd",
            "-n",
            name,
            "--type=json",
            "-p",
            '[{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "no.such/image:1"}]',
        )
        kubectl("scale", "deployment/etcd", "-n", name, "--replicas=1")
        kubectl("wait", "--for=create", "pods", "-l", "app=etcd", "-n", name, "--timeout=30s")
        kubectl("wait", "--for=jsonpath={.status.podIP}", "pods", "-l", "app=etcd", "-n", name, "--timeout=30s")
        path = scenario(home, {"namespace": [devnet, name], "selector": "app=etcd", "port": "client", "expect": 4})
        done = home("attach", str(path))
        assert done.status == 7
        assert "declares 4 nodes" in done.err
        assert f"pod {name}/etcd-" in done.err
        assert "is not ready" in done.err


@pytest.mark.parametrize("kind", ["StatefulSet", "Deployment"])
def test_a_restart_that_is_allowed_deletes_the_pod_and_waits_for_the_next(
    home: Nodeyard, devnet: str, kind: str
) -> None:
    name = f"alone-{kind.lower()}"
    apply_alone(devnet, image(), kind, name)
    (before,) = objects("pods", "-n", devnet, "-l", f"app={name}")
    foreign = state_of(devnet)
    options = {"namespace": devnet, "selector": f"app={name}", "access": "port-forward", "allow": ["restart", "logs"]}
    path = scenario(home, options, "  - restart: {target: all}")
    done = home("run", str(path))
    assert done.status == 0, done.err
    (after,) = objects("pods", "-n", devnet, "-l", f"app={name}")
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    mine = {f"Pod/{pod['metadata']['name']}" for pod in (before, after)}
    now = state_of(devnet)
    assert {k: v for k, v in now.items() if k not in mine} == {k: v for k, v in foreign.items() if k not in mine}


def test_what_is_not_allowed_is_refused_before_anything_happens(home: Nodeyard, devnet: str) -> None:
    before = state_of(devnet)
    path = scenario(home, {"namespace": devnet, "selector": "app=etcd"}, "  - restart: {target: etcd-0}")
    done = home("run", str(path))
    assert done.status == 7
    assert "'restart' is not granted" in done.err
    stop = scenario(
        home, {"namespace": devnet, "selector": "app=etcd", "allow": ["stop"]}, "  - stop: {target: etcd-0}"
    )
    done = home("run", str(stop))
    assert done.status == 7
    assert "'stop' is not supported" in done.err
    assert state_of(devnet) == before


@pytest.mark.parametrize(
    ("attach", "status", "text"),
    [
        ({"context": "nowhere"}, 4, "there is no context 'nowhere'"),
        ({"namespace": "no-such-namespace"}, 7, "has no nodes"),
        ({"port": "grpc"}, 7, "has no port 'grpc' (its ports: client 2379, peer 2380)"),
        ({"selector": "app in (etcd"}, 7, "unable to parse requirement"),
    ],
    ids=["context", "namespace", "port", "selector"],
)
def test_what_cannot_be_found_says_why(
    home: Nodeyard, devnet: str, attach: dict[str, Any], status: int, text: str
) -> None:
    done = home("attach", str(scenario(home, {"namespace": devnet, "selector": "app=etcd", **attach})))
    assert done.status == status, done.err
    assert text in " ".join(done.err.split())
    assert "Traceback" not in done.err


def test_expired_credentials_and_a_silent_server_are_typed(home: Nodeyard, devnet: str) -> None:
    path = scenario(home, {"namespace": devnet, "selector": "app=etcd"})
    home.extra = {"KUBECONFIG": config_with(home.path, kubeconfig(), {"token": "expired"}, devnet)}
    done = home("attach", str(path), "--json")
    assert (done.status, json.loads(done.out)["errors"][0]["code"]) == (7, "credentials-refused")
