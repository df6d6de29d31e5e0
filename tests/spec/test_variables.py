"""``${NAME}`` in scenarios."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nodeyard.app.registry import installed
from nodeyard.app.spec_loader import LoadedScenario, parse_scenario
from nodeyard.errors.validation import SpecInvalid

HEAD = "nodeyard: 1\nkind: etcd\nsource:\n  mode: managed\n  deployer: {type: local}\n  nodes:\n    count: 3\n"


def load(text: str, **variables: str) -> LoadedScenario:
    return parse_scenario(text, Path("s.yaml"), installed(), {}, variables)


def problems(text: str, **variables: str) -> list[str]:
    with pytest.raises(SpecInvalid) as caught:
        load(text, **variables)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("written", "variables", "expected"),
    [
        ("${A}", {"A": "x"}, "x"),
        ("${A:-y}", {}, "y"),
        ("${A:-y}", {"A": "x"}, "x"),
        ("${A:-}z", {}, "z"),
        ("${A:-y}", {"A": ""}, None),
        ("'${A:-y}'", {"A": ""}, ""),
        ("a${A}b${B}", {"A": "1", "B": "2"}, "a1b2"),
        ("$${A}", {}, "${A}"),
        ("$$", {}, "$"),
        ("$A", {}, "$A"),
        ("$", {}, "$"),
        ("${1}", {}, "${1}"),
        ("${A}", {"A": "${B}"}, "${B}"),
        ("${A}", {"A": "x: y\n- z"}, "x: y\n- z"),
        ("'${A}'", {"A": "7"}, "7"),
        ('"${A}"', {"A": "it's"}, "it's"),
    ],
)
def test_replacing(written: str, variables: dict[str, str], expected: Any) -> None:
    found = load(f"description: {written}\n{HEAD}", **variables)
    assert found.spec.description == expected


@pytest.mark.parametrize(("value", "count"), [("5", 5), ("0x5", 5)])
def test_a_plain_variable_gets_its_type_from_its_value(value: str, count: int) -> None:
    text = HEAD.replace("count: 3", "count: ${N}")
    assert load(text, N=value).spec.source.nodes[0].count == count  # type: ignore[union-attr]


def test_a_variable_in_quotes_may_stand_for_a_number_or_a_switch() -> None:
    text = HEAD.replace("count: 3", 'count: "${N}"\n    on_demand: "${D}"')
    group = load(text, N="4", D="true").spec.source.nodes[0]  # type: ignore[union-attr]
    assert (group.count, group.on_demand) == (4, True)


def test_a_variable_stands_for_a_key_too() -> None:
    found = load(HEAD + "    patches: {'${NODE}': {log-level: debug}}\n", NODE="n1")
    assert found.spec.source.nodes[0].patches == {"n1": {"log-level": "debug"}}  # type: ignore[union-attr]


def test_what_was_used_is_told() -> None:
    text = "name: ${A}-${B:-b}\ndescription: $${C}\n" + HEAD
    assert load(text, A="a", Z="z").used == {"A", "B"}


def test_a_variable_behind_an_alias_is_replaced_once() -> None:
    found = load(HEAD + "    env: {A: &x '${V}', B: *x}\n", V="$$")
    assert found.spec.source.nodes[0].env == {"A": "$$", "B": "$$"}  # type: ignore[union-attr]


def test_each_variable_without_a_value_is_one_problem_and_hides_what_follows_from_it() -> None:
    text = "deadline: ${D}\nname: ${A}${B}\nnam: x\n" + HEAD.replace("count: 3", "count: ${N}")
    assert problems(text) == [
        "s.yaml:1:11: deadline: the variable D has no value (give it with --var D=...)",
        "s.yaml:2:7: name: the variable A has no value (give it with --var A=...)",
        "s.yaml:2:7: name: the variable B has no value (give it with --var B=...)",
        "s.yaml:3:1: nam: unknown key 'nam' (did you mean 'name'?)",
        "s.yaml:10:12: source.nodes.count: the variable N has no value (give it with --var N=...)",
    ]


def test_a_variable_that_is_nearly_right_is_named() -> None:
    assert problems("name: ${NMAE}\n" + HEAD, NAME="x") == [
        "s.yaml:1:7: name: the variable NMAE has no value (did you mean 'NAME'?)"
    ]


def test_the_value_of_a_variable_is_in_no_message() -> None:
    said = problems(HEAD.replace("count: 3", "count: ${N}"), N="hunter2")
    assert said == ["s.yaml:7:5: source.nodes.count: Input should be a valid integer"]
