"""How values are spelled in rendered texts, and which values a setting takes."""

from __future__ import annotations

import pytest

from nodeyard.domain.launch_plan import NetworkMaterial, NodePlan, Seed
from nodeyard.kinds.declarative.templates import compiled, compiled_json, rendered_json
from nodeyard.ports.kind import RenderRequest

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


class Here:
    """A place at one address."""

    data_dir, config_dir = "/data", "/config"

    def listen(self, port: str) -> str:
        return "127.0.0.1:8080"

    advertise = listen


@pytest.mark.parametrize("seeds", [0, 1, 3])
def test_an_argument_is_written_once_for_each_seed_or_peer(seeds: int) -> None:
    kind = toy(
        "launch:\n  program: p\n  args:\n  - first\n  - {each: seeds, arg: '--peer={{ seed.address.api }}'}\n"
        '  - {each: peers, arg: "{% if peer.name != name %}{{ peer.name }}{% endif %}"}\n  - last\n'
    )
    plans = [NodePlan(f"n{index}", "toy", index, 0) for index in range(2)]
    told = [Seed(f"s{index}", None, {"api": f"10.0.0.{index}:80"}) for index in range(seeds)]
    request = RenderRequest(plans[0], Here(), [(plan, Here()) for plan in plans], told, NetworkMaterial("net"))
    peers = [f"--peer=10.0.0.{index}:80" for index in range(seeds)]
    assert list(kind.render(request).args) == ["first", *peers, "n1", "last"]
