"""The corpus of broken kind files as values."""

from __future__ import annotations

from pathlib import Path

from nodeyard.app.kind_files import read_file
from nodeyard.app.registry import installed
from nodeyard.errors.validation import SpecInvalid

CORPUS = Path(__file__).parent / "corpus"
NAMES = tuple(sorted(path.stem for path in CORPUS.glob("*.yaml")))


def messages(name: str) -> list[str]:
    """What reading a file of the corpus says; an empty list if it is a kind."""
    try:
        read_file(f"{name}.yaml", installed().kind_formats, CORPUS)
    except SpecInvalid as error:
        return [str(problem) for problem in error.problems]
    return []


def main() -> None:
    """Accept the messages of today, after all of them were read."""
    for name in NAMES:
        (CORPUS / f"{name}.txt").write_text("".join(f"{line}\n" for line in messages(name)), encoding="utf-8")


if __name__ == "__main__":
    main()
