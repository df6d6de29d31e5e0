"""Everything that a user can say or meet is documented, and nothing that does not exist."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

import nodeyard
from nodeyard.app.config import KEYS, PREFIX
from nodeyard.app.registry import GROUPS, installed
from nodeyard.app.run_folder import RunFolder
from nodeyard.cli.group import VERBS
from nodeyard.domain.capability import Capability
from nodeyard.domain.selectors import ORIGINS, WORDS
from nodeyard.domain.verdict import Verdict
from nodeyard.errors.base import ExitStatus
from nodeyard.observability.schemas import schema_names

from .pages import ROOT, Page, pages
from .tables import mappings, place_of_keys, place_of_word, tables_of

PAGES = {page.name: page for page in pages()}
CODE_ROOTS = ("src/", "tests/", "docs/", "examples/", "bench/", "changelog.d/")


def page(name: str) -> Page:
    return PAGES[name]


def headed(name: str) -> set[str]:
    """The headings of a page that are one word in backticks."""
    return {heading.strip("`") for heading in page(name).headings if heading.startswith("`")}


def test_every_verb_has_a_section_with_its_options() -> None:
    assert headed("docs/cli.md") == set(VERBS)
    assert {t for t in tables_of(page("docs/cli.md").text) if t.startswith("verb ")} == {f"verb {v}" for v in VERBS}


@pytest.mark.parametrize("word", sorted({*installed().operations, *installed().expectations, "expect"}))
def test_a_step_or_check_has_a_section(word: str) -> None:
    assert place_of_word(word), f"no page below docs/ has the heading `{word}`"


def test_no_section_is_about_a_step_that_does_not_exist() -> None:
    assert headed("docs/steps-and-checks.md") <= {*installed().operations, *installed().expectations, "expect"}


@pytest.mark.parametrize("name", sorted(mappings()))
def test_a_mapping_of_a_scenario_has_its_table(name: str) -> None:
    assert place_of_keys(name), f"no page below docs/ has '<!-- table: keys {name} -->', or options"


@pytest.mark.parametrize("name", ["README.md", "docs/verdicts.md"])
def test_every_exit_status_is_told(name: str) -> None:
    rows = re.findall(r"^\| (\d) \| ", page(name).text, re.MULTILINE)
    assert sorted(map(int, rows)) == sorted(int(status) for status in ExitStatus)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("docs/verdicts.md", [verdict.value for verdict in Verdict]),
        ("docs/safety.md", [capability.value for capability in Capability]),
        ("docs/steps-and-checks.md", [*WORDS, *ORIGINS]),
        ("docs/files.md", schema_names()),
        ("docs/cli.md", [*KEYS, *(PREFIX + key.upper().replace("-", "_") for key in KEYS)]),
        ("docs/extending.md", [f"nodeyard.{group}" for group in GROUPS]),
        ("docs/python.md", [name for name in nodeyard.__all__ if name != "__version__"]),
        ("docs/scenario.md", ["env:NAME", "file:PATH"]),
    ],
)
def test_every_word_stands_on_its_page(name: str, words: list[str]) -> None:
    code = " ".join(page(name).code)
    assert [word for word in words if word not in code] == []


def test_every_file_of_a_run_is_described() -> None:
    folder = RunFolder(Path("run"))
    names = {value.name for key in dir(RunFolder) if isinstance(value := getattr(folder, key), Path) and key != "path"}
    told = " ".join(page("docs/files.md").code)
    assert [name for name in names if name not in told] == []


def links() -> list[tuple[str, str]]:
    return [(one.name, link) for one in PAGES.values() for link in one.links if not link.startswith("https://")]


@pytest.mark.parametrize(("name", "link"), links())
def test_every_link_leads_somewhere(name: str, link: str) -> None:
    path, _, anchor = link.partition("#")
    target = (page(name).path.parent / path).resolve() if path else page(name).path
    assert target.exists(), f"{name}: {link}"
    if anchor:
        assert anchor in page(str(target.relative_to(ROOT))).anchors, f"{name}: {link}"


def test_every_page_is_linked_from_another() -> None:
    linked = {
        str((page(name).path.parent / link.partition("#")[0]).resolve().relative_to(ROOT))
        for name, link in links()
        if link.partition("#")[0]
    }
    entries = {name for name in PAGES if name.startswith("changelog.d/") or name == "README.md"}
    decisions = {name for name in PAGES if name.startswith("docs/decisions/")}
    assert set(PAGES) - entries - linked - decisions == set()


def named_places() -> list[tuple[str, str]]:
    return sorted({(one.name, text) for one in PAGES.values() for text in one.code if text.startswith(CODE_ROOTS)})


@pytest.mark.parametrize(("name", "path"), named_places())
def test_every_path_that_is_named_exists(name: str, path: str) -> None:
    pattern = re.sub(r"NNNN|NAME", "*", path.rstrip("/"))
    assert any(ROOT.glob(pattern)), f"{name} names {path}"


def named_objects() -> list[tuple[str, str]]:
    pattern = re.compile(r"nodeyard(\.[A-Za-z_]+)+")
    known = {f"nodeyard.{group}" for group in (*GROUPS, "kind_files")} | {"nodeyard.toml", "nodeyard.schema"}
    return sorted({(p.name, t) for p in PAGES.values() for t in p.code if pattern.fullmatch(t) and t not in known})


@pytest.mark.parametrize(("name", "dotted"), named_objects())
def test_every_object_that_is_named_exists(name: str, dotted: str) -> None:
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return
    raise AssertionError(f"{name} names {dotted}")


def test_the_levels_are_those_of_the_linter() -> None:
    import tomllib

    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    levels = [sorted(re.findall(r"[a-z_]+", layer)) for layer in contract["layers"]]
    rows = re.findall(r"^\| \d \| ([^|]+) \|", page("docs/architecture.md").text, re.MULTILINE)
    assert [sorted(re.findall(r"[a-z_]+", row)) for row in rows] == levels


DECISIONS = sorted(name for name in PAGES if name.startswith("docs/decisions/") and "README" not in name)


def test_decisions_have_numbers_of_their_own() -> None:
    numbers = [re.fullmatch(r"docs/decisions/(\d{4})-[a-z0-9-]+\.md", name) for name in DECISIONS]
    assert all(numbers)
    assert len({found[1] for found in numbers if found}) == len(DECISIONS)


@pytest.mark.parametrize("name", DECISIONS)
def test_a_decision_has_its_three_parts(name: str) -> None:
    assert page(name).headings[1:] == ("Context", "Decision", "Consequences")
    assert len(page(name).text.split()) < 400


@pytest.mark.parametrize("path", sorted((ROOT / "changelog.d").glob("*.md")), ids=lambda path: path.name)
def test_a_fragment_of_the_changelog_is_short(path: Path) -> None:
    assert re.fullmatch(r"README\.md|[a-z0-9-]+(\.(added|changed|fixed|removed|security))?\.md", path.name)
    assert path.name == "README.md" or 0 < len(path.read_text().splitlines()) < 10


def test_a_clone_stays_clean_after_the_examples_of_its_readme() -> None:
    ignored = (Path(__file__).parents[2] / ".gitignore").read_text(encoding="utf-8").splitlines()
    text = page("README.md").text
    assert {f"/{name}/" for name in re.findall(r"examples/by-hand/cluster up (\S+)", text)} <= set(ignored)
    assert ".venv/bin/nodeyard" in text
    assert text.index("python3 -m venv") < text.index("pip install")
