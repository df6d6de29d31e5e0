"""The first thing that anybody does with it: three real nodes, a restart, a verdict, and nothing left."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import jsonschema
import pytest

from .support import REPOSITORY, Nodeyard, found

pytestmark = pytest.mark.real
QUICKSTART = REPOSITORY / "examples" / "quickstart.yaml"


def documents(path: Path) -> list[object]:
    """What a file holds: one document, or one a line."""
    text = path.read_text()
    return [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else [json.loads(text)]


def test_the_quickstart_passes_and_leaves_only_its_folder(nodeyard: Nodeyard) -> None:
    done = nodeyard("run", QUICKSTART, "--keep", "always")
    assert done.status == 0, done.err
    assert done.out.startswith("PASS  quickstart: 5 of 5 checks passed")
    assert nodeyard.leftovers() == []
    folder = nodeyard.only_run()
    assert f"folder:  {folder}" in done.out
    for name, file in (
        ("inventory", "inventory.json"),
        ("verdict", "verdict.json"),
        ("journal", "journal.jsonl"),
        ("plan", "plan.json"),
    ):
        schema = nodeyard("schema", name).document
        jsonschema.Draft202012Validator.check_schema(schema)
        validator = jsonschema.Draft202012Validator(schema)
        for document in documents(folder / file):
            validator.validate(document)
    assert ElementTree.parse(folder / "junit.xml").getroot().tag == "testsuites"
    assert "<html" in (folder / "report.html").read_text()
    assert nodeyard("validate", folder / "scenario.yaml").status == 0
    assert sorted(path.name for path in (folder / "nodes").iterdir()) == ["n0", "n1", "n2"]
    assert all((folder / "nodes" / name / "stderr.log").stat().st_size for name in ("n0", "n1", "n2"))


def test_the_journal_tells_the_run_in_order(nodeyard: Nodeyard) -> None:
    path = nodeyard.write(
        {
            "name": "told",
            "source": nodeyard.managed(),
            "steps": [{"put": {"key": "a", "value": "b"}}, {"get": {"key": "a", "expect": "b"}}],
        }
    )
    assert nodeyard("run", path).status == 0
    events = [json.loads(line) for line in (nodeyard.only_run() / "journal.jsonl").read_text().splitlines()]
    assert [record["seq"] for record in events] == list(range(events[0]["seq"], events[0]["seq"] + len(events)))
    names = [record["event"] for record in events]
    order = "run-started reaper-ready node-provisioned node-started node-ready readiness-reached preflight-passed"
    order += " step-started step-ended cleanup-started resource-removed run-ended"
    assert sorted(order.split(), key=names.index) == order.split()
    assert names[-1] == "run-ended"
    ended = found(events, "run-ended")
    assert ended is not None
    assert (ended["verdict"], ended["exit_status"]) == ("pass", 0)


def test_a_run_that_passed_keeps_no_evidence_of_its_nodes(nodeyard: Nodeyard) -> None:
    path = nodeyard.write({"name": "short", "source": nodeyard.managed(), "expectations": [{"use": "reachable"}]})
    assert nodeyard("run", path).status == 0
    assert not (nodeyard.only_run() / "nodes").exists()
    assert nodeyard.leftovers() == []
