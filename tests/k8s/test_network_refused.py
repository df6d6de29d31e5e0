"""Network faults on pods whose networks the tester cannot reach: refused before anything is made, with the reason."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
from lightkube.models.core_v1 import NodeAddress, NodeStatus
from lightkube.resources.core_v1 import Node

from e2e.support import Json, Nodeyard
from k8s_attach.borrowed import apply_alone, config_with, state_of
from nodeyard.domain.network_rules import Effect
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import PermissionMissing
from nodeyard.providers._clients.kube import nearby
from nodeyard.providers._clients.kube.cluster import Cluster

from .clusters import a_namespace, image, kubeconfig, kubectl, objects

FAULTS: list[Json] = [{"use": "partition"}, {"use": "loss", "loss": 0.1}, {"use": "delay", "delay": "10ms"}]
FAULTS += [{"use": "bandwidth", "rate": "1mbit"}]
EFFECTS = {"partition": "cut", "loss": "loss", "delay": "delay", "bandwidth": "bandwidth"}
POWERLESS = ("setpriv", "--bounding-set=-all", "--") if os.geteuid() == 0 else ()
"""Takes all rights of root from what it runs, which can still read the files of whoever runs the tests."""
OURS = next(a.address for addresses in psutil.net_if_addrs().values() for a in addresses if a.family in nearby.FAMILIES)
OTHER = "192.0.2.7"


class Machines:
    """A cluster with machines at these addresses, or one that tells nothing of them."""

    def __init__(self, *addresses: str, error: NodeyardError | None = None) -> None:
        self._addresses = addresses
        self._error = error

    async def list_all(self, _resource: object, _namespace: str | None) -> tuple[Sequence[Node], str]:
        if self._error is not None:
            raise self._error
        return [Node(status=NodeStatus(addresses=[NodeAddress(a, "InternalIP")])) for a in self._addresses], "1"


@pytest.mark.parametrize(
    ("machines", "here"),
    [
        (Machines(OURS), True),
        (Machines(OTHER), False),
        (Machines(OURS, OTHER), False),
        (Machines(), False),
        (Machines(error=PermissionMissing("not permitted to list nodes", operation="list")), False),
    ],
    ids=["this", "another", "this-and-another", "none", "unlisted"],
)
def test_pods_are_near_only_where_every_machine_is_known_to_be_this_one(machines: Machines, here: bool) -> None:
    assert asyncio.run(nearby.all_here(cast(Cluster, machines))) is here


def test_pods_elsewhere_are_a_problem_for_each_effect() -> None:
    problems = asyncio.run(nearby.network_problems(set(Effect), {}, here=False))
    assert problems == [f"'{effect}' on a network: {nearby.ELSEWHERE}" for effect in sorted(Effect)]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Nodeyard]:
    made = Nodeyard(tmp_path, range(30000, 30001), extra={"KUBECONFIG": kubeconfig(), "NODEYARD_ETCD_IMAGE": image()})
    try:
        yield made
    finally:
        made.close()


def write(home: Nodeyard, source: Json) -> Path:
    steps = [{"run": {"for": "1s", "faults": [{**fault, "target": "any", "for": "200ms"}]}} for fault in FAULTS]
    return home.write({"name": "refused", "source": source, "steps": steps})


def managed(**options: Any) -> Json:
    return {"mode": "managed", "deployer": {"type": "k8s", "pull": "never", **options}, "nodes": {"count": 3}}


@pytest.mark.real
@pytest.mark.parametrize("command", ["preflight", "run"])
def test_without_root_each_fault_on_pods_of_ours_is_refused(command: str, home: Nodeyard) -> None:
    home.command = (*POWERLESS, *home.command)
    with a_namespace() as given:
        done = home(command, write(home, managed(namespace=given)))
        said = " ".join(done.err.split())
        assert done.status == 4, done.err
        for index, fault in enumerate(FAULTS):
            effect = EFFECTS[fault["use"]]
            assert f"steps.{index}.run.faults.0.{fault['use']}: this machine cannot do '{effect}' to a network" in said
        assert said.count("not permitted (it takes root)") == len(FAULTS)
        assert not objects("pods,services,leases", "-n", given), "nothing was made"


@pytest.mark.real
def test_where_the_machines_may_not_be_listed_each_fault_is_refused(home: Nodeyard) -> None:
    with a_namespace() as given:
        kubectl("create", "serviceaccount", "tester", "-n", given)
        kubectl("create", "role", "tester", "-n", given, "--verb=*", "--resource=*.*")
        kubectl("create", "rolebinding", "tester", "-n", given, "--role=tester", f"--serviceaccount={given}:tester")
        token = kubectl("create", "token", "tester", "-n", given).strip()
        home.extra = {**home.extra, "KUBECONFIG": config_with(home.path, kubeconfig(), {"token": token}, given)}
        done = home("preflight", write(home, managed(namespace=given)))
        assert done.status == 4, done.err
        said = " ".join(done.err.split())
        assert all(f"'{effect}' on a network: {nearby.ELSEWHERE}" in said for effect in EFFECTS.values()), done.err


@pytest.mark.real
@pytest.mark.parametrize("powers", [(), POWERLESS], ids=["with-root", "without-root"])
def test_borrowed_pods_are_no_target_and_stay_as_they_are(powers: tuple[str, ...], home: Nodeyard) -> None:
    home.command = (*powers, *home.command)
    with a_namespace("borrowed") as theirs:
        apply_alone(theirs, image(), "Deployment", "etcd")
        before = state_of(theirs)
        attach = {"type": "k8s", "namespace": theirs, "selector": "app=etcd", "allow": ["network"]}
        for command in ("preflight", "run"):
            done = home(command, write(home, {"mode": "attached", "attach": attach}))
            assert done.status == 7, done.err
            said = " ".join(done.err.split())
            for index, fault in enumerate(FAULTS):
                assert f"steps.{index}.run.faults.0.{fault['use']}: 'network' is not supported on etcd-" in said
            assert f"by its attached source 'k8s:{theirs}'" in said
        assert state_of(theirs) == before
