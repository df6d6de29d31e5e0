"""Durations, names, marks, secrets, sources, launch values, verdicts and events."""

from __future__ import annotations

import json
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from nodeyard.domain import events
from nodeyard.domain.launch_plan import Endpoint, FileToWrite, LaunchPlan
from nodeyard.domain.quantity import Duration, NodeName, PositiveDuration, format_duration, parse_duration
from nodeyard.domain.run_identity import RunMark
from nodeyard.domain.scenario_spec import ScenarioSpec
from nodeyard.domain.secrets import Secret
from nodeyard.domain.sources import Auth, ExternalNode, Managed, NodeGroup, Tls
from nodeyard.domain.verdict import Check, ErrorRecord, RunVerdict, Verdict, worst
from nodeyard.errors.base import ExitStatus
from nodeyard.errors.provider import NodeUnreachable

# ── durations and names ──────────────────────────────────────────────────────────────────────────────────────────


@given(st.floats(min_value=0, allow_nan=False, allow_infinity=False))
def test_any_duration_reads_back_exactly(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.decimals(0, 10_000, places=3), st.sampled_from(["ms", "s", "m", "h"]))
def test_any_spelling_reads_back_through_json(number: object, unit: str) -> None:
    field: TypeAdapter[float] = TypeAdapter(Duration)
    seconds = field.validate_python(f"{number:f}{unit}")
    assert field.validate_json(field.dump_json(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "seconds", "written"),
    [("250ms", 0.25, "250ms"), ("20s", 20.0, "20s"), ("300s", 300.0, "5m"), ("1h", 3600.0, "60m"), ("0s", 0.0, "0s"),
     ("1.5m", 90.0, "90s"), ("1234567s", 1234567.0, "1234567s")],
)  # fmt: skip
def test_durations_are_written_short(text: str, seconds: float, written: str) -> None:
    assert parse_duration(text) == seconds
    assert format_duration(seconds) == written


@pytest.mark.parametrize(
    "value",
    ["", "5", 5, "5 s", "-5s", "5d", "1e3s", "s", None, True, float("nan"), float("inf"), -1.0, "9" * 400 + "s"],
)
def test_what_is_no_duration(value: Any) -> None:
    with pytest.raises(ValidationError, match="a number with a unit"):
        TypeAdapter(PositiveDuration).validate_python(value)


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a_b", "a.b", "a" * 64, "a\n", "ä"])
def test_what_is_no_node_name(name: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(NodeName).validate_python(name)


# ── marks ────────────────────────────────────────────────────────────────────────────────────────────────────────

WORDS = st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True)


@given(WORDS, WORDS, WORDS)
def test_a_mark_reads_back(run: str, host: str, boot: str) -> None:
    mark = RunMark(run, host, boot)
    assert RunMark.parse(mark.text) == mark


@pytest.mark.parametrize(
    "text", ["", "a", "a@b", "a@b@c@d", "@b@c", "a@@c", "a@b@", "A@b@c", "-a@b@c", "a" * 64 + "@b@c", "a\n@b@c"]
)
def test_what_is_no_mark(text: str) -> None:
    assert RunMark.parse(text) is None


# ── secrets ──────────────────────────────────────────────────────────────────────────────────────────────────────

HIDDEN = st.text("XYZ!", min_size=8, max_size=20)


@given(HIDDEN)
def test_a_secret_is_never_printed(text: str) -> None:
    auth = Auth.model_validate({"basic": {"username": "env:USER", "password": text}})
    node = ExternalNode(name="a", endpoints={"client": "http://h:1"}, auth=auth)
    assert auth.basic is not None
    endpoint = Endpoint("http://h:1", auth)
    shown = [
        repr(auth.basic.password), str(auth.basic.password), f"{auth.basic.password}", f"{auth.basic.password!r:>9}",
        repr(auth), str(auth), repr(endpoint), repr(node),
        str(node.model_dump()), str(node.model_dump(mode="json")), node.model_dump_json(),
        json.dumps(node.model_dump()),
    ]  # fmt: skip
    assert all(text not in one for one in shown)
    assert "env:USER" in node.model_dump_json()


