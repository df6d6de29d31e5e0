"""The runner is killed after each kind of event in turn, beside a foreign etcd that must not notice."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from etcd.etcd_processes import EtcdCluster
from nodeyard.domain.events import event_types

from .support import Json, Nodeyard, Portrait, gone_soon, wait_for

pytestmark = pytest.mark.real

BOOTSTRAP = (
    "run-started phase-started reaper-ready spec-resolved node-provisioned seeds-chosen node-started node-probed"
)
BOOTSTRAP += " node-identified inventory-merged node-ready readiness-reached preflight-passed inventory-published"
STEPS = "step-started step-ended operation-started operation-ended node-exited check-evaluated error-recorded"
END = "evidence-saved cleanup-started resource-removed run-ended"
TRAFFIC = "traffic-started workload-started fault-injected fault-proven fault-healed workload-ended traffic-ended"
TRAFFIC += " history-summarised"
JOINING = "node-discovered node-joined"
SPECIAL = {
    "reaper-replaced": "test_the_reaper_that_replaced_another_carries_it_out",
    "run-detached": "test_up.py: from then on the runner is not needed",
}
WITHOUT_RESOURCES = {"discovery-partial", "identity-changed", "grants-revoked", "conflict-overridden"}
WITHOUT_RESOURCES |= {"operation-denied", "cleanup-failed"}
"""Told of borrowed nodes, of a refusal or of a failure; none of them goes with something that is made."""
BESIDE = {"program-wanted", "program-made", "network-adopted", "counterexample-found", "log-errors-found"}
"""Told before anything is made, or of what was seen; nothing that they announce has to be removed."""


def everything(nodeyard: Nodeyard) -> Json:
    """A scenario that uses every operation and ends with a node that is paused, a failed step and evidence."""
    return {
        "name": "everything",
        "source": nodeyard.managed(),
        "steps": [
            {"put": {"key": "a", "value": "b"}},
            {"restart": {"target": "n0"}},
            {"pause": {"target": "n0"}},
            {"resume": {"target": "n0"}},
            {"kill": {"target": "n0"}},
            {"start": {"target": "n0"}},
            {"patch": {"target": "n0", "config": {"log-level": "debug"}}},
            {"expect": {"use": "reachable"}},
            {"pause": {"target": "n0"}},
            {"get": {"key": "a", "within": "200ms"}},
        ],
        "expectations": [{"use": "no-crash"}],
    }


def waiting(nodeyard: Nodeyard) -> Json:
    """A scenario that stands still as soon as its node is up."""
    return {"source": nodeyard.managed(), "steps": [{"wait": {"for": "60s"}}]}


def traffic(nodeyard: Nodeyard) -> Json:
    """A phase with traffic in which the node is frozen and goes on."""
    phase = {
        "for": "1s",
        "workloads": [{"use": "kv-register", "rate": "50/s", "clients": 2, "keys": 2}],
        "faults": [{"use": "pause", "target": "n0", "at": "50ms", "for": "200ms"}],
    }
    return {"name": "traffic", "source": nodeyard.managed(), "steps": [{"run": phase}]}


def test_every_kind_of_event_is_a_point_where_a_runner_is_killed() -> None:
    here = set(f"{BOOTSTRAP} {STEPS} {TRAFFIC} {END} {JOINING}".split())
    assert here | set(SPECIAL) | WITHOUT_RESOURCES | BESIDE == {kind.name for kind in event_types()}


@pytest.mark.parametrize("event", f"{BOOTSTRAP} {STEPS} {END}".split())
def test_nothing_is_left_of_a_runner_killed_after(event: str, nodeyard: Nodeyard, canary: EtcdCluster) -> None:
    before = Portrait.of(canary)
    runner = nodeyard.start("run", nodeyard.write(everything(nodeyard)))
    runner.until(event)
    runner.kill()
    gone_soon(nodeyard)
    assert Portrait.of(canary) == before


@pytest.mark.parametrize("event", TRAFFIC.split())
def test_nothing_is_left_of_a_runner_killed_amid_traffic(event: str, nodeyard: Nodeyard, canary: EtcdCluster) -> None:
    before = Portrait.of(canary)
    runner = nodeyard.start("run", nodeyard.write(traffic(nodeyard)))
    runner.until(event)
    runner.kill()
    gone_soon(nodeyard)
    assert Portrait.of(canary) == before


@pytest.mark.parametrize("operation", ["restart", "pause", "resume", "kill", "start", "patch"])
def test_nothing_is_left_of_a_runner_killed_within(operation: str, nodeyard: Nodeyard, canary: EtcdCluster) -> None:
    before = Portrait.of(canary)
    runner = nodeyard.start("run", nodeyard.write(everything(nodeyard)))
    runner.until("operation-started", operation=operation)
    runner.kill()
    gone_soon(nodeyard)
    assert Portrait.of(canary) == before


def test_nothing_is_left_of_a_program_that_hangs_when_it_is_asked(nodeyard: Nodeyard) -> None:
    """For its version, before any node is made."""
    asked, program = nodeyard.path / "asked", nodeyard.path / "hangs"
    program.write_text(f"#!/bin/sh\nsleep 100 &\n: > {asked}\nwait\n")
    program.chmod(0o755)
    runner = nodeyard.start("run", nodeyard.write({"source": nodeyard.managed(binary=str(program))}))
    wait_for(asked.exists, "it is asked for its version")
    runner.kill()
    gone_soon(nodeyard)


def test_the_reaper_that_replaced_another_carries_it_out(nodeyard: Nodeyard) -> None:
    runner = nodeyard.start("run", nodeyard.write(waiting(nodeyard)))
    first = runner.until("reaper-ready")
    runner.until("node-started")
    os.kill(first["pid"], signal.SIGKILL)
    second = runner.until("reaper-replaced")
    assert second["pid"] != first["pid"]
    runner.kill()
    gone_soon(nodeyard)


def test_what_a_killed_runner_had_written_stays(nodeyard: Nodeyard) -> None:
    runner = nodeyard.start("run", nodeyard.write(waiting(nodeyard)))
    runner.until("step-started")
    kinds = {what.split()[0] for what in nodeyard.leftovers()}
    assert kinds == {"process", "ledger", "port", "data"}, "what the other tests look for is there to be found"
    assert len(nodeyard.processes()) == 3, [str(p) for p in nodeyard.processes()]
    runner.kill()
    gone_soon(nodeyard)
    folder = nodeyard.only_run()
    assert [json.loads(line)["event"] for line in (folder / "journal.jsonl").read_text().splitlines()]
    assert (folder / "nodes" / "n0" / "stderr.log").stat().st_size
    rows = nodeyard("ps", "--all", "--json").document["runs"]
    assert [(row["run"], row["state"], row["left"]) for row in rows] == [(folder.name, "ended", 0)]
    shown = nodeyard("inspect", folder.name)
    assert shown.status == 0
    assert "it has no verdict" in shown.out
    assert nodeyard("report", folder.name).out.strip() == str(folder / "report.html")


@pytest.fixture
def joining(nodeyard: Nodeyard, borrowed: EtcdCluster) -> Path:
    """Two nodes that join somebody else's three, are used, killed and started again."""
    external = [
        {"name": node.name, "endpoints": {"client": str(node.endpoint.url)}, "allow": ["join"]}
        for node in borrowed.nodes
    ]
    return nodeyard.write(
        {
            "name": "joining",
            "source": {**nodeyard.managed(count=2), "external": external},
            "readiness": {"policy": "source-aware", "managed": "all", "external": 2},
            "steps": [
                {"put": {"key": "joined", "value": "x", "target": "n0"}},
                {"kill": {"target": "n1"}},
                {"start": {"target": "n1"}},
            ],
            "expectations": [{"use": "reachable"}],
        }
    )


@pytest.mark.parametrize(
    "event", f"{JOINING} node-started step-started operation-ended cleanup-started resource-removed".split()
)
def test_a_borrowed_cluster_has_its_members_again(
    event: str, joining: Path, nodeyard: Nodeyard, borrowed: EtcdCluster
) -> None:
    before = Portrait.of(borrowed)
    runner = nodeyard.start("run", joining)
    runner.until(event)
    runner.kill()
    gone_soon(nodeyard)
    assert Portrait.of(borrowed).members == before.members
    assert Portrait.of(borrowed).pids == before.pids


def test_a_run_that_joins_and_leaves_passes(joining: Path, nodeyard: Nodeyard, borrowed: EtcdCluster) -> None:
    before = Portrait.of(borrowed)
    done = nodeyard("run", joining)
    assert done.status == 0, done.err
    assert nodeyard.leftovers() == []
    assert Portrait.of(borrowed).members == before.members
