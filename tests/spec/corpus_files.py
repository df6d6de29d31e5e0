"""The corpus of broken scenarios as values."""

from __future__ import annotations

from pathlib import Path

from nodeyard.app.registry import installed
from nodeyard.app.spec_loader import load_scenario
from nodeyard.errors.validation import SourceUnsupported, SpecInvalid

CORPUS = Path(__file__).parent / "corpus"
NAMES = tuple(sorted(path.stem for path in CORPUS.glob("*.yaml")))
VARIABLES = b"#: --var "


def variables(content: bytes) -> dict[str, str]:
    """What the first line of a file gives."""
    first = content.split(b"\n", 1)[0]
    given = first.removeprefix(VARIABLES).decode().split() if first.startswith(VARIABLES) else []
    return {name: value for name, _, value in (word.partition("=") for word in given)}


def messages(name: str) -> list[str]:
    """What loading a file of the current folder says; an empty list if it is a valid scenario."""
    path = Path(f"{name}.yaml")
    try:
        load_scenario(path, installed(), {}, variables(path.read_bytes()))
    except SpecInvalid as error:
        return [str(problem) for problem in error.problems]
    except SourceUnsupported as error:
        return [f"SourceUnsupported: {error.message} ({error.hint})"]
    return []
