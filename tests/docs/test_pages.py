"""What the pages show is true: commands run, scenarios are valid, code compiles, tables follow the code."""

from __future__ import annotations

import json
import re
import tomllib
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from e2e.authority import Authority
from nodeyard.app.registry import installed
from nodeyard.app.spec_loader import parse_scenario
from nodeyard.cli import HELP

from .pages import ROOT, Block, Page, pages
from .playing import Player, reserved_ports
from .tables import MAKERS, help_text, rewritten, tables_of

PAGES = pages()
BLOCKS = [block for page in PAGES for block in page.blocks]
SHELL = ("sh", "bash", "shell", "console", "zsh")
PLAYED = [pytest.param(p, id=p.name, marks=[pytest.mark.real] if p.real else []) for p in PAGES if p.played]
BASE = {
    "nodeyard": 1,
    "kind": "etcd",
    "source": {
        "mode": "managed",
        "deployer": {"type": "local"},
        "nodes": {"count": 3},
        "external": [{"name": "h0", "endpoints": {"client": "http://127.0.0.1:2379"}, "allow": ["join"]}],
    },
}


class Anything(Mapping[str, str]):
    """An environment in which every variable is set."""

    def __getitem__(self, name: str) -> str:
        return f"value of {name}"

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def named(blocks: list[Block]) -> list[Any]:
    return [pytest.param(block, id=str(block)) for block in blocks]


def in_cluster() -> dict[str, str]:
    """What a page about clusters takes: one that runs, an image in it, and a namespace that nobody else uses."""
    from k8s.clusters import image, kubeconfig

    return {
        "KUBECONFIG": kubeconfig(),
        "NODEYARD_ETCD_IMAGE": image(),
        "DEVNET": f"devnet-{uuid.uuid4().hex[:8]}",
    }


@pytest.mark.parametrize("page", PLAYED)
def test_a_page_can_be_played(page: Page, tmp_path: Path) -> None:
    settings = in_cluster() if page.path.stem.endswith("k8s") else {}
    with reserved_ports(page.path.stem) as ports:
        Player(page, tmp_path, ports, settings).play()
    assert not list(tmp_path.glob(".state/ledgers/*.jsonl"))


@pytest.mark.parametrize("block", named([b for b in BLOCKS if b.language in SHELL]))
def test_commands_are_run_or_say_that_they_are_not(block: Block) -> None:
    assert block.language == "sh"
    assert ("run" in block.words) != ("manual" in block.words)


@pytest.mark.parametrize("block", named([b for b in BLOCKS if b.language == "sh" and "manual" in b.words]))
def test_what_is_made_by_hand_names_targets_and_verbs_that_exist(block: Block) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^\s*make ([a-z]+)", block.text, re.MULTILINE)) <= targets
    from nodeyard.cli.group import VERBS

    assert set(re.findall(r"^\s*nodeyard ([a-z]+)", block.text, re.MULTILINE)) <= set(VERBS)


@pytest.mark.parametrize("block", named([b for b in BLOCKS if "scenario" in b.words or "part" in b.words]))
def test_scenarios_are_valid(block: Block, tmp_path: Path) -> None:
    written = YAML(typ="safe", pure=True).load(block.text)
    text = block.text if "scenario" in block.words else json.dumps({**BASE, **written})
    authority = Authority(tmp_path / "authority")
    ours = authority.issue("ours")
    contents = {"ca: ": authority.ca, "cert: ": ours.cert, "key: ": ours.key}
    for word, name in re.findall(r"(file:|ca: |cert: |key: )([\w./-]+\.(?:pem|key|txt))", block.text):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(contents[word].read_text() if word in contents else "x")
    for other in BLOCKS:
        if other.page == block.page and other.language == "python" and (name := other.option("file")):
            (tmp_path / name).write_text(other.text)
    variables = dict(word.split("=", 1) for word in [block.option("var")] if word)
    loaded = parse_scenario(text, tmp_path / "scenario.yaml", installed(), Anything(), variables)
    assert loaded.spec.kind in installed().kinds


@pytest.mark.parametrize("block", named([b for b in BLOCKS if b.language in ("yaml", "json", "toml", "python")]))
def test_what_is_shown_can_be_read(block: Block) -> None:
    if block.language == "python":
        compile(block.text, str(block), "exec")
        assert "run" in block.words or block.option("file")
    elif block.language == "toml":
        assert tomllib.loads(block.text)
    elif block.language == "json":
        assert (
            [json.loads(line) for line in block.text.splitlines()] if "lines" in block.words else json.loads(block.text)
        )
    else:
        assert YAML(typ="safe", pure=True).load(block.text)
        assert {"scenario", "part", "data"} & set(block.words)


@pytest.mark.parametrize("page", [pytest.param(p, id=p.name) for p in PAGES if any(tables_of(p.text))])
def test_tables_follow_the_code(page: Page) -> None:
    fresh = rewritten(page.text, folder=page.name.rpartition("/")[0])
    assert fresh == page.text, f"{page.name} is out of date: 'make docs' rewrites its tables"


def test_every_table_is_shown() -> None:
    shown = {what.split()[0] for page in PAGES for what in tables_of(page.text)}
    assert shown == set(MAKERS)


@pytest.mark.parametrize("columns", [80, 100, 300])
def test_the_help_that_is_printed_at_once_is_that_of_the_parser(columns: int) -> None:
    written = Path(HELP).read_text(encoding="utf-8")
    assert written == help_text(columns), "help.txt is out of date, or wraps: 'make docs' rewrites it"
