"""Real runners, really killed: whatever they made is gone, and nobody else's is touched."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nodeyard.domain.run_identity import MARK_VARIABLE
from nodeyard.ledger.file import reaper_log_path
from nodeyard.providers._clients import process

from .support import RunnerProcess, runs

pytestmark = pytest.mark.real


def test_nothing_is_left_of_a_killed_runner(runner: RunnerProcess) -> None:
    folder = Path(runner.ask("make"))
    nodes = [runner.node(), runner.node("forget"), runner.node()]
    reaper = runner.reaper()
    assert (folder / "data").exists()
    runner.kill()
    assert reaper.ends(), "it is the watcher itself that becomes the reaper and ends"
    assert not any(node.runs for node in nodes)
    assert not (folder / "data").exists()
    assert list(runner.ledger.parent.iterdir()) == []


def test_a_run_beside_it_and_a_foreign_process_stay(
    runner: RunnerProcess, runner_of: Callable[[], RunnerProcess]
) -> None:
    other = runner_of()
    ours, theirs, canary = runner.node(), other.node("forget"), subprocess.Popen(["sleep", "1000"])
    reaper = runner.reaper()
    try:
        runner.kill()
        assert reaper.ends()
        assert not ours.runs
        assert theirs.runs
        assert canary.poll() is None
        assert os.listdir(runner.ledger.parent) == [other.ledger.name]
    finally:
        canary.kill()
        canary.wait()


def test_a_runner_killed_before_its_first_process_leaves_nothing(runner: RunnerProcess) -> None:
    folder = Path(runner.ask("make"))
    reaper = runner.reaper()
    runner.kill()
    assert reaper.ends()
    assert not (folder / "data").exists()
    assert list(runner.ledger.parent.iterdir()) == []


def test_the_reaper_is_out_of_reach_of_whatever_ends_the_run(runner: RunnerProcess) -> None:
    node, reaper = runner.node(), runner.reaper()
    known, mine = process.facts(reaper.pid), process.facts(runner.process.pid)
    assert known
    assert mine
    assert known.session == known.group == reaper.pid
    assert mine.session != reaper.pid
    environment = process.parse_environment(process.raw_environment(reaper.pid))
    assert MARK_VARIABLE not in environment
    assert environment["TOY"] == "1"
    assert os.readlink(f"/proc/{reaper.pid}/cwd") == "/"
    assert {os.readlink(f"/proc/{reaper.pid}/fd/{fd}") for fd in range(3)} == {"/dev/null"}
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        reaper.signal(number)
    runner.kill()
    assert reaper.ends()
    assert not node.runs
    assert not runner.ledger.exists()


def test_a_child_that_holds_the_runners_pipe_keeps_nobody_waiting(runner: RunnerProcess) -> None:
    node = runner.node()
    fork, reaper = runner.node("fork"), runner.reaper()
    runner.kill()
    assert reaper.ends()
    assert fork.runs
    assert not node.runs
    assert not runner.ledger.exists()


def test_an_orderly_end_ends_the_reaper_and_touches_nothing(runner: RunnerProcess) -> None:
    node, reaper = runner.node(), runner.reaper()
    before = runner.ledger.read_bytes()
    assert runner.ask("finish") == "finished"
    assert process.facts(reaper.pid) is None, "it ended and was collected"
    assert runner.end() == 0
    assert node.runs
    assert runner.ledger.read_bytes() == before


@pytest.mark.parametrize(("word", "answer"), [("leave", "left"), ("raise", "raised as it is")])
def test_a_run_that_is_given_up_is_carried_out_although_its_process_goes_on(
    runner: RunnerProcess, word: str, answer: str
) -> None:
    node, reaper = runner.node(), runner.reaper()
    assert runner.ask(word) == answer
    assert reaper.ends()
    assert not node.runs
    assert not runner.ledger.exists()
    assert runner.process.poll() is None


def test_a_killed_reaper_is_replaced_by_one_that_does_the_same(runner: RunnerProcess) -> None:
    node, first = runner.node(), runner.reaper()
    first.signal(signal.SIGKILL)
    assert first.ends()
    more = runner.node()  # waits at the gate
    second = runner.reaper()
    assert second.pid != first.pid
    assert process.facts(first.pid) is None
    runner.kill()
    assert second.ends()
    assert not node.runs
    assert not more.runs
    assert not runner.ledger.exists()


def test_when_reapers_die_again_and_again_nothing_more_may_be_made(runner: RunnerProcess) -> None:
    node = runner.node()
    answers = []
    for _ in range(3):
        reaper = runner.reaper()
        reaper.signal(signal.SIGKILL)
        assert reaper.ends()
        answers.append(runner.ask("start"))
    runner.watch(int(answers[0]))
    runner.watch(int(answers[1]))
    assert answers[2].startswith("reaper-unavailable: no reaper watches")
    assert len(runner.ledger_state.entries) == 3
    assert node.runs
    assert runner.ask("finish") == "finished"


def test_a_handed_over_run_lives_until_its_time_is_over(runner: RunnerProcess) -> None:
    node, reaper = runner.node(), runner.reaper()
    started = time.monotonic()
    assert runner.ask("detach 2") == "detached"
    assert runner.ask("finish") == "finished", "which has no effect any more"
    detached = runner.ledger_state.detached
    assert detached
    assert detached.ttl == 2.0
    assert runner.end() == 0
    assert node.ends()
    assert time.monotonic() - started >= 2.0
    assert reaper.ends()
    assert not runner.ledger.exists()


def test_a_runner_killed_after_it_handed_over_changes_nothing(runner: RunnerProcess) -> None:
    node, reaper = runner.node(), runner.reaper()
    assert runner.ask("detach 600") == "detached"
    runner.kill()
    assert not reaper.ends(0.2)
    assert node.runs
    assert runner.ledger.exists()


def test_a_reaper_killed_after_the_hand_over_is_replaced_and_told(runner: RunnerProcess) -> None:
    node, first = runner.node(), runner.reaper()
    assert runner.ask("detach 600") == "detached"
    first.signal(signal.SIGKILL)
    assert first.ends()
    second_node = runner.node()
    second = runner.reaper()
    assert runner.end() == 0
    assert not second.ends(0.2)
    assert node.runs
    assert second_node.runs


def test_what_the_reaper_could_not_do_stands_in_its_log(runner: RunnerProcess) -> None:
    assert runner.ask("strange") == "e1"
    node, reaper = runner.node(), runner.reaper()
    runner.kill()
    assert node.ends(), "what can be removed is removed"
    log = reaper_log_path(runner.ledger)
    while not log.exists() or "deployer:absent" not in log.read_text():
        assert reaper.runs
    assert "1 resource of the run could not be removed" in log.read_text()
    assert "is not installed here" in log.read_text()
    assert [entry.id for entry in runner.ledger_state.entries] == ["e1"]
    assert runs(reaper.pid), "it tries again"
