"""Each workload on real etcd nodes, from its example; repeated runs; and what a runner that is killed leaves."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import jsonschema
import pytest

from nodeyard.domain.history import Outcome, joined
from nodeyard.observability.history_file import read_history
from nodeyard.observability.schemas import schema

from .support import REPOSITORY, Nodeyard, gone_soon

pytestmark = pytest.mark.real
EXAMPLES = REPOSITORY / "examples"
SMALL = """
nodeyard: 1
kind: etcd
source: {mode: managed, deployer: {type: local}, nodes: {count: 1}}
run: {workloads: [{use: kv-register, rate: 100/s, operations: 30}]}
expectations: [{use: CHECK}]
"""


def played(nodeyard: Nodeyard, name: str) -> Path:
    done = nodeyard("run", EXAMPLES / f"{name}.yaml")
    assert done.status == 0, done.out + done.err
    assert nodeyard.leftovers() == []
    return nodeyard.only_run()


def test_registers_on_five_nodes_at_a_rate_that_is_held(nodeyard: Nodeyard) -> None:
    folder = played(nodeyard, "workload-kv-register")
    calls = joined(read_history(folder / "history.jsonl"))
    assert 480 <= len(calls) <= 500  # the last ones would be due after the end of a phase that began late
    assert {call.op for call in calls} == {"read", "write", "cas"}
    assert {call.node for call in calls} == {"n0", "n1", "n2", "n3", "n4"}
    assert {call.key for call in calls if call.key is not None}.__len__() == 16
    validator = jsonschema.Draft202012Validator(schema("history"))
    for line in (folder / "history.jsonl").read_text().splitlines()[:200]:
        validator.validate(json.loads(line))
    ended = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    (workload,) = (event for event in ended if event["event"] == "workload-ended")
    counts = Counter(call.outcome for call in calls)
    assert [workload[name] for name in ("ok", "fail", "info")] == [counts[one] for one in Outcome]


def test_nodes_that_come_and_go(nodeyard: Nodeyard) -> None:
    folder = played(nodeyard, "workload-churn")
    acts = [call for call in joined(read_history(folder / "history.jsonl")) if str(call.client).startswith("churn/")]
    assert {call.outcome for call in acts} == {Outcome.OK}
    assert {call.op for call in acts} <= {"start", "stop", "restart"}


def test_functions_beside_the_scenario(nodeyard: Nodeyard) -> None:
    folder = played(nodeyard, "workload-python")
    counts = Counter(call.op for call in joined(read_history(folder / "history.jsonl")))
    assert counts["health"] == 3
    assert counts["write"] == 5
    assert counts["cas"] > 20


def test_a_killed_runner_leaves_a_history_that_can_be_read(nodeyard: Nodeyard) -> None:
    runner = nodeyard.start("run", EXAMPLES / "workload-kv-register.yaml")
    runner.until("fault-injected")
    runner.kill()
    gone_soon(nodeyard)
    calls = joined(read_history(nodeyard.only_run() / "history.jsonl"))
    assert len(calls) > 10
    assert [call.index for call in calls] == list(range(len(calls)))


def test_repeats_tell_the_pass_rate_and_versions_are_kept(nodeyard: Nodeyard, tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL.replace("CHECK", "no-crash"))
    done = nodeyard("run", tmp_path / "small.yaml", "--repeat", "2", "--json")
    assert done.status == 0, done.err
    document = json.loads(done.out)
    assert document["repeats"] == [
        {"scenario": "scenario", "runs": 2, "passed": 2, "pass_rate": 1.0, "failures": {}}
    ]  # fmt: skip
    first, second = document["runs"]
    assert first["seed"] != second["seed"]
    versions = json.loads((Path(first["folder"]) / "versions.json").read_text())
    jsonschema.Draft202012Validator(schema("versions")).validate(versions)
    assert len(versions["nodes"]["n0"]["sha256"]) == 64
    assert versions["nodes"]["n0"]["api"] == "3.5.1"


def test_repeats_that_fail_say_whose_the_failure_is_and_how_to_repeat_it(nodeyard: Nodeyard, tmp_path: Path) -> None:
    failing = SMALL.replace("{use: CHECK}", "{use: log-absent, pattern: '.'}")
    (tmp_path / "small.yaml").write_text(failing)
    done = nodeyard("run", tmp_path / "small.yaml", "--repeat", "2", "--seed", "5")
    assert done.status == 1
    assert "0 of 2 runs of scenario passed (0 %)" in done.out
    assert "node: 2 runs, the first with seed 5: log-absent: " in done.out
    assert f"again: nodeyard run {tmp_path / 'small.yaml'} --seed 5" in done.out
