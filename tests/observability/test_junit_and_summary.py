"""What others read of a run: the JUnit file for machines, and the last lines for people."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeyard.domain.verdict import Check, ErrorRecord, RunVerdict, Verdict
from nodeyard.errors.base import ExitStatus
from nodeyard.observability.drawing import CONTROL
from nodeyard.observability.junit import junit_xml
from nodeyard.observability.redaction import MASK, Redactor
from nodeyard.observability.summary import (
    ERROR_LINES,
    EVIDENCE_LINES,
    repeat_command,
    summary_lines,
    summary_text,
    why_command,
)

from . import stories
from .samples import any_event
from .stories import Timed


def suite_of(text: str) -> ElementTree.Element:
    suite = ElementTree.fromstring(text.encode()).find("testsuite")
    assert suite is not None
    cases = suite.findall("testcase")
    assert suite.get("tests") == str(len(cases))
    assert suite.get("failures") == str(len(suite.findall("testcase/failure")))
    assert suite.get("errors") == str(len(suite.findall("testcase/error")))
    assert suite.get("skipped") == str(len(suite.findall("testcase/skipped")))
    return suite


def test_a_verdict_without_secrets_tells_none_anywhere(tmp_path: Path) -> None:
    """Reasons and errors quote what nodes and people's code say; a password in them reaches no reader."""
    told = stories.failing()
    said = "no entry for s3cret-word"
    outcome = RunVerdict(
        run="kv-20300102-1a2b",
        seed=7,
        checks=(Check("mine", Verdict.FAIL, said, (said,)),),
        errors=(ErrorRecord("runtime", "workload-failed", None, said, said),),
    )
    hidden = Redactor(["s3cret-word"]).outcome(outcome)
    shown = junit_xml(hidden, stories.records(told, tmp_path)) + repr(hidden)
    assert "s3cret-word" not in shown
    assert f"no entry for {MASK}" in shown
    assert (hidden.run, hidden.seed, hidden.verdict) == (outcome.run, outcome.seed, outcome.verdict)


def test_steps_checks_and_errors_are_test_cases(tmp_path: Path) -> None:
    told = stories.failing()
    suite = suite_of(junit_xml(stories.outcome_of(told), stories.records(told, tmp_path)))
    assert (suite.get("name"), suite.get("timestamp")) == ("kv-under-restart", "2030-01-02T03:04:05+00:00")
    found = {(c.get("classname"), c.get("name")): [r.tag for r in c] for c in suite.findall("testcase")}
    assert found == {
        ("step", "1 put 40 keys"): [],
        ("step", "2 restart n1"): [],
        ("step", "3 traffic with a pause"): ["failure"],
        ("check", "converged"): ["error"],
        ("check", "no-crash"): ["failure"],
        ("check", "height-advances"): ["system-out"],
        ("error.node", "n2"): ["error"],
    }
    properties = {p.get("name"): p.get("value") for p in suite.findall("properties/property")}
    assert properties == {"run": "kv-20300102-1a2b", "seed": "7", "verdict": "fail"}
    error = suite.find("testcase[@classname='error.node']/error")
    assert error is not None
    assert error.text is not None
    assert error.text.endswith("hint: see the node's log: nodeyard logs kv-20300102-1a2b n2")


def test_a_run_that_checked_nothing_is_not_an_empty_success() -> None:
    suite = suite_of(junit_xml(RunVerdict("r", 1, ()), ()))
    skipped = suite.find("testcase/skipped")
    assert skipped is not None
    assert skipped.get("message") == "vacuous: nothing was checked"


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.floats(0, 1e5), any_event()), max_size=8), st.text(), st.text())
def test_any_run_is_readable_xml(told: list[Timed], name: str, text: str) -> None:
    outcome = RunVerdict(
        name, 1, (Check(text, Verdict.FAIL, text, (text,)),), (ErrorRecord(name, name, text, text, text),)
    )
    suite = suite_of(junit_xml(outcome, tuple(stories.as_records(told))))
    assert len(suite.findall("testcase")) >= 2


def lines_of(outcome: RunVerdict) -> list[str]:
    return [line.text for line in summary_lines(outcome, scenario="kv", folder="f", why="WHY", repeat="AGAIN", after=2)]


def test_a_pass_is_two_lines() -> None:
    outcome = RunVerdict("r", 7, (Check("converged", Verdict.PASS, "all alike"),))
    assert lines_of(outcome) == ["PASS  kv: 1 of 1 checks passed (seed 7, 2 s)", "folder:  f"]


def test_a_failure_says_why_and_names_the_two_commands() -> None:
    lines = lines_of(stories.outcome_of(stories.failing()))
    assert lines[0] == "FAIL  kv: 1 of 3 checks passed (seed 7, 2 s)"
    assert "  fail: no-crash: n2 ended by itself: killed by SIGABRT" in lines
    assert "    | panic: index out of range" in lines
    assert "  error: n2: nothing accepts connections at http://127.0.0.1:21002 [node/node-unreachable]" in lines
    assert "    hint: see the node's log: nodeyard logs kv-20300102-1a2b n2" in lines
    assert lines[-2:] == ["why:     WHY", "again:   AGAIN"]


@pytest.mark.parametrize(
    ("ended", "words"),
    [(ExitStatus.INTERRUPTED, "ended by a person or signal"), (ExitStatus.INFRASTRUCTURE, "ended by an error"),
     (None, "(nothing was shown)")],
)  # fmt: skip
def test_other_ends_are_named(ended: ExitStatus | None, words: str) -> None:
    lines = lines_of(RunVerdict("r", 7, (), (), ended))
    assert words in lines[0]
    assert lines[-1] == "again:   AGAIN"


def test_long_evidence_is_cut_and_says_so() -> None:
    many = tuple(str(i) for i in range(EVIDENCE_LINES + 4))
    lines = lines_of(RunVerdict("r", 7, (Check("c", Verdict.FAIL, "no", many),)))
    assert "    | and 4 lines more in the report" in lines
    assert sum("    | " in line for line in lines) == EVIDENCE_LINES + 1


def test_an_error_about_many_nodes_is_cut_and_says_so() -> None:
    message = "\n".join(["nobody answers", *(f"n{i}: refused" for i in range(ERROR_LINES + 7))])
    lines = lines_of(RunVerdict("r", 7, (), (ErrorRecord("provider", "node-unreachable", None, message, "hint"),)))
    assert "    | and 7 lines more in verdict.json" in lines
    assert sum("    | " in line for line in lines) == ERROR_LINES + 1
    assert "    hint: hint" in lines


@given(st.text(), st.text())
def test_no_text_of_a_run_moves_the_cursor(reason: str, message: str) -> None:
    outcome = RunVerdict("r", 7, (Check("c", Verdict.FAIL, reason),), (ErrorRecord("l", "c", None, message, message),))
    for line in lines_of(outcome):
        assert not CONTROL.search(line)
        assert "\n" not in line


def test_colours_are_for_terminals_and_commands_for_shells() -> None:
    lines = summary_lines(RunVerdict("r", 7, ()), scenario="kv", folder="f", why="w", repeat="a")
    assert "\x1b[33mVACUOUS" in summary_text(lines, colour=True)
    assert summary_text(lines, colour=False).splitlines()[1] == "folder:  f"
    assert why_command("r 1", output="my runs") == "nodeyard inspect 'r 1' --output 'my runs'"
    assert why_command("r1") == "nodeyard inspect r1"
    assert repeat_command("a b.yaml", 7, ("--var", "x=$y")) == "nodeyard run 'a b.yaml' --seed 7 --var 'x=$y'"