@given(HIDDEN)
def test_a_secret_is_not_in_the_error_about_it(text: str) -> None:
    wrong: list[dict[str, Any]] = [
        {"basic": {"username": "env:U", "password": text}, "bearer": text},
        {"basic": {"username": "env:U", "password": text, "realm": "r"}},
        {"basic": {"username": "env:U", "password": [text]}},
        {"header": {"name": "X Y", "value": text}},
        {"basic": {"username": text}},
    ]
    for auth in wrong:
        with pytest.raises(ValidationError) as caught:
            ExternalNode.model_validate({"name": "a", "endpoints": {"client": "http://h:1"}, "auth": auth})
        assert text not in str(caught.value)
        assert text not in repr(caught.value)
        assert text not in str(caught.value.errors(include_input=False))


def test_secrets_compare_by_what_they_hold_and_show_references() -> None:
    assert Secret("env:A") == Secret("env:A") != Secret("env:B")
    assert len({Secret("x"), Secret("x")}) == 1
    assert repr(Secret("file:/run/key")) == "Secret('file:/run/key')"
    assert str(Secret("hunter2")) == "Secret('***')"
    assert Secret("hunter2").expose_literal() == "hunter2"


def test_launch_values_do_not_show_what_may_be_secret() -> None:
    plan = LaunchPlan("n0", "etcd", (), {"KEY": "hunter2"}, (FileToWrite("key.pem", b"hunter2", secret=True),))
    assert "hunter2" not in repr(plan)


