"""Whatever ends a run, nothing of it stays in the engine, and nothing of anybody else goes."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from .command import Yard
from .engine import docker, ids, inspected
from .projects import Foreign

pytestmark = pytest.mark.real

EVENTS = (
    "reaper-ready", "spec-resolved", "node-provisioned", "seeds-chosen", "node-started", "node-ready",
    "inventory-published", "operation-started", "node-exited", "operation-ended", "check-evaluated",
    "evidence-saved", "cleanup-started", "resource-removed",
)  # fmt: skip


def everything(yard: Yard) -> dict[str, Any]:
    """A scenario with most operations that ends with a paused node and a failed check."""
    return {
        "name": "everything",
        "source": yard.managed(count=1),
        "steps": [
            {"restart": {"target": "n0"}},
            {"kill": {"target": "n0"}},
            {"start": {"target": "n0"}},
            {"patch": {"target": "n0", "config": {"log-level": "debug"}}},
            {"pause": {"target": "n0"}},
            {"get": {"key": "a", "within": "200ms"}},
        ],
        "expectations": [{"use": "no-crash"}],
    }


@contextmanager
def look_alikes(yard: Yard, image: str) -> Iterator[dict[str, Any]]:
    """A container, a network and a volume of somebody else, named like those of a run and labelled nearly so."""
    name = f"nodeyard-{yard.home.path.name.replace('_', '-').lower()}"
    marks = ["--label", "nodeyard.run=everything-1", "--label", "nodeyard.mark=everything-1@other@boot",
             "--label", "com.docker.compose.project=nodeyard-everything-1"]  # fmt: skip
    docker("network", "create", *marks, f"{name}_nodes")
    docker("volume", "create", *marks, f"{name}_n0-data")
    docker("run", "-d", *marks, "--name", f"{name}-n0-1", "--network", f"{name}_nodes",
           "-v", f"{name}_n0-data:/data", image, "etcd", "--data-dir=/data")  # fmt: skip
    things = [f"{name}-n0-1", f"{name}_nodes", f"{name}_n0-data"]
    try:
        yield {thing: inspected(thing) for thing in things}
    finally:
        docker("rm", "-f", "-v", things[0], check=False)
        docker("network", "rm", things[1], check=False)
        docker("volume", "rm", things[2], check=False)


@pytest.mark.parametrize("event", EVENTS)
def test_a_killed_runner_leaves_nothing(yard: Yard, event: str) -> None:
    runner = yard.start(everything(yard))
    runner.until(event)
    runner.kill()
    yard.gone_soon()


def test_a_runner_killed_while_compose_works_leaves_nothing_and_others_notice_nothing(
    yard: Yard, foreign: Foreign
) -> None:
    """Compose is a process of its own that goes on; the reaper ends it before it looks for what it made."""
    portrait = foreign.portrait()
    network = inspected(*ids("network", f"com.docker.compose.project={foreign.name}"))
    with look_alikes(yard, yard.image) as before:
        for words in ("docker compose", "entering"):
            runner = yard.start({"source": yard.managed(count=3), "steps": [{"wait": {"for": "60s"}}]})
            runner.until("seeds-chosen")
            if words == "docker compose":
                while not any(b"compose" in p.carries for p in yard.home.processes()):
                    assert runner.process.poll() is None, runner.err
            runner.kill()
            yard.gone_soon()
        assert {thing: inspected(thing) for thing in before} == before
    assert foreign.portrait() == portrait
    assert inspected(*ids("network", f"com.docker.compose.project={foreign.name}")) == network


def test_gc_removes_what_is_left_after_a_crash_of_the_machine(yard: Yard) -> None:
    """The reaper goes first, as everything does in a crash, so that only ``gc`` is left to do it."""
    runner = yard.start({"source": yard.managed(count=1), "steps": [{"wait": {"for": "60s"}}]})
    runner.until("inventory-published")
    (ready,) = [event for event in runner.events() if event["event"] == "reaper-ready"]
    for process in yard.home.processes():
        if process.pid in (ready.get("pid"), runner.process.pid):
            process.kill()
    runner.process.wait()
    assert [thing for thing in yard.left() if thing.startswith("container")]
    assert yard.home("gc").status == 0
    assert yard.left() == []


def test_an_interrupted_run_cleans_up_itself(yard: Yard) -> None:
    runner = yard.start({"source": yard.managed(count=1), "steps": [{"wait": {"for": "60s"}}]})
    runner.until("inventory-published")
    runner.signal(signal.SIGINT)
    assert runner.wait().status == 2
    assert yard.left() == []


def test_up_hands_over_and_down_takes_down(yard: Yard) -> None:
    done = yard.home("up", yard.home.write({"source": yard.managed(count=1, name="n{index}")}), "--json")
    assert done.status == 0, done.err
    run = json.loads(done.out)["run"]
    assert "etcd Version" in yard.home("exec", run, "n0", "etcd", "--version").out
    assert "set initial cluster version" in yard.home("logs", run, "n0").out
    refused = yard.home("exec", run, "n0", "ls")
    assert "an image made from one program has no other" in refused.err
    assert yard.home("down", run).status == 0
    assert not [thing for thing in yard.left() if not thing.startswith("process")]


def test_evidence_is_there_of_containers_that_died(yard: Yard) -> None:
    """Logs, exit codes and inspect are on disk before the containers go; also of one that memory ran out for."""
    source = yard.managed(
        count=1, env={"GREETING": "a $$dollar and $${BRACES}"}, resources={"memory": "7M", "cpu": 0.5}
    )
    done = yard.run({"source": source, "readiness": {"timeout": "30s"}})
    assert done.status == 7, done.out
    assert "killed by SIGKILL, out of memory" in done.out
    (folder,) = yard.home.output.glob("*/nodes/n0")
    (said,) = [json.loads((folder / "inspect.json").read_text())]
    assert said["State"]["OOMKilled"]
    assert said["HostConfig"]["Memory"] == 7_000_000
    assert said["HostConfig"]["NanoCpus"] == 500_000_000
    assert "GREETING=a $dollar and ${BRACES}" in said["Config"]["Env"]
    assert "killed by SIGKILL, out of memory" in (folder / "diagnostics.txt").read_text()
