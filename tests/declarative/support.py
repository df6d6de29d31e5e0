"""Kind files in tests: read from text, from the examples, and from what is shipped."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from nodeyard.app.kind_files import read_kind
from nodeyard.kinds.declarative import YamlFormat
from nodeyard.kinds.declarative.kind import DeclarativeKind

EXAMPLES = Path(__file__).parents[2] / "examples" / "kinds"
SHIPPED = files("nodeyard.kinds.declarative.shipped")
HEAD = "nodeyard-kind: 1\nname: toy\nsummary: a toy\n"


def kind_of(text: str, file: str = "toy.yaml") -> DeclarativeKind:
    """The kind that a text describes."""
    made = read_kind(text, file, YamlFormat())
    assert isinstance(made, DeclarativeKind)
    return made


def toy(text: str) -> DeclarativeKind:
    """A kind with one HTTP port, and what a text adds."""
    return kind_of(HEAD + ("" if "ports:" in text else "ports: {api: 8080}\n") + text)


def example(name: str) -> DeclarativeKind:
    return kind_of((EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8"), f"{name}.yaml")


def shipped(name: str) -> DeclarativeKind:
    return kind_of((SHIPPED / f"{name}.yaml").read_text(encoding="utf-8"), f"{name}.yaml")
