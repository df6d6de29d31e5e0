"""Whole runs on a real cluster, by the command that users type: they pass, they fail for a reason, nothing is left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.support import Json, Nodeyard, wait_for

from . import killing
from .clusters import REPOSITORY, a_namespace, image, kubeconfig, kubectl, objects
from .gateways import Gateway
from .killing import Census

pytestmark = pytest.mark.real
QUICK = {"heartbeat-interval": 20, "election-timeout": 200, "unsafe-no-fsync": True}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Nodeyard]:
    made = Nodeyard(tmp_path, range(30000, 30001), extra={"KUBECONFIG": kubeconfig(), "NODEYARD_ETCD_IMAGE": image()})
    try:
        yield made
        wait_for(lambda: not made.processes(), "every process of the test has ended")
    finally:
        made.close()


def write(home: Nodeyard, *steps: Json, count: int = 1, node: Json | None = None, **options: Any) -> Path:
    deployer = {"type": "k8s", "pull": "never", **options}
    nodes = {"count": count, **({"config": QUICK} if count == 1 else {}), **(node or {})}
    source = {"mode": "managed", "deployer": deployer, "nodes": nodes}
    checks = [{"use": "reachable"}, {"use": "no-crash"}]
    readiness = {"timeout": "30s"}
    return home.write(
        {"name": "k", "source": source, "readiness": readiness, "steps": list(steps), "expectations": checks}
    )


def left_of(home: Nodeyard) -> list[str]:
    return Census().of(home)


def gone_soon(home: Nodeyard) -> None:
    killing.gone_soon(home, Census())


def codes(done: Any) -> list[str]:
    return [error["code"] for error in done.document["runs"][0]["errors"]] if done.document.get("runs") else []


def verdict_of(home: Nodeyard) -> Json:
    found: Json = json.loads((home.only_run() / "verdict.json").read_text())
    return found


def test_the_quickstart_passes_unchanged_and_leaves_nothing(home: Nodeyard) -> None:
    done = home("run", REPOSITORY / "examples" / "quickstart.yaml", "--deployer", "k8s")
    assert done.status == 0, done.err
    assert (home.only_run() / "manifests.yaml").read_text().count("kind: Pod") == 3
    assert not left_of(home)


def test_every_operation_works_and_data_outlives_them_all(home: Nodeyard) -> None:
    target = {"target": "n0"}
    steps: list[Json] = [
        {"put": {"key": "a", "value": "b"}},
        *({word: target} for word in ("restart", "pause", "resume", "kill", "start", "stop", "start")),
        {"patch": {**target, "config": {"log-level": "debug"}}},
        {"get": {"key": "a", "expect": "b"}},
    ]
    done = home("run", write(home, *steps, access="port-forward"))
    assert done.status == 0, done.err
    told = map(json.loads, (home.only_run() / "journal.jsonl").read_text().splitlines())
    ends = [event for event in told if event["event"] == "node-exited"]
    assert all(end["expected"] for end in ends)
    assert not left_of(home)


def test_in_a_given_namespace_only_what_is_the_runs_goes(home: Nodeyard) -> None:
    with a_namespace() as given:
        kubectl("create", "secret", "generic", "kept", "-n", given, "--from-literal=a=b")
        before = objects("secrets,configmaps", "-n", given)
        runner = home.start("run", write(home, {"wait": {"for": "60s"}}, namespace=given))
        runner.until("step-started")
        assert [pod["metadata"]["labels"]["nodeyard.dev/node"] for pod in objects("pods", "-n", given)] == ["n0"]
        runner.kill()
        gone_soon(home)
        assert objects("secrets,configmaps", "-n", given) == before
        assert objects("namespace", given)


def test_gc_removes_what_a_lost_machine_left_and_never_a_live_run(home: Nodeyard, tmp_path: Path) -> None:
    live = home.start("run", write(home, {"wait": {"for": "120s"}}, lease="5s"))
    live.until("step-started")
    lost = Nodeyard(tmp_path / "lost", home.ports, extra=home.extra)
    lost.path.mkdir()
    assert lost("up", write(lost, lease="5s"), "--ttl", "1s").status == 0
    for process in lost.processes():
        process.kill()  # its reaper: with the ledger it is all that this machine knows of the run
    try:
        wait_for(lambda: "would remove" in _gc(home, "--dry-run").out, "the lease runs out", pause=0.5)
        dry = _gc(home, "--dry-run", "--json")
        rows = {row["run"]: row["action"] for row in dry.document["runs"]}
        assert rows[lost.only_run().name] == "would-remove"
        assert rows[live.run] == "kept"
        assert left_of(lost)
        done = _gc(home, "--json")
        assert done.status == 0, done.err
        assert not left_of(lost)
        assert left_of(home)
    finally:
        live.signal(2)
        live.wait()
    assert not left_of(home)


def _gc(home: Nodeyard, *words: str) -> Any:
    name = kubectl("config", "current-context").strip()
    return home("gc", "--context", name, *words)


def test_the_manifests_of_a_plan_are_a_network_without_nodeyard(home: Nodeyard) -> None:
    with a_namespace() as given:
        path = write(home, count=3, namespace=given)
        told = home("plan", path, "--manifests")
        assert told.status == 0, told.err
        kubectl("apply", "-f", "-", stdin=told.out)
        kubectl("wait", "--for=condition=Ready", "pods", "--all", "-n", given, "--timeout=60s")
        again = home("plan", REPOSITORY / "examples" / "quickstart.yaml", "--manifests")
        assert again.status == 4
        assert "has no manifests" in again.err


@pytest.mark.parametrize(
    ("node", "options", "code", "text"),
    [
        ({"image": "nodeyard.test/no-such:1"}, {}, "provisioning-failed", "ErrImageNeverPull"),
        ({"image": "no.such.host/image:1"}, {"pull": "missing"}, "provisioning-failed", "ImagePullBackOff"),
        ({"resources": {"cpu": 4000}}, {}, "provisioning-failed", "Unschedulable"),
        ({}, {"node_selector": {"no.such/label": "x"}}, "provisioning-failed", "Unschedulable"),
        ({}, {"namespace": "no-such-namespace"}, "provisioning-failed", "there is no namespace"),
        ({}, {"arch": "arm64"}, "provisioning-failed", "Unschedulable"),
    ],
    ids=["never", "backoff", "cpu", "selector", "namespace", "arch"],
)  # fmt: skip
def test_what_cannot_run_ends_the_wait_at_once(node: Json, options: Json, code: str, text: str, home: Nodeyard) -> None:
    done = home("run", write(home, node=node, **options))
    assert done.status == 7
    (error,) = verdict_of(home)["errors"]
    assert (error["code"], text in error["message"]) == (code, True), error
    assert error["hint"]
    assert not left_of(home)


def test_refusals_of_quota_and_admission_are_told_as_they_are(home: Nodeyard, tmp_path: Path) -> None:
    with a_namespace(**{"pod-security.kubernetes.io/enforce": "restricted"}) as given:
        assert home("run", write(home, namespace=given)).status == 0, "the pods hold to the restricted level"
        other = Nodeyard(tmp_path / "other", home.ports, extra=home.extra)
        other.path.mkdir()
        assert other("run", write(other, namespace=given, restricted=False)).status == 7
        assert "violates PodSecurity" in verdict_of(other)["errors"][0]["message"]
        assert not left_of(other)
    with a_namespace() as given:
        kubectl("create", "quota", "none", "-n", given, "--hard=pods=0")
        third = Nodeyard(tmp_path / "third", home.ports, extra=home.extra)
        third.path.mkdir()
        assert third("run", write(third, namespace=given)).status == 7
        error = verdict_of(third)["errors"][0]
        assert "exceeded quota" in error["message"]
        assert "quota" in error["hint"]
        assert not left_of(third)


def test_a_namespace_that_is_stuck_on_its_way_out_is_told_before_and_after(home: Nodeyard) -> None:
    with a_namespace() as given:
        kubectl("create", "configmap", "anchor", "-n", given)
        _anchor(given, '["nodeyard.test/anchor"]')
        kubectl("delete", "namespace", given, "--wait=false")
        try:
            assert home("run", write(home, namespace=given)).status == 7
            assert "being terminated" in verdict_of(home)["errors"][0]["message"]
        finally:
            _anchor(given, "null")


def _anchor(namespace: str, finalizers: str) -> None:
    patch = f'{{"metadata": {{"finalizers": {finalizers}}}}}'
    kubectl("patch", "configmap", "anchor", "-n", namespace, "--type=merge", "-p", patch)


def test_a_pod_that_is_evicted_is_an_end_that_nobody_asked_for(home: Nodeyard) -> None:
    runner = home.start("run", write(home, {"wait": {"for": "3s"}}, {"start": {"target": "n0"}}))
    runner.until("step-started")
    namespace = f"nodeyard-{runner.run}"
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "n0", "namespace": namespace}}
    path = f"/api/v1/namespaces/{namespace}/pods/n0/eviction"
    kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))
    told = runner.until("node-exited")
    assert not told["expected"]
    done = runner.wait()
    assert done.status == 1, done.err
    assert [c["verdict"] for c in verdict_of(home)["checks"] if c["name"] == "no-crash"] == ["fail"]
    assert not left_of(home)


def test_an_api_server_that_restarts_in_mid_run_is_outlived(home: Nodeyard, tmp_path: Path) -> None:
    with Gateway(kubeconfig()) as gateway:
        home.extra = {**home.extra, "KUBECONFIG": gateway.kubeconfig(tmp_path)}
        runner = home.start("run", write(home, {"wait": {"for": "2s"}}, {"restart": {"target": "n0"}}))
        runner.until("step-started")
        gateway.cut()
        runner.until("operation-started")
        gateway.restore()
        done = runner.wait()
        assert done.status == 0, done.err
    home.extra = {**home.extra, "KUBECONFIG": kubeconfig()}
    assert not left_of(home)


def test_an_api_server_that_stays_away_fails_the_run_and_the_reaper_removes_it_later(
    home: Nodeyard, tmp_path: Path
) -> None:
    with Gateway(kubeconfig()) as gateway:
        home.extra = {**home.extra, "KUBECONFIG": gateway.kubeconfig(tmp_path)}
        runner = home.start("run", write(home, {"wait": {"for": "1s"}}, {"restart": {"target": "n0"}}))
        runner.until("step-started")
        gateway.cut()
        done = runner.wait(150)
        assert done.status == 7
        errors = verdict_of(home)["errors"]
        assert errors[0]["code"] in ("backend-unavailable", "operation-failed")
        assert "gives no answer" in errors[0]["message"]
        gateway.restore()
        gone_soon(home)
