"""How values are spelled in rendered texts, and which values a setting takes."""

from __future__ import annotations

import pytest

from nodeyard.kinds.declarative.templates import compiled, compiled_json, rendered_json

from .support import toy


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ yes }}", "true"),
        ("--on={{ no }}", "--on=false"),
        ("{{ none }}", ""),
        ("{{ one }} {{ true }} {{ none or 'x' }}", "1 true x"),
    ],
)
def test_values_are_spelled_as_configuration_files_do(source: str, text: str) -> None:
    assert compiled(source).render({"yes": True, "no": False, "none": None, "one": 1}) == text


def test_values_that_stand_alone_in_json_keep_their_type() -> None:
    assert rendered_json(compiled_json(["{{ yes }}", "{{ none }}"]), {"yes": True, "none": None}) == [True, None]


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("size", 64, "Input should be a text; put it in quotes"),
        ("size", True, "Input should be a text; put it in quotes"),
        ("size", "64", ""),
        ("rate", 2, ""),
        ("rate", True, "Input should be a number"),
        ("on", 1, "Input should be true or false"),
    ],
)
def test_a_setting_is_of_its_defaults_type(key: str, value: int | str | bool, problem: str) -> None:
    kind = toy("config: {size: 64mb, rate: 1.5, on: true}\nlaunch: {program: p}\n")
    assert kind.config_problems({key: value}) == ([(key, problem)] if problem else [])