# ── sources ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"count": 2, "name": "n"}, "needs {index}"),
        ({"name": "n{indx}"}, "which is no node name"),
        ({"name": "n-{index}}"}, "which is no node name"),
        ({"count": 10_000, "name": "a" * 60 + "{index}"}, "which is no node name"),
        ({"count": 0}, "greater than or equal to 1"),
        ({"patches": {"N": {}}}, "match pattern"),
    ],
)
def test_groups_that_make_no_nodes(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        NodeGroup.model_validate(fields)


def test_names_of_a_group() -> None:
    assert NodeGroup(count=3).names == ("n0", "n1", "n2")
    assert NodeGroup(name="solo").names == ("solo",)
    assert len(set(NodeGroup(count=10_000).names)) == 10_000


def test_a_bad_url_is_told_at_its_port() -> None:
    with pytest.raises(ValidationError) as caught:
        ExternalNode.model_validate({"name": "a", "endpoints": {"client": "http://u:p@h:1", "peer": "h"}})
    assert [e["loc"] for e in caught.value.errors()] == [("endpoints", "client"), ("endpoints", "peer")]


def test_a_certificate_without_its_key() -> None:
    with pytest.raises(ValidationError, match="belong together"):
        Tls(cert="c.pem")


def scenario(**source: Any) -> dict[str, Any]:
    return {"nodeyard": 1, "kind": "kv", "source": source}


EXTERNAL = {"name": "a", "endpoints": {"client": "http://h:1"}}


@pytest.mark.parametrize(
    "source",
    [
        {"mode": "managed"},
        {"mode": "managed", "deployer": {"type": "local"}, "nodes": []},
        {"mode": "managed", "deployer": {"type": "local"}, "nodes": {}, "attach": {"type": "static"}},
        {"mode": "attached"},
        {"mode": "attached", "attach": {"type": "static"}, "nodes": {}},
        {"mode": "external-only", "external": []},
        {"mode": "external-only", "external": [EXTERNAL], "deployer": {"type": "local"}},
        {"mode": "mixed"},
        {},
    ],
)
def test_combinations_that_cannot_be_written(source: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ScenarioSpec.model_validate(scenario(**source))


def test_one_group_may_stand_alone_and_names_are_unique_over_all_sources() -> None:
    managed = {"mode": "managed", "deployer": {"type": "local"}, "nodes": {"count": 3}}
    made = ScenarioSpec.model_validate(scenario(**managed, external=[EXTERNAL]))
    assert isinstance(made.source, Managed)
    with pytest.raises(ValidationError, match="two nodes are called 'n1'"):
        ScenarioSpec.model_validate(scenario(**managed, external=[{**EXTERNAL, "name": "n1"}]))


def test_ten_thousand_names_are_compared_in_linear_work() -> None:
    groups = [{"count": 5_000, "name": f"{letter}{{index}}"} for letter in "ab"]
    managed = {"mode": "managed", "deployer": {"type": "local"}, "nodes": groups}
    assert ScenarioSpec.model_validate(scenario(**managed)).name == "scenario"


# ── verdicts ─────────────────────────────────────────────────────────────────────────────────────────────────────

VERDICTS = st.lists(st.sampled_from(list(Verdict)), max_size=6)
WORST_FIRST = [Verdict.FAIL, Verdict.UNKNOWN, Verdict.VACUOUS, Verdict.PASS]


@given(VERDICTS, VERDICTS)
def test_the_worst_of_all_counts_in_any_order(one: list[Verdict], other: list[Verdict]) -> None:
    assert worst(one + other) == worst(other + one)
    if one and other:
        assert worst([worst(one), worst(other)]) == worst(one + other)
        assert worst(one + other) == min(one + other, key=WORST_FIRST.index)


def test_every_pair_of_verdicts_and_none_at_all() -> None:
    for one, other in permutations(WORST_FIRST, 2):
        assert worst([one, other]) == min(one, other, key=WORST_FIRST.index)
    assert worst([]) is Verdict.VACUOUS


def outcome(*verdicts: Verdict, ended_by: ExitStatus | None = None) -> RunVerdict:
    return RunVerdict("r", 1, tuple(Check(v.value, v, "because") for v in verdicts), ended_by=ended_by)


@pytest.mark.parametrize(
    ("verdict", "status"),
    [(Verdict.PASS, 0), (Verdict.FAIL, 1), (Verdict.VACUOUS, 5), (Verdict.UNKNOWN, 6)],
)
def test_the_exit_status_of_each_verdict(verdict: Verdict, status: int) -> None:
    assert outcome(verdict).exit_status == status


@given(VERDICTS, st.sampled_from([ExitStatus.INFRASTRUCTURE, ExitStatus.INTERRUPTED, ExitStatus.INTERNAL]))
def test_a_run_that_was_ended_never_passes_and_a_proven_failure_stays(verdicts: list[Verdict], by: ExitStatus) -> None:
    ended = outcome(*verdicts, ended_by=by)
    assert ended.verdict is (Verdict.FAIL if Verdict.FAIL in verdicts else Verdict.UNKNOWN)
    assert ended.exit_status is by


def test_an_error_keeps_its_layer_code_evidence_and_hint() -> None:
    record = ErrorRecord.of(NodeUnreachable("no answer", node="n0", evidence=["refused"], hint="start it"))
    assert record == ErrorRecord("node", "node-unreachable", "n0", "no answer\nrefused", "start it")


# ── events ───────────────────────────────────────────────────────────────────────────────────────────────────────

REQUIRED = [
    "run-started",
    "spec-resolved",
    "node-provisioned",
    "node-discovered",
    "discovery-partial",
    "node-identified",
    "identity-changed",
    "inventory-merged",
    "conflict-overridden",
    "seeds-chosen",
    "node-started",
    "node-ready",
    "readiness-reached",
    "preflight-passed",
    "step-started",
    "step-ended",
    "operation-denied",
    "fault-injected",
    "fault-proven",
    "fault-healed",
    "node-exited",
    "check-evaluated",
    "evidence-saved",
    "cleanup-started",
    "resource-removed",
    "run-ended",
]


def test_every_event_of_the_contract_exists_once() -> None:
    names = [event.name for event in events.event_types()]
    assert len(set(names)) == len(names)
    assert set(REQUIRED) <= set(names)


def test_an_event_is_a_json_object() -> None:
    event = events.NodeDiscovered(
        node="a", origin="external", source="external", locator="0", endpoints={"client": "u"}
    )
    assert json.loads(json.dumps(event.record()))["endpoints"] == {"client": "u"}
