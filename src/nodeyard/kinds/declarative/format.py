"""``YamlFormat``: kind files in YAML, as a plugin."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel

from nodeyard.domain.document import Document
from nodeyard.errors.validation import SpecInvalid
from nodeyard.kinds.declarative import checks
from nodeyard.kinds.declarative.kind import DeclarativeKind
from nodeyard.kinds.declarative.model import KindFile


class YamlFormat:
    """A kind described by how it is launched and what it is asked."""

    summary: ClassVar[str] = "a kind by its command, its config files and its answers"
    model: ClassVar[type[BaseModel]] = KindFile

    def kind(self, written: BaseModel, document: Document) -> DeclarativeKind:
        """Raises ``SpecInvalid`` with every template, expression and port that is wrong."""
        assert isinstance(written, KindFile)
        problems = checks.problems(written, document)
        if problems:
            raise SpecInvalid(problems)
        return DeclarativeKind(written, document.file)
