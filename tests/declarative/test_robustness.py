"""No file breaks the reader of kinds, the JSON Schema agrees with it, and packages ship kinds without code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from nodeyard.app.kind_files import kind_schema, read_file
from nodeyard.app.registry import installed
from nodeyard.errors.validation import SpecInvalid
from nodeyard.kinds.declarative.kind import DeclarativeKind

from .corpus_files import CORPUS, NAMES
from .support import EXAMPLES, SHIPPED, example, kind_of

TEXTS = [path.read_text(encoding="utf-8") for path in EXAMPLES.glob("*.yaml")]
TEXTS += [file.read_text(encoding="utf-8") for file in SHIPPED.iterdir() if file.name.endswith(".yaml")]
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
VALIDATOR = jsonschema.Draft202012Validator(kind_schema(installed()))


def attempt(text: str) -> DeclarativeKind | SpecInvalid:
    try:
        return kind_of(text)
    except SpecInvalid as error:
        return error


@QUICK
@given(st.data())
def test_a_kind_file_with_anything_changed_is_a_kind_or_has_problems(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(TEXTS))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        length = data.draw(st.integers(0, 30))
        new = data.draw(st.text("{}[]%:,-&*!'\"# \n|()ax01.~$", max_size=6))
        text = text[:start] + new + text[start + length :]
    found = attempt(text)
    assert isinstance(found, DeclarativeKind) or all(problem.message for problem in found.problems)


@QUICK
@given(st.text("{}%#-|.()'\" abn1\n", max_size=40))
def test_any_template_is_one_or_has_problems(template: str) -> None:
    head = "nodeyard-kind: 1\nname: toy\nsummary: a toy\nports: {api: 80}\n"
    assert attempt(f"{head}launch: {{program: toyd, args: [{json.dumps('{{' + template)}]}}\n")


def value_of(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_the_schema_accepts_what_the_reader_accepts(text: str) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(value_of(text))] == []


def test_the_schema_is_one_and_refuses_what_it_can_see() -> None:
    jsonschema.Draft202012Validator.check_schema(VALIDATOR.schema)
    seen = (
        "misspelt-keys", "wrong-types", "wrong-rung", "wrong-weights", "port-numbers", "nothing-but-a-version",
        "scenario", "wrong-version", "no-ports", "bad-name", "launch-without-program", "key-value-incomplete",
        "config-types",
    )  # fmt: skip
    assert set(seen) <= set(NAMES)
    for name in seen:
        assert not VALIDATOR.is_valid(value_of((CORPUS / f"{name}.yaml").read_text())), name


def test_a_file_that_is_too_large_or_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "large.yaml").write_bytes(b"#" * (5 * 1024 * 1024))
    for name, said in (("large.yaml", "this is not a kind file"), ("missing.yaml", "there is no kind file")):
        with pytest.raises(SpecInvalid) as caught:
            read_file(name, installed().kind_formats, tmp_path)
        assert said in caught.value.problems[0].message


def package(folder: Path, kind: str, text: str) -> None:
    """A package that ships a kind file, as installing it would leave it."""
    (folder / "toy_kinds").mkdir(exist_ok=True)
    (folder / "toy_kinds" / "__init__.py").write_text("raise RuntimeError('the code of a package is of no use here')\n")
    (folder / "toy_kinds" / f"{kind}.yaml").write_text(text)
    info = folder / f"toy_{kind}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: toy-{kind}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[nodeyard.kind_files]\n{kind} = toy_kinds\n")


def kinds(folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "300"}
    words = [sys.executable, "-m", "nodeyard", "kinds"]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_a_package_ships_kinds_as_files_and_a_broken_one_harms_no_other(tmp_path: Path) -> None:
    text = (EXAMPLES / "nats.yaml").read_text()
    package(tmp_path, "queue", text.replace("name: nats\n", "name: queue\n"))
    (tmp_path / "toy_kinds" / "__init__.py").write_text("")
    package(tmp_path, "other", text)
    (tmp_path / "toy_kinds" / "__init__.py").write_text("")
    package(
        tmp_path,
        "broken",
        text.replace("{{ listen.client }}", "{{ listen.clint }}").replace("name: nats", "name: broken"),
    )
    (tmp_path / "toy_kinds" / "__init__.py").write_text("")
    shown = kinds(tmp_path)
    assert "queue" in shown
    assert "NATS, a message broker" in shown
    assert "the kind file of 'other' calls itself 'nats'" in shown
    assert "broken.yaml:13" in shown
    assert "'listen' has no 'clint' (did you mean 'client'?)" in shown
    assert "Traceback" not in shown


def test_examples_are_of_the_length_that_was_promised() -> None:
    """Some twenty lines make software a kind; the examples, which show nearly everything, have about twice that."""
    for name in ("redis", "nats", "notes"):
        assert example(name).name == name
        assert len((EXAMPLES / f"{name}.yaml").read_text().splitlines()) <= 50
