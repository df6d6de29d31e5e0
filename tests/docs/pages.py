"""The pages of the documentation as values: blocks, headings, links. Pure but for reading the files.

The first line of a block says what is done with it::

    sh run           run in the page's folder, block after block; ``real`` where it starts nodes, ``exit=N`` for
                     another exit status than 0
    sh manual        not run: installing, cloning, editing
    text output      lines that the command before printed, in this order; ``…`` stands for anything
    yaml scenario    a whole scenario: it is valid, with ``var=NAME=VALUE`` where it needs a variable
    yaml part        top-level keys of a scenario: valid beside the others
    python run       as ``sh run``
    ... file=NAME    first written into the page's folder
    text, json, yaml data, toml    only shown; what claims to be JSON, YAML or TOML is read
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(?P<info>[^\n`]+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#+) (.+?)\s*$", re.MULTILINE)
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Block:
    """One fenced block. ``words`` are those of its first line after the language."""

    page: str
    line: int
    language: str
    words: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    def option(self, name: str) -> str | None:
        """The value of ``NAME=VALUE`` in the first line."""
        return next((word.partition("=")[2] for word in self.words if word.startswith(f"{name}=")), None)


@dataclass(frozen=True)
class Page:
    """One Markdown file; ``name`` is its path from the root of the project."""

    name: str
    text: str

    @property
    def path(self) -> Path:
        return ROOT / self.name

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        return tuple(_blocks(self.name, self.text))

    @cached_property
    def prose(self) -> str:
        """The text without its blocks."""
        return FENCE.sub("", self.text)

    @cached_property
    def headings(self) -> tuple[str, ...]:
        return tuple(match[2] for match in HEADING.finditer(self.prose))

    @cached_property
    def anchors(self) -> frozenset[str]:
        return frozenset(slug(heading) for heading in self.headings)

    @cached_property
    def links(self) -> tuple[str, ...]:
        return tuple(LINK.findall(self.prose))

    @cached_property
    def code(self) -> tuple[str, ...]:
        """What stands between backticks in the prose."""
        return tuple(CODE.findall(self.prose))

    @property
    def played(self) -> tuple[Block, ...]:
        """The blocks that playing the page takes, in order."""
        return tuple(b for b in self.blocks if "run" in b.words or "output" in b.words or b.option("file"))

    @property
    def real(self) -> bool:
        return any("real" in block.words for block in self.blocks)


def slug(heading: str) -> str:
    """The anchor of a heading, as code hosts make it."""
    plain = re.sub(r"[^\w\- ]", "", heading.lower())
    return plain.replace(" ", "-")


def _blocks(page: str, text: str) -> Iterator[Block]:
    for match in FENCE.finditer(text):
        language, *words = match["info"].split()
        yield Block(page, text.count("\n", 0, match.start()) + 1, language, tuple(words), match["text"])


def pages() -> tuple[Page, ...]:
    """Every page of the documentation."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "changelog.d").glob("*.md"))]
    return tuple(Page(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")) for path in found)
