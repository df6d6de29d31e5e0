"""Whatever a file holds, loading it gives a scenario or a typed error; and what was loaded can be written and read."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from nodeyard.app.registry import installed
from nodeyard.app.scenario_model import scenario_schema
from nodeyard.app.spec_loader import LoadedScenario, dump_resolved, load_scenario, parse_scenario
from nodeyard.domain.scenario_spec import ScenarioSpec
from nodeyard.errors.validation import SourceUnsupported, SpecInvalid

from .strategies import SCENARIOS, mutated

FILE = Path("/nowhere/scenario.yaml")
ENVIRONMENT = {"TOKEN": "hunter2-token"}
SECRET = "hunter2-literal"
EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
QUICK = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


def written(value: Any) -> str:
    yaml = YAML(typ="safe", pure=True)
    yaml.allow_unicode = True
    stream = StringIO()
    yaml.dump(value, stream)
    return stream.getvalue()


def load(text: str) -> ScenarioSpec:
    return parse_scenario(text, FILE, installed(), ENVIRONMENT).spec


def attempt(text: str) -> LoadedScenario | SpecInvalid | SourceUnsupported:
    """What loading gives; anything else that is raised fails the test."""
    try:
        return parse_scenario(text, FILE, installed(), ENVIRONMENT)
    except (SpecInvalid, SourceUnsupported) as error:
        return error


@QUICK
@given(SCENARIOS)
def test_every_scenario_of_the_strategy_is_valid(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False)
    found = attempt(text.replace("$", "$$"))
    assert isinstance(found, LoadedScenario), str(found)
    validator = jsonschema.Draft202012Validator(scenario_schema(installed()))
    assert validator.is_valid(json.loads(json.dumps(value)))


@QUICK
@given(mutated())
def test_a_mutated_scenario_is_loaded_or_refused_with_places(value: Any) -> None:
    found = attempt(written(value))
    if isinstance(found, SpecInvalid):
        assert found.problems
        for problem in found.problems:
            assert problem.line >= 1
            assert problem.column >= 1
            assert problem.message
    else:
        assert isinstance(found, LoadedScenario | SourceUnsupported)


@QUICK
@given(st.text(max_size=200) | st.text("{}[]:,-?&*!|>'\"%@`# \n\tab01.~$<=", max_size=120))
def test_any_text_is_refused_or_loaded(text: str) -> None:
    assert isinstance(attempt(text), LoadedScenario | SpecInvalid | SourceUnsupported)


@QUICK
@given(st.data())
def test_an_example_with_changed_characters_is_refused_or_loaded(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from([path.read_text() for path in EXAMPLES]))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        length = data.draw(st.integers(0, 30))
        new = data.draw(st.text("{}[]:,-&*!'\"# \n\tax01~$", max_size=5))
        text = text[:start] + new + text[start + length :]
    assert isinstance(attempt(text), LoadedScenario | SpecInvalid | SourceUnsupported)


@QUICK
@given(st.binary(max_size=100))
def test_any_bytes_are_refused_or_loaded(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_bytes(content)
    with pytest.raises(SpecInvalid):
        load_scenario(file, installed(), {})


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_the_same_after_it_was_written_out(path: Path) -> None:
    spec = load_scenario(path, installed(), {}).spec
    again = parse_scenario(dump_resolved(spec), path, installed(), {}).spec
    assert again.model_dump() == spec.model_dump()
    assert dump_resolved(again) == dump_resolved(spec)


@QUICK
@given(SCENARIOS)
def test_a_scenario_is_the_same_after_it_was_written_out(value: Any) -> None:
    spec = load(json.dumps(value, ensure_ascii=False).replace("$", "$$"))
    text = dump_resolved(spec)
    assert load(text).model_dump() == spec.model_dump()
    assert dump_resolved(load(text)) == text


def test_a_null_that_was_written_is_written_again_and_no_other() -> None:
    head = "nodeyard: 1\nkind: etcd\nsource: {mode: managed, deployer: {type: local}, nodes: {}}\n"
    loaded = load(head + "steps: [{get: {key: a, expect: null}}, {get: {key: a}}]\n")
    again = load(dump_resolved(loaded))
    assert [step.options.model_fields_set >= {"expect"} for step in again.steps] == [True, False]


SECRETS = (
    ("bearer", "auth: {bearer: [SECRET]}"),
    ("bearer", "auth: {bearer: {a: SECRET}}"),
    ("auth", "auth: SECRET"),
    ("auth", "auth: [SECRET]"),
    ("basic", "auth: {basic: SECRET}"),
    ("basic", "auth: {basic: 'user:SECRET'}"),
    ("password", "auth: {basic: {username: SECRET, password: [SECRET]}}"),
    ("value", "auth: {header: {name: X-Token, value: {v: SECRET}}}"),
    ("name", "auth: {header: {name: 'SECRET: x', value: a}}"),
    ("key", "tls: {cert: a, key: [SECRET]}"),
    ("tls", "tls: SECRET"),
    ("bearer", "auth: {bearer: !!int SECRET}"),
    ("bearer", "auth: {bearer: SECRET, basic: {username: SECRET, password: SECRET}}"),
    ("client", "auth: {bearer: SECRET}, endpoints: {client: 'http://u:SECRET@h:1'}"),
    ("allow", "allow: SECRET"),
    ("allow", "allow: [SECRET]"),
)


@pytest.mark.parametrize(("where", "written_as"), SECRETS)
def test_a_secret_in_a_wrong_place_is_in_no_message(where: str, written_as: str) -> None:
    node = f"name: a, {'' if 'endpoints' in written_as else 'endpoints: {client: http://h:1}, '}{written_as}"
    text = f"nodeyard: 1\nkind: etcd\nsource: {{mode: external-only, external: [{{{node}}}]}}\nstray: 1\n"
    found = attempt(text.replace("SECRET", SECRET))
    assert isinstance(found, SpecInvalid)
    assert SECRET not in str(found) + repr(found) + repr(found.problems) + str(found.evidence)
    assert where in str(found) or where == "bearer"
    chained, error = [], found.__cause__
    while error is not None:
        chained.append(f"{error!s} {error!r}")
        error = error.__cause__
    assert SECRET not in "".join(chained)


def test_literal_secrets_are_neither_written_out_nor_shown() -> None:
    node = "name: a, endpoints: {client: http://h:1}, auth: {bearer: SECRET}, tls: {server_name: x}"
    text = f"nodeyard: 1\nkind: etcd\nsource: {{mode: external-only, external: [{{{node}}}]}}\n"
    loaded = parse_scenario(text.replace("SECRET", SECRET), FILE, installed(), {})
    assert "***" in dump_resolved(loaded.spec)
    for shown in (dump_resolved(loaded.spec), repr(loaded), str(loaded.spec), loaded.spec.model_dump_json()):
        assert SECRET not in shown


def test_values_of_references_are_nowhere(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2-file\n")
    node = "name: a, endpoints: {client: http://h:1}, auth: {basic: {username: 'env:TOKEN', password: 'file:password'}}"
    text = f"nodeyard: 1\nkind: etcd\nsource: {{mode: external-only, external: [{{{node}}}]}}\n"
    loaded = parse_scenario(text, tmp_path / "scenario.yaml", installed(), ENVIRONMENT)
    shown = dump_resolved(loaded.spec) + repr(loaded)
    assert "env:TOKEN" in shown
    assert "file:password" in shown
    assert "hunter2" not in shown


def test_a_folder_a_missing_file_and_a_huge_one_are_refused(tmp_path: Path) -> None:
    huge = tmp_path / "huge.yaml"
    huge.write_bytes(b"#" * (4 * 1024 * 1024 + 1))
    for path, said in (
        (tmp_path, "this is a folder, not a scenario file"),
        (tmp_path / "none.yaml", "cannot be read: No such file or directory (is the path right?)"),
        (huge, "more than 4194304 bytes: this is not a scenario file"),
    ):
        with pytest.raises(SpecInvalid) as caught:
            load_scenario(path, installed(), {})
        assert [str(problem) for problem in caught.value.problems] == [f"{path}: {said}"]
