"""The JSON Schema: what an editor is told, against what the loader accepts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from nodeyard.app.registry import STRUCTURE, installed
from nodeyard.app.scenario_model import scenario_schema
from nodeyard.app.spec_loader import dump_resolved, load_scenario
from nodeyard.app.yaml_values import values_of
from nodeyard.errors.validation import SpecInvalid

from .corpus_files import CORPUS, NAMES, messages

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
SCHEMA = scenario_schema(installed())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

SEEN_BY_THE_LOADER_ALONE = frozenset(
    {
        # what a URL is
        "bad-urls",
        # what a kind says, which is no part of the format
        "config-election", "config-wrong-values", "external-ports", "external-role", "patch-election", "patch-step",
        "patches", "unknown-role",
        # files and variables of this machine
        "secret-env-missing", "secrets-missing", "tls-missing-files",
        # one part of a scenario against another
        "attached-quorum-above", "duplicate-external-names", "duplicate-node-names", "local-port-range",
        "local-ports-twice", "name-without-index", "parallel-targets", "quorum-above", "run-beside-steps",
        "leader-without-roles", "run-short-targets", "selectors-never-met", "source-aware-above",
        "source-aware-none-of-class",
        "step-quorum-above", "unknown-nodes",
    }
)  # fmt: skip


def compose(content: bytes) -> Any:
    return YAML(typ="safe", pure=True).compose(content.decode())


def value_of(content: bytes) -> Any:
    return values_of(compose(content), "file").value


def is_value(name: str) -> bool:
    try:
        read = values_of(compose((CORPUS / f"{name}.yaml").read_bytes()), "file")
    except (YAMLError, UnicodeError, SpecInvalid, AttributeError):
        return False
    return not read.problems


READABLE = [name for name in NAMES if is_value(name)]


def test_the_schema_is_a_valid_one_of_its_draft() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["title"] == "Nodeyard scenario"
    assert SCHEMA["description"]
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_fits_as_written_and_as_resolved(path: Path) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(value_of(path.read_bytes()))] == []
    resolved = dump_resolved(load_scenario(path, installed(), {}).spec)
    assert [error.message for error in VALIDATOR.iter_errors(value_of(resolved.encode()))] == []


@pytest.mark.parametrize("name", [name for name in READABLE if name not in SEEN_BY_THE_LOADER_ALONE])
def test_a_broken_scenario_is_rejected(name: str) -> None:
    assert not VALIDATOR.is_valid(value_of((CORPUS / f"{name}.yaml").read_bytes()))


@pytest.mark.parametrize("name", sorted(SEEN_BY_THE_LOADER_ALONE & set(READABLE)))
def test_what_only_the_loader_sees_is_accepted(name: str) -> None:
    """So that the list above cannot hide a fault that the schema could see."""
    assert VALIDATOR.is_valid(value_of((CORPUS / f"{name}.yaml").read_bytes()))


def properties(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, part in {"": schema, **schema["$defs"]}.items():
        for key, value in part.get("properties", {}).items():
            yield f"{name}.{key}", value


PROPERTIES = dict(properties(SCHEMA))


@pytest.mark.parametrize("where", PROPERTIES)
def test_every_key_is_described(where: str) -> None:
    schema = PROPERTIES[where]
    told = [schema, *schema.get("anyOf", ()), *schema.get("allOf", ())]
    told += [SCHEMA["$defs"][part["$ref"].rpartition("/")[2]] for part in told if "$ref" in part]
    assert any(part.get("description") for part in told), schema


@pytest.mark.parametrize("where", PROPERTIES)
def test_every_default_fits_its_own_schema(where: str) -> None:
    schema = PROPERTIES[where]
    if "default" in schema:
        validator = jsonschema.Draft202012Validator({**schema, "$defs": SCHEMA["$defs"]})
        assert [error.message for error in validator.iter_errors(schema["default"])] == []
    else:
        assert "default" not in schema


def test_kinds_modes_steps_and_checks_complete() -> None:
    assert SCHEMA["properties"]["kind"]["anyOf"][0]["enum"] == sorted(installed().kinds)
    steps = {name for name in SCHEMA["$defs"] if name.endswith("Step")}
    checks = {name for name in SCHEMA["$defs"] if name.endswith("Check")}
    assert len(steps) == len(installed().operations) + len(STRUCTURE)
    assert len(checks) == len(installed().expectations)


def test_a_broken_file_of_the_corpus_is_broken_for_the_loader_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CORPUS)
    assert [name for name in NAMES if not messages(name)] == []


def test_a_scenario_that_the_schema_rejects_is_not_loaded(tmp_path: Path) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text("nodeyard: 1\nkind: 7\n")
    assert not VALIDATOR.is_valid(value_of(file.read_bytes()))
    with pytest.raises(SpecInvalid):
        load_scenario(file, installed(), {})
