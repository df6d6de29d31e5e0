"""Each fault on three real etcd nodes, from its example: injected, proven, healed, and the data is still there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .support import REPOSITORY, Nodeyard, gone_soon

pytestmark = pytest.mark.real
EXAMPLES = sorted((REPOSITORY / "examples").glob("fault-*.yaml"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_example_of_a_fault_passes(nodeyard: Nodeyard, example: Path) -> None:
    done = nodeyard("run", example, "--keep", "always")
    assert done.status == 0, done.out + done.err
    told = [json.loads(line) for line in (nodeyard.only_run() / "journal.jsonl").read_text().splitlines()]
    faults = [event for event in told if event["event"].startswith("fault-")]
    kinds = [event["event"].removeprefix("fault-") for event in faults]
    assert kinds[:3] == ["injected", "proven", "healed"]
    assert kinds.count("injected") == kinds.count("proven") == kinds.count("healed")
    assert all(event["node"] in {"n0", "n1", "n2"} for event in faults)
    (check,) = (e for e in told if e["event"] == "check-evaluated" and e["check"].startswith("fault "))
    assert check["verdict"] == "pass"
    assert nodeyard.leftovers() == []


def test_a_runner_that_is_killed_while_a_node_is_frozen_leaves_nothing(nodeyard: Nodeyard) -> None:
    runner = nodeyard.start("run", REPOSITORY / "examples" / "fault-pause.yaml")
    runner.until("fault-proven")
    runner.kill()
    gone_soon(nodeyard)


def test_an_interrupt_while_a_node_is_down_heals_and_cleans_up(nodeyard: Nodeyard) -> None:
    runner = nodeyard.start("run", REPOSITORY / "examples" / "fault-kill.yaml", "--keep", "always")
    runner.until("fault-proven")
    runner.signal(2)
    assert runner.wait().status == 2
    told = [event["event"] for event in runner.events()]
    assert "fault-healed" in told
    assert told.index("fault-healed") < told.index("cleanup-started")
    assert nodeyard.leftovers() == []
