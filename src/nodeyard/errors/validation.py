"""Errors found by reading: a scenario, its files, binaries and credentials (bootstrap step 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nodeyard.errors.base import ExitStatus, NodeyardError


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong with the input, where it stands and what would be right.

    ``line`` and ``column`` count from 1; 0 means that the problem has no place in the file.
    """

    file: str = ""
    line: int = 0
    column: int = 0
    path: str = ""
    message: str = ""
    hint: str = ""

    def __str__(self) -> str:
        place = self.file
        if self.line:
            place += f":{self.line}:{self.column}"
        text = ": ".join(part for part in (place, self.path, self.message) if part)
        return f"{text} ({self.hint})" if self.hint else text


class SpecInvalid(NodeyardError):
    """The input cannot be run as it stands; carries every problem, not the first one."""

    layer = "validation"
    code = "spec-invalid"
    exit_status = ExitStatus.USAGE

    def __init__(self, problems: Sequence[Problem], *, hint: str | None = None) -> None:
        self.problems = tuple(sorted(set(problems)))
        count = len(self.problems)
        head = "1 problem" if count == 1 else f"{count} problems"
        super().__init__(f"{head} in the input", evidence=[str(p) for p in self.problems], hint=hint)


class UsageError(NodeyardError):
    """The command line asks for something that cannot be done."""

    layer = "validation"
    code = "usage"
    exit_status = ExitStatus.USAGE


class SourceUnsupported(NodeyardError):
    """A mode, deployer, provider or kind that is known but not installed here."""

    layer = "validation"
    code = "source-unsupported"
    exit_status = ExitStatus.USAGE


class PluginInvalid(NodeyardError):
    """A package registered something that cannot be loaded, or a name that another package has already."""

    layer = "validation"
    code = "plugin-invalid"
    exit_status = ExitStatus.USAGE
