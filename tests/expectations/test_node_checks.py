"""Checks that ask the nodes: peers, metric; and functions that somebody wrote."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from nodeyard.domain.verdict import Check, Verdict
from nodeyard.errors.runtime import UserCodeInvalid
from nodeyard.expectations import metric, peers
from nodeyard.expectations._asking import Answers
from nodeyard.expectations.metric import MetricOptions
from nodeyard.expectations.python_check import PythonCheck, PythonCheckOptions
from runtime.support import World

from .histories import call
from .support import Recorded, context

TEXT = """# TYPE requests_total counter
requests_total{code="200",way="in"} 5
requests_total{code="200",way="out"} 2
requests_total{code="500",way="in"} 1
# TYPE up gauge
up 1
"""


def numbers(**said: float | None) -> Answers[float | None]:
    return Answers(said, {})


def test_samples_that_have_the_labels_are_summed() -> None:
    assert metric.total(TEXT, "requests_total", {"code": "200"}) == 7
    assert metric.total(TEXT, "requests_total", {"code": "404"}) is None
    assert metric.total(TEXT, "up", {}) == 1
    with pytest.raises(ValueError, match=r"."):
        metric.total("<html>", "up", {})


@pytest.mark.parametrize(
    ("options", "verdict"),
    [
        ({"equals": 3}, Verdict.PASS),
        ({"equals": 4}, Verdict.FAIL),
        ({"min": 3, "max": 3}, Verdict.PASS),
        ({"min": 3.5}, Verdict.FAIL),
        ({"max": 2}, Verdict.FAIL),
        ({"increase": 2}, Verdict.PASS),
        ({"increase": 2.5}, Verdict.FAIL),
    ],
)
def test_a_number_is_held_against_its_limits(options: dict[str, float], verdict: Verdict) -> None:
    made = MetricOptions.model_validate({"use": "metric", "metric": "up", **options})
    assert metric.judged(made, {"n0": 1.0}, numbers(n0=3.0)).verdict is verdict
    assert metric.judged(made, {}, numbers(n0=None)).verdict is Verdict.UNKNOWN


def test_a_metric_without_a_demand_is_refused() -> None:
    with pytest.raises(ValueError, match="one of min, max, equals and increase"):
        MetricOptions.model_validate({"use": "metric", "metric": "up"})


def known(**said: tuple[str, ...]) -> Check:
    async def handles() -> Any:
        return [node.handle for node in World.of(len(said)).network.nodes]

    return peers.judged_all("peers", asyncio.run(handles()), Answers(said, {}))


def test_each_node_must_know_every_other_one() -> None:
    assert known(n0=("peer-n1",), n1=("peer-n0",)).verdict is Verdict.PASS
    stranger = known(n0=("peer-n1",), n1=("peer-x",))
    assert (stranger.verdict, stranger.reason) == (Verdict.FAIL, "n1 does not know every other node")
    assert "n1: 1 peers, does not know n0" in stranger.evidence
    assert known(n0=()).verdict is Verdict.VACUOUS


def test_a_number_of_peers_and_silence() -> None:
    assert peers.judged_count("peers", 2, Answers({"n0": 2}, {})).verdict is Verdict.PASS
    assert peers.judged_count("peers", 2, Answers({"n0": 1}, {"n1": "silent"})).verdict is Verdict.FAIL
    assert peers.judged_count("peers", 2, Answers({"n0": 2}, {"n1": "silent"})).verdict is Verdict.UNKNOWN


CODE = """
import nodeyard

def all_answered(look, op="read"):
    bad = [c for c in look.of(op) if c.outcome != "ok"]
    assert not bad, f"{len(bad)} of {op} were not answered"

async def says(look, what):
    return {"yes": True, "no": False, "odd": 7}[what]

def in_detail(look):
    return nodeyard.Check("ignored", nodeyard.Verdict.VACUOUS, "nothing to see", ("here",))

def breaks(look):
    raise ZeroDivisionError("mine")
"""


def ask(tmp_path: Path, function: str, calls: Any = (), **options: Any) -> Check:
    (tmp_path / "mine.py").write_text(CODE)
    made = PythonCheckOptions.model_validate({"use": "python", "call": f"mine.py:{function}", **options})

    async def decide() -> Check:
        return await PythonCheck().check(made, context(World.of(), Recorded(calls), base=tmp_path))

    return asyncio.run(decide())


def test_a_function_decides(tmp_path: Path) -> None:
    good = call(0, "read", None, 0, 1, result="x")
    assert ask(tmp_path, "all_answered", [good]).verdict is Verdict.PASS
    assert ask(tmp_path, "says", args={"what": "yes"}).verdict is Verdict.PASS
    assert ask(tmp_path, "says", args={"what": "no"}).verdict is Verdict.FAIL
    check = ask(tmp_path, "in_detail", name="own")
    assert check == Check("own", Verdict.VACUOUS, "nothing to see", ("here",))


def test_a_failed_assertion_says_where(tmp_path: Path) -> None:
    from nodeyard.domain.history import Outcome

    bad = call(0, "write", "x", 0, 1, outcome=Outcome.INFO)
    check = ask(tmp_path, "all_answered", [bad], args={"op": "write"})
    assert (check.verdict, check.reason) == (Verdict.FAIL, "1 of write were not answered")
    assert "mine.py:6 in all_answered" in check.evidence[-1]


def test_a_function_that_breaks_or_says_nothing_decides_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserCodeInvalid, match="ZeroDivisionError: mine"):
        ask(tmp_path, "breaks")
    with pytest.raises(UserCodeInvalid, match="returned int"):
        ask(tmp_path, "says", args={"what": "odd"})
    assert ask(tmp_path, "all_answered", needs_history=True).verdict is Verdict.VACUOUS
