"""The summary on the page of a job."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nodeyard.domain.verdict import Check, ErrorRecord, RunVerdict, Verdict
from nodeyard.errors.base import ExitStatus
from nodeyard.observability.github import MOST_EVIDENCE, step_summary


def summary(*checks: Check, errors: tuple[ErrorRecord, ...] = (), ended: ExitStatus | None = None) -> str:
    outcome = RunVerdict("kv-1", 7, checks, errors, ended)
    return step_summary(outcome, scenario="kv", folder="runs/kv-1", repeat="nodeyard run kv.yaml --seed 7")


def test_it_tells_the_verdict_the_checks_and_how_to_repeat() -> None:
    text = summary(Check("a", Verdict.PASS, "fine"), Check("b", Verdict.FAIL, "x < y", ("n0: 1", "n1: 2")))
    assert text.startswith("### ❌ kv: fail\n")
    assert "| ✅ pass | a | fine |" in text
    assert "| ❌ fail | b | x &lt; y |" in text
    assert "    n1: 2" in text
    assert "`nodeyard run kv.yaml --seed 7`" in text


def test_it_tells_errors_with_their_hints() -> None:
    error = ErrorRecord("provider", "node-exited", "n0", "it ended\nlast line", "look at its log")
    text = summary(errors=(error,), ended=ExitStatus.INFRASTRUCTURE)
    assert "**n0: it ended** (`provider/node-exited`)" in text
    assert "Hint: look at its log" in text
    assert "    last line" in text


def test_long_evidence_is_cut_and_counted() -> None:
    text = summary(Check("b", Verdict.FAIL, "no", tuple(f"line {i}" for i in range(MOST_EVIDENCE + 5))))
    assert "... and 5 more lines" in text


@given(st.text(max_size=60))
def test_no_text_breaks_a_table(text: str) -> None:
    rows = [line for line in summary(Check(text, Verdict.PASS, text)).split("\n") if line.startswith("| ✅")]
    assert len(rows) == 1
    assert rows[0].replace("\\|", "").count("|") == 4
