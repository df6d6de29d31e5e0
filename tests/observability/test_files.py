"""The documents of a run's folder: valid by their published schemas, written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError

from nodeyard.domain import events as ev
from nodeyard.domain.node_inventory import NodeInventory
from nodeyard.domain.verdict import Check, ErrorRecord, RunVerdict, Verdict
from nodeyard.errors.base import ExitStatus
from nodeyard.errors.bootstrap import RunFolderUnusable
from nodeyard.observability.files import (
    inventory_document,
    inventory_event,
    node_folder,
    schema,
    schema_names,
    verdict_document,
    write_json,
    write_text,
)
from nodeyard.observability.redaction import Redactor

from . import stories
from .samples import example, inventories, three_nodes
from .test_drawing import PLAN

INVOKED = {
    "index": 4, "type": "invoke", "client": 1, "node": "n0", "op": "write", "key": "k", "value": [1], "intended": 0.5,
    "at": 0.51, "result": None,
}  # fmt: skip


def check(name: str, document: Mapping[str, Any]) -> None:
    Draft202012Validator(schema(name)).validate(json.loads(json.dumps(document)))


def journal_lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "journal.jsonl").read_bytes().splitlines()]


def test_every_file_of_a_run_has_a_schema_that_is_one() -> None:
    assert set(schema_names()) == {"inventory", "verdict", "journal", "plan", "history", "versions"}
    for name in schema_names():
        Draft202012Validator.check_schema(schema(name))
    assert schema("journal.jsonl") == schema("journal")
    with pytest.raises(KeyError):
        schema("novel")


@settings(deadline=None, max_examples=60)
@given(inventories)
def test_any_inventory_is_valid_and_as_the_handles_say(inventory: NodeInventory) -> None:
    document = inventory_document("run", inventory)
    check("inventory", document)
    assert [node["id"] for node in document["nodes"]] == [node.id for node in inventory]
    for node, handle in zip(document["nodes"], inventory, strict=True):
        assert set(node["capabilities"]) <= set(node["supported"])
        assert [o["locator"] for o in node["origins"]] == [o.locator for o in handle.origins]
        assert node["ownership"] == handle.ownership


def test_an_inventory_has_the_documented_shape() -> None:
    node = inventory_document("r", three_nodes())["nodes"][0]
    assert node["id"] == "n0"
    assert node["identity"] == {"peer_id": "8e9e05c521646940", "endpoint": "127.0.0.1:21000", "aliases": []}
    assert node["origins"][0].items() >= {"origin": "managed", "source": "local", "locator": "pid 21000"}.items()
    assert node["endpoints"] == {"client": "http://127.0.0.1:21000"}
    assert node["network"].items() >= {"id": "cdf818194e3a8c32", "genesis": None, "protocol": None}.items()
    assert inventory_event(three_nodes()).nodes[0] == node


@given(
    st.lists(st.builds(Check, st.text(), st.sampled_from(Verdict), st.text(), st.lists(st.text()).map(tuple))),
    st.lists(st.builds(ErrorRecord, st.text(), st.text(), st.none() | st.text(), st.text(), st.none() | st.text())),
    st.none() | st.sampled_from(list(ExitStatus)),
)
def test_any_verdict_is_valid(checks: list[Check], errors: list[ErrorRecord], ended: ExitStatus | None) -> None:
    document = verdict_document(RunVerdict("r", 7, tuple(checks), tuple(errors), ended))
    check("verdict", document)
    assert [c["name"] for c in document["checks"]] == [c.name for c in checks]


def test_a_whole_run_is_valid_line_by_line(tmp_path: Path) -> None:
    stories.records(stories.failing(), tmp_path)
    lines = journal_lines(tmp_path)
    assert len(lines) == len(stories.failing())
    for line in lines:
        check("journal", line)


@pytest.mark.parametrize("cls", ev.event_types())
def test_each_event_type_has_its_rule(cls: type[ev.Event], tmp_path: Path) -> None:
    event = inventory_event(three_nodes()) if cls is ev.InventoryPublished else example(cls)
    stories.records([(0.5, event)], tmp_path)
    [line] = journal_lines(tmp_path)
    check("journal", line)
    own = [name for name in line if name not in {"seq", "time", "elapsed", "event", "node"}]
    assert own
    with pytest.raises(ValidationError):
        check("journal", line | {name: [[{"of": "no field's type"}]] for name in own})


def test_plan_and_history_are_valid_and_bite() -> None:
    check("plan", PLAN)
    check("history", INVOKED)
    check("history", INVOKED | {"type": "info", "client": "c1", "result": {"revision": 3}})
    with pytest.raises(ValidationError):
        check("plan", PLAN | {"mode": "magic"})
    with pytest.raises(ValidationError):
        check("history", INVOKED | {"type": "maybe"})
    with pytest.raises(ValidationError):
        check("history", {name: value for name, value in INVOKED.items() if name != "at"})


def test_a_document_is_written_without_secrets(tmp_path: Path) -> None:
    write_json(tmp_path / "deep" / "x.json", {"a": ["p hunter22 ü"], "id": "hunter22"}, Redactor(["hunter22"]))
    text = (tmp_path / "deep" / "x.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"a": ["p *** ü"], "id": "hunter22"}  # ids are public: files are joined by them
    assert text.endswith("}\n")


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_text(tmp_path / "f", "old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fchmod", full)
    with pytest.raises(RunFolderUnusable, match="No space left") as caught:
        write_text(tmp_path / "f", "new")
    assert caught.value.hint
    assert [p.name for p in tmp_path.iterdir()] == ["f"]
    assert (tmp_path / "f").read_text() == "old"


def test_undecodable_text_can_be_written(tmp_path: Path) -> None:
    write_text(tmp_path / "f", "a\udc80b")
    assert (tmp_path / "f").read_text() == "a\\udc80b"
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o644


@given(st.text(), st.text())
def test_a_nodes_folder_is_safe_and_its_own(one: str, two: str) -> None:
    names = [node_folder(one), node_folder(two)]
    for name in names:
        assert name not in {"", ".", ".."}
        assert "/" not in name
        assert "\0" not in name
        assert len(name.encode()) < 120
    assert (names[0] == names[1]) == (one == two)


def test_a_usual_name_is_its_folder() -> None:
    assert [node_folder(name) for name in ("n0", "a.b-c_d")] == ["n0", "a.b-c_d"]
    assert node_folder("../../etc") != "../../etc"
