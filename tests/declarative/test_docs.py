"""The page of kind files: its blocks are kinds, its scenario is valid, and it names every variable and filter."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from nodeyard.app.registry import installed
from nodeyard.app.spec_loader import parse_scenario
from nodeyard.kinds.declarative.model import RUNGS, WAYS

from .support import HEAD, kind_of

PAGE = Path(__file__).parents[2] / "docs" / "kinds" / "declarative.md"


def blocks(word: str) -> list[str]:
    parts = PAGE.read_text(encoding="utf-8").split(f"```yaml data {word}")[1:]
    return [part.partition("\n")[2].partition("```")[0] for part in parts if part[:1] in "\n "]


def dumped(value: object, path: Path) -> str:
    YAML(typ="safe", pure=True).dump(value, path)
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("text", blocks("kind"))
def test_each_kind_of_the_page_is_one(text: str) -> None:
    assert kind_of(text).name


@pytest.mark.parametrize("text", blocks("kind-part"))
def test_each_part_of_a_kind_is_valid_beside_the_rest(text: str, tmp_path: Path) -> None:
    written = YAML(typ="safe", pure=True).load(text)
    rest = {} if "launch" in written or "config" not in written else {"launch": {"program": "toyd"}}
    assert kind_of(HEAD + "ports: {api: 8080}\n" + dumped({**rest, **written}, tmp_path / "part.yaml"))


@pytest.mark.parametrize("text", blocks("scenario-of-kind"))
def test_each_scenario_of_a_kind_is_valid(text: str, tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(blocks("kind")[0])
    parse_scenario(text, tmp_path / "scenario.yaml", installed(), {})


def test_the_page_names_every_way_to_ask_and_every_rung() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [word for word in (*WAYS, "connect", *RUNGS) if f"`{word}`" not in page] == []
    for word in ("json", "from_json", "hex", "base64", "bytes", "urlencode", "number", "optional", "map"):
        assert f"`{word}`" in page
