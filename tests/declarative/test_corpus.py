"""Broken kind files, each with the exact messages that it gets: ``NAME.yaml`` and ``NAME.txt`` in ``corpus``.

To accept new messages after having read them, all of them: ``PYTHONPATH=tests python -m declarative.corpus_files``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from nodeyard.app.registry import installed
from nodeyard.app.spec_loader import load_scenario
from nodeyard.errors.validation import SpecInvalid

from .corpus_files import CORPUS, NAMES, messages
from .support import EXAMPLES, example

SCENARIO = """\
nodeyard: 1
kind: KIND
source: {mode: managed, deployer: {type: local}, nodes: {count: 1, binary: /bin/true}}
"""


@pytest.mark.parametrize("name", NAMES)
def test_a_broken_kind_file_gets_exactly_these_messages(name: str) -> None:
    assert messages(name) == (CORPUS / f"{name}.txt").read_text(encoding="utf-8").splitlines()


def test_every_file_is_broken_and_has_its_messages() -> None:
    assert {path.stem for path in CORPUS.glob("*.txt")} == set(NAMES)
    assert [name for name in NAMES if not messages(name)] == []
    assert len(NAMES) >= 40


def test_no_message_speaks_of_python() -> None:
    said = "\n".join(path.read_text(encoding="utf-8") for path in CORPUS.glob("*.txt"))
    for word in ("tuple", "dict", "Traceback", "pydantic", "NoneType", "Undefined", "jinja2"):
        assert word not in said


def test_each_problem_stands_at_a_line_that_exists() -> None:
    for name in NAMES:
        lines = len((CORPUS / f"{name}.yaml").read_bytes().split(b"\n"))
        for message in messages(name):
            place = message.removeprefix(f"{name}.yaml:").split(":")
            assert place[0].startswith(" ") or 1 <= int(place[0]) <= lines, message


def problems(tmp_path: Path, kind: str) -> list[str]:
    """What a scenario with this kind gets."""
    (tmp_path / "s.yaml").write_text(SCENARIO.replace("KIND", kind))
    with pytest.raises(SpecInvalid) as caught:
        load_scenario(tmp_path / "s.yaml", installed(), {})
    return [str(problem).removeprefix(f"{tmp_path}/") for problem in caught.value.problems]


def test_problems_of_a_kind_file_come_with_those_of_the_scenario(tmp_path: Path) -> None:
    (tmp_path / "toy.yaml").write_text((CORPUS / "undefined-in-args.yaml").read_text())
    (tmp_path / "s.yaml").write_text(SCENARIO.replace("KIND", "toy.yaml") + "expectations: [{use: no-crash}]\n")
    (tmp_path / "s.yaml").write_text((tmp_path / "s.yaml").read_text() + "steps: [{restart: {target: n7}}]\n")
    with pytest.raises(SpecInvalid) as caught:
        load_scenario(tmp_path / "s.yaml", installed(), {})
    files = {Path(problem.file).name: problem.message for problem in caught.value.problems}
    assert files.keys() == {"s.yaml", "toy.yaml"}
    assert files["s.yaml"] == "there is no node 'n7'"
    assert len(caught.value.problems) == 4


def test_a_path_that_leads_nowhere_is_told_where_it_stands(tmp_path: Path) -> None:
    (tmp_path / "redis.yaml").write_text((EXAMPLES / "redis.yaml").read_text())
    assert problems(tmp_path, "./reddis.yaml") == [
        "s.yaml:2:1: kind: there is no kind file './reddis.yaml' (did you mean 'redis.yaml'?)"
    ]
    assert problems(tmp_path, "./redis.toml") == [
        "s.yaml:2:1: kind: './redis.toml' is no kind file (kind files end in .yaml, .yml)"
    ]
    (tmp_path / "kinds.yaml").mkdir()
    assert problems(tmp_path, "kinds.yaml") == ["kinds.yaml: this is a folder, not a kind file"]


def test_a_file_cannot_take_the_name_of_an_installed_kind(tmp_path: Path) -> None:
    text = (EXAMPLES / "redis.yaml").read_text().replace("name: redis\n", "name: etcd\n")
    (tmp_path / "mine.yaml").write_text(text)
    assert problems(tmp_path, "mine.yaml") == [
        "s.yaml:2:1: kind: the kind file 'mine.yaml' calls itself 'etcd', which is an installed kind"
        " (give it another name)"
    ]


def test_one_file_may_be_named_in_two_ways_and_two_files_must_not_share_a_name(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text((EXAMPLES / "redis.yaml").read_text())
    groups = "[{name: 'x{index}'}, {name: 'y{index}', kind: OTHER}]"
    text = f"nodeyard: 1\nkind: ./a.yaml\nsource: {{mode: managed, deployer: {{type: local}}, nodes: {groups}}}\n"
    (tmp_path / "s.yaml").write_text(text.replace("OTHER", "a.yaml"))
    loaded = load_scenario(tmp_path / "s.yaml", installed(), {})
    assert loaded.registry.kinds["redis"] is loaded.registry.kinds["./a.yaml"] is loaded.registry.kinds["a.yaml"]
    (tmp_path / "s.yaml").write_text(text.replace("OTHER", "b.yaml"))
    with pytest.raises(SpecInvalid, match="1 problem") as caught:
        load_scenario(tmp_path / "s.yaml", installed(), {})
    assert caught.value.problems[0].message == "'./a.yaml' and 'b.yaml' both describe a kind 'redis'"


def test_a_kind_without_launch_cannot_be_managed(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(SCENARIO.replace("KIND", "ethereum").replace(", binary: /bin/true", ""))
    with pytest.raises(SpecInvalid) as caught:
        load_scenario(tmp_path / "s.yaml", installed(), {})
    assert caught.value.problems[0].message == "kind 'ethereum' names no program to start"


def test_config_is_checked_by_the_defaults_of_the_file() -> None:
    kind = example("nats")
    assert kind.config_problems({"max_payload": 5}) == []
    assert dict(kind.config_problems({"max_payload": "5", "max_paylod": 5, "x": "file:secret"})) == {
        "max_payload": "Input should be a whole number",
        "max_paylod": "not a setting of kind 'nats'; did you mean 'max_payload'?",
        "x": "a secret stands in 'env', from where it reaches the node unwritten; here it would stay this text",
    }
