"""Runners on a real cluster are killed after each kind of event, beside things of others that must not notice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.support import Json, Nodeyard, Runner
from nodeyard.domain.events import event_types

from .clusters import image, kubeconfig
from .killing import Canaries, Trial, carry_out, some_canaries

pytestmark = pytest.mark.real

BOOTSTRAP = "run-started reaper-ready phase-started spec-resolved node-provisioned inventory-merged seeds-chosen"
BOOTSTRAP += " node-started node-probed node-identified node-ready readiness-reached preflight-passed"
BOOTSTRAP += " inventory-published"
STEPS = "step-started step-ended operation-started node-exited operation-ended check-evaluated error-recorded"
TRAFFIC = "traffic-started workload-started fault-injected fault-proven fault-healed workload-ended traffic-ended"
END = "evidence-saved history-summarised cleanup-started resource-removed run-ended"
EVENTS = f"{BOOTSTRAP} {STEPS} {TRAFFIC} {END}".split()
OPERATIONS = ("restart", "pause", "resume", "kill", "start", "patch")
ELSEWHERE = {
    "node-discovered", "node-joined", "network-adopted",  # only beside borrowed nodes
    "discovery-partial", "identity-changed", "grants-revoked", "conflict-overridden", "operation-denied",  # of those
    "program-wanted", "program-made",  # pods have images
    "reaper-replaced", "run-detached",  # by a kill of the reaper, and by 'up'
    "cleanup-failed", "counterexample-found", "log-errors-found",  # of a run that went wrong
}  # fmt: skip
"""What the journal of a run that makes all of its nodes in a cluster does not have when all goes well."""
QUICK = {"heartbeat-interval": 20, "election-timeout": 200, "unsafe-no-fsync": True}
ONE: Json = {"target": "n0"}


@pytest.fixture(scope="module")
def canaries() -> Iterator[Canaries]:
    kubeconfig()
    with some_canaries() as made:
        yield made


def everything(home: Nodeyard, **options: str) -> Runner:
    """Every operation, traffic with a fault, and at the end a node that is paused, a failed step and evidence."""
    phase = {
        "for": "1s",
        "workloads": [{"use": "kv-register", "rate": "50/s", "clients": 2, "keys": 2}],
        "faults": [{"use": "pause", **ONE, "at": "50ms", "for": "200ms"}],
    }
    steps: list[Json] = [
        {"put": {"key": "a", "value": "b"}},
        *({word: ONE} for word in OPERATIONS[:-1]),
        {"patch": {**ONE, "config": {"log-level": "debug"}}},
        {"run": phase},
        {"expect": {"use": "reachable"}},
        {"pause": ONE},
        {"get": {"key": "a", "within": "200ms"}},
    ]
    deployer = {"type": "k8s", "pull": "never", **options}
    source = {"mode": "managed", "deployer": deployer, "nodes": {"count": 1, "config": QUICK}}
    scenario = {"name": "everything", "source": source, "readiness": {"timeout": "30s"}, "steps": steps}
    return home.start("run", home.write({**scenario, "expectations": [{"use": "no-crash"}]}))


def a_home(path: Path) -> Nodeyard:
    path.mkdir()
    return Nodeyard(path, range(30000, 30001), extra={"KUBECONFIG": kubeconfig(), "NODEYARD_ETCD_IMAGE": image()})


def test_every_kind_of_event_is_a_point_where_a_runner_is_killed() -> None:
    assert set(EVENTS) | ELSEWHERE == {kind.name for kind in event_types()}
    assert not set(EVENTS) & ELSEWHERE


def test_nothing_is_left_of_runners_killed_after_each_kind_of_event(tmp_path: Path, canaries: Canaries) -> None:
    def after(event: str) -> Trial:
        return Trial(a_home(tmp_path / event), everything, lambda runner: runner.until(event))

    journals = carry_out({event: after(event) for event in EVENTS}, canaries)
    whole = {record["event"] for record in journals["run-ended"]}
    assert whole == set(EVENTS), "what the list has is what the journal of a whole run has"


def test_nothing_is_left_of_runners_killed_within_each_operation_in_somebodys_namespace(
    tmp_path: Path, canaries: Canaries
) -> None:
    def within(operation: str) -> Trial:
        def begin(home: Nodeyard) -> Runner:
            return everything(home, namespace=canaries.namespace)

        return Trial(
            a_home(tmp_path / operation), begin, lambda runner: runner.until("operation-started", operation=operation)
        )

    carry_out({operation: within(operation) for operation in OPERATIONS}, canaries)
