"""Ctrl-C and SIGTERM: once ends the run in order, twice ends the process at once and leaves the rest to the reaper."""

from __future__ import annotations

import fcntl
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from .support import FairTime, Json, Nodeyard, Runner, found, gone_soon, script

pytestmark = pytest.mark.real
AT_ONCE = 1.0
"""Seconds between the second signal and the end of the process."""


def verdict_of(nodeyard: Nodeyard) -> Json:
    found: Json = json.loads((nodeyard.only_run() / "verdict.json").read_text())
    return found


def in_bootstrap(nodeyard: Nodeyard) -> Runner:
    """A run that waits for a node that never answers."""
    binary = script(nodeyard.path / "mute", "echo I will not answer >&2; exec sleep 100")
    runner = nodeyard.start(
        "run", nodeyard.write({"source": nodeyard.managed(binary=str(binary)), "expectations": [{"use": "reachable"}]})
    )
    runner.until("node-probed")
    return runner


def in_a_step(nodeyard: Nodeyard) -> Runner:
    """A run that waits in a step."""
    steps = [{"put": {"key": "a", "value": "b"}}, {"wait": {"for": "100s"}}]
    scenario = {"source": nodeyard.managed(), "steps": steps, "expectations": [{"use": "reachable"}]}
    runner = nodeyard.start("run", nodeyard.write(scenario))
    runner.until("step-started", step="wait")
    return runner


def before_cleanup(nodeyard: Nodeyard) -> Runner:
    """A run that will pass, long before it cleans up."""
    scenario = {"source": nodeyard.managed(), "expectations": [{"use": "reachable"}]}
    runner = nodeyard.start("run", nodeyard.write(scenario))
    runner.until("phase-started", phase="start")
    return runner


@contextmanager
def cleanup_held(nodeyard: Nodeyard) -> Iterator[None]:
    """Nobody can carry out the ledger inside the block: its lock is ours."""
    (path,) = (nodeyard.state / "ledgers").glob("*.jsonl")
    with path.open("rb") as ledger:
        fcntl.flock(ledger, fcntl.LOCK_EX)
        yield


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
@pytest.mark.parametrize("stage", [in_bootstrap, in_a_step], ids=lambda stage: stage.__name__)
def test_one_signal_ends_the_run_in_order(nodeyard: Nodeyard, stage: object, number: signal.Signals) -> None:
    assert callable(stage)
    runner = stage(nodeyard)
    runner.signal(number)
    done = runner.wait()
    assert done.status == 2
    assert nodeyard.leftovers() == []
    assert f"{number.name}: taking everything down; once more" in done.err
    assert f"ended by {number.name}" in done.out
    verdict = verdict_of(nodeyard)
    assert verdict["verdict"] == "unknown"
    assert [error["code"] for error in verdict["errors"]] == ["interrupted"]
    assert [(check["name"], check["verdict"]) for check in verdict["checks"]] == [("reachable", "unknown")]
    folder = nodeyard.only_run()
    assert (folder / "nodes" / "n0" / "stderr.log").stat().st_size, "evidence is saved"
    assert (folder / "report.html").exists()
    assert (folder / "junit.xml").exists()
    names = [record["event"] for record in runner.events()]
    assert names.index("evidence-saved") < names.index("cleanup-started") < names.index("resource-removed")
    assert found(runner.events(), "run-ended", verdict="unknown", exit_status=2)


def test_ctrl_c_at_the_very_beginning_leaves_nothing(nodeyard: Nodeyard) -> None:
    runner = nodeyard.start("run", nodeyard.write({"source": nodeyard.managed(), "steps": [{"wait": {"for": "100s"}}]}))
    runner.until("run-started")
    runner.signal(signal.SIGINT)
    done = runner.wait()
    assert done.status == 2
    assert "Traceback" not in done.err
    gone_soon(nodeyard)


def test_one_signal_during_cleanup_changes_nothing(nodeyard: Nodeyard) -> None:
    runner = before_cleanup(nodeyard)
    with cleanup_held(nodeyard):
        runner.until("phase-started", phase="cleanup")
        runner.signal(signal.SIGINT)
        runner.until_says("once more")
        assert runner.process.poll() is None
    done = runner.wait()
    assert done.status == 0, "it had passed"
    assert nodeyard.leftovers() == []
    assert verdict_of(nodeyard)["verdict"] == "pass"


@pytest.mark.parametrize("stage", [in_bootstrap, in_a_step], ids=lambda stage: stage.__name__)
def test_two_signals_end_it_at_once(nodeyard: Nodeyard, stage: object) -> None:
    assert callable(stage)
    runner = stage(nodeyard)
    with cleanup_held(nodeyard):
        runner.signal(signal.SIGINT)
        runner.until("phase-started", phase="cleanup")
        ends_at_once(runner, signal.SIGINT)
    gone_soon(nodeyard)
    verdict = verdict_of(nodeyard)
    assert verdict["verdict"] == "unknown"
    assert [error["code"] for error in verdict["errors"]] == ["interrupted"]
    assert [check["verdict"] for check in verdict["checks"]] == ["unknown"]


def test_two_signals_during_cleanup_do_not_take_the_verdict(nodeyard: Nodeyard) -> None:
    runner = before_cleanup(nodeyard)
    with cleanup_held(nodeyard):
        runner.until("phase-started", phase="cleanup")
        runner.signal(signal.SIGINT)
        runner.until_says("once more")
        ends_at_once(runner, signal.SIGTERM)
    gone_soon(nodeyard)
    verdict = verdict_of(nodeyard)
    assert verdict["verdict"] == "pass"
    assert [error["code"] for error in verdict["errors"]] == ["interrupted"]


def ends_at_once(runner: Runner, number: int) -> None:
    assert runner.process.poll() is None
    fair = FairTime()
    runner.signal(number)
    assert runner.wait().status == 2
    assert fair.tick() < AT_ONCE
