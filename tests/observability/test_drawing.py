"""Tables: everything that they hold is shown, at any width, and nothing of it can move a terminal's cursor."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeyard.domain.node_inventory import NodeInventory
from nodeyard.domain.verdict import Check, Verdict
from nodeyard.observability.drawing import CONTROL, clean, hoisted, plain_lines, terminal_text, width_of
from nodeyard.observability.tables import (
    RunRow,
    Table,
    checks_table,
    inventory_table,
    plan_tables,
    problems_table,
    runs_table,
    verdict_table,
)

from . import stories
from .samples import inventories, three_nodes

PLAN: dict[str, Any] = {
    "run": "r", "scenario": "s", "seed": 1, "mode": "managed",
    "nodes": [
        {"name": "n0", "kind": "etcd", "role": None, "seeds": ["n1"], "ports": {"client": "at-run"},
         "files": ["conf.yaml"], "program": "/opt/etcd", "args": ["--name", "n0", "--data-dir=d"], "env": [],
         "on_demand": True, "joins": False},
    ],
    "borrowed": [{"name": "a", "kind": "etcd", "source": "external", "granted": ["query"],
                  "endpoints": {"client": "http://h:1"}}],
    "attach": "static:nodes.yaml", "resources": ["folder nodes/n0"], "steps": ["restart n0"], "checks": ["converged"],
    "problems": ["stop of a: it is borrowed"],
}  # fmt: skip


def test_the_inventory_names_origin_ownership_capabilities_identity_and_endpoints() -> None:
    lines = plain_lines(inventory_table(stories.network(2)))
    assert lines[0] == "3 nodes: 2 owned, 1 borrowed"
    assert lines[1].split() == [
        "node", "kind", "role", "ownership", "origin", "capabilities", "identity", "endpoints", "network"
    ]  # fmt: skip
    assert " ".join(lines[2].split()) == (
        "n0 etcd follower owned managed local (pid 21000) query submit start stop restart kill pause patch wipe logs "
        "exec 8e9e05c521646900 client http://127.0.0.1:21000 cdf818194e3a8c32"
    )
    assert "borrowed   external external (pid 2379)  query submit  " in lines[4]


@pytest.mark.parametrize("width", [24, 40, 60, 80, 100, 120, 200])
def test_an_inventory_fits_every_terminal_and_loses_nothing(width: int) -> None:
    text = terminal_text([inventory_table(stories.network(3))], width=width, colour=False)
    assert all(width_of(line) <= width for line in text.splitlines())
    squeezed = "".join(text.split())
    for fact in (
        "n0",
        "outside",
        "borrowed",
        "8e9e05c521646900",
        "http://127.0.0.1:21000",
        "pause",
        "cdf818194e3a8c32",
    ):
        assert fact in squeezed or width < 40


def test_columns_that_say_the_same_everywhere_are_said_once() -> None:
    short = hoisted(inventory_table(three_nodes()))
    assert "kind" not in short.columns
    assert "kind etcd, role follower, ownership owned" in short.notes[0]
    assert hoisted(Table("", ("a", "b"), (("1", "2"),))).columns == ("a", "b")


@settings(deadline=None, max_examples=60)
@given(inventories, st.integers(20, 160))
def test_any_inventory_is_drawn(inventory: NodeInventory, width: int) -> None:
    table = inventory_table(inventory)
    for line in (*plain_lines(table), *terminal_text([table], width=width, colour=False).splitlines()):
        assert not CONTROL.search(line)
    assert sum(line.startswith("  ") for line in plain_lines(table)) >= len(inventory)


@given(st.text())
def test_no_text_moves_the_cursor(text: str) -> None:
    assert not CONTROL.search(clean(text))
    table = Table("", ("a", "b"), ((text, "x"), ("y", text)))
    assert not CONTROL.search("\n".join(plain_lines(table)))


def test_wide_and_combining_characters_are_measured_as_they_are_shown() -> None:
    assert (width_of("日本"), width_of("e\u0301"), width_of("abc")) == (4, 1, 3)
    lines = plain_lines(Table("", ("a", "b"), (("日本", "x"), ("ab", "y"))))
    assert [line.index(mark) for line, mark in zip(lines[1:], "xy", strict=True)] == [6, 8]


def test_colours_are_only_where_they_are_asked_for() -> None:
    table = checks_table([Check("a", Verdict.FAIL, "no"), Check("b", Verdict.PASS, "yes")])
    assert "\x1b[31mfail" in terminal_text([table], width=80, colour=True)
    assert "\x1b" not in terminal_text([table], width=80, colour=False)


def test_an_empty_table_says_so() -> None:
    assert plain_lines(Table("0 nodes", ("a",), ())) == ("0 nodes", "  (none)")
    assert "(none)" in terminal_text([Table("0 nodes", ("a",), ())], width=40, colour=False)


def test_a_plan_is_told_in_tables() -> None:
    text = "\n".join(line for table in plan_tables(PLAN) for line in plain_lines(table))
    for words in ("1 node would be started", "on demand", "client at-run", "--name n0", "--data-dir=d",
                  "1 node would be borrowed", "source 'static:nodes.yaml' is searched at run", "folder nodes/n0",
                  "restart n0", "converged", "would be refused", "stop of a: it is borrowed"):  # fmt: skip
        assert words in text
    assert plan_tables({"nodes": [], "borrowed": []}) == ()


def test_runs_checks_verdicts_and_problems_have_tables() -> None:
    runs = runs_table([RunRow("r1", "dead", left=3, folder="f"), RunRow("r2", "ended", verdict="pass", folder="f")])
    assert runs.styles == ("bad", "good")
    assert runs.notes == ("'nodeyard gc' removes what dead runs left",)
    assert "scenario" not in runs.columns
    outcome = stories.outcome_of(stories.failing())
    assert verdict_table(outcome).title == "kv-20300102-1a2b: fail"
    assert [row[0] for row in verdict_table(outcome).rows] == ["unknown", "fail", "pass"]
    assert problems_table(["one", "two"]).rows == (("1", "one"), ("2", "two"))
