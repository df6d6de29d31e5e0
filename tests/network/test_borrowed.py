"""Network faults on containers that somebody else runs: only where allowed, and gone whatever ends the run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from compose.command import Yard
from compose.conftest import engine, etcd_image, foreign, yard
from compose.engine import docker
from compose.projects import Foreign
from e2e.support import wait_for

from .support import needs, rules_in, sh

pytestmark = pytest.mark.real
__all__ = ["engine", "etcd_image", "foreign", "yard"]


def scenario(project: Foreign, *allow: str, **fault: Any) -> dict[str, Any]:
    attach = {"type": "compose", "project": project.name, "port": 2379, "expect": 3, "allow": list(allow)}
    one = {"use": "partition", "target": "leader", "at": "500ms", "for": "2s", **fault}
    return {
        "source": {"mode": "attached", "attach": attach},
        "steps": [{"run": {"for": "20s", "faults": [one]}}, {"expect": {"use": "converged", "within": "20s"}}],
    }


def pids(project: Foreign) -> dict[str, int]:
    """The first process of each container, by name."""
    shown = docker("inspect", "--format", "{{.Name}} {{.State.Pid}}", *project.containers())
    return {name.strip("/"): int(pid) for name, pid in (line.split() for line in shown.splitlines())}


def test_a_borrowed_leader_is_cut_off_and_everything_is_as_before(yard: Yard, foreign: Foreign) -> None:
    needs("compose")
    before = foreign.portrait()
    rules = {pid: rules_in(pid) for pid in pids(foreign).values()}
    done = yard.run(scenario(foreign, "network"))
    assert done.status == 0, done.out + done.err
    assert foreign.portrait() == before
    assert {pid: rules_in(pid) for pid in pids(foreign).values()} == rules
    assert yard.left() == []


def test_what_was_not_allowed_is_refused_before_the_run(yard: Yard, foreign: Foreign) -> None:
    needs("compose")
    rules = {pid: rules_in(pid) for pid in pids(foreign).values()}
    done = yard.run(scenario(foreign, "pause"))
    assert done.status == 7, done.out + done.err
    assert "'network' is not granted" in done.err
    assert {pid: rules_in(pid) for pid in pids(foreign).values()} == rules


@pytest.mark.parametrize("fault", [{"for": "15s"}, {"use": "delay", "delay": "40ms", "target": "n1", "for": "15s"}])
def test_a_killed_runner_leaves_no_rule_and_the_rules_of_others(
    fault: dict[str, Any], yard: Yard, foreign: Foreign
) -> None:
    needs("compose")
    own = pids(foreign)
    for pid in own.values():
        sh("nsenter", "-t", str(pid), "-n", "iptables", "-A", "INPUT", "-s", "203.0.113.9", "-m", "comment",
           "--comment", "nodeyard other@host@boot", "-j", "DROP")  # fmt: skip
    rules = {pid: rules_in(pid) for pid in own.values()}
    before = foreign.portrait()
    runner = yard.start(scenario(foreign, "network", **fault))
    runner.until("fault-proven")
    assert {pid: rules_in(pid) for pid in own.values()} != rules
    runner.kill()
    yard.gone_soon()
    wait_for(lambda: {pid: rules_in(pid) for pid in own.values()} == rules, "the rules are as before", patience=15.0)
    assert foreign.portrait() == before
    assert json.loads(json.dumps(pids(foreign))) == own
