"""Verdicts and how they combine. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from nodeyard.errors.base import ExitStatus, NodeyardError


class Verdict(StrEnum):
    """``pass``; ``vacuous`` nothing was shown; ``unknown`` could not be decided; ``fail``."""

    PASS = "pass"
    VACUOUS = "vacuous"
    UNKNOWN = "unknown"
    FAIL = "fail"


SEVERITY = {Verdict.PASS: 0, Verdict.VACUOUS: 1, Verdict.UNKNOWN: 2, Verdict.FAIL: 3}

EXIT_OF = {
    Verdict.PASS: ExitStatus.PASS,
    Verdict.VACUOUS: ExitStatus.VACUOUS,
    Verdict.UNKNOWN: ExitStatus.UNKNOWN,
    Verdict.FAIL: ExitStatus.FAIL,
}


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of all, in the order fail > unknown > vacuous > pass; of none at all: vacuous, never pass."""
    return max(verdicts, key=SEVERITY.__getitem__, default=Verdict.VACUOUS)


@dataclass(frozen=True)
class Check:
    """One decided question with the evidence that decided it."""

    name: str
    verdict: Verdict
    reason: str
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True)
class ErrorRecord:
    """An error as it stands in ``verdict.json``."""

    layer: str
    code: str
    node: str | None
    message: str
    hint: str | None

    @staticmethod
    def of(error: NodeyardError) -> ErrorRecord:
        detail = "\n".join((error.message, *error.evidence))
        return ErrorRecord(error.layer, error.code, error.node, detail, error.hint)


@dataclass(frozen=True)
class RunVerdict:
    """The outcome of a run: what its checks say, and what ended it if it did not end by itself."""

    run: str
    seed: int
    checks: tuple[Check, ...]
    errors: tuple[ErrorRecord, ...] = ()
    ended_by: ExitStatus | None = None

    @property
    def verdict(self) -> Verdict:
        """A run that infrastructure or a person ended is at best unknown; a proven failure stays one."""
        decided = worst(check.verdict for check in self.checks)
        if self.ended_by is None:
            return decided
        return Verdict.FAIL if decided is Verdict.FAIL else Verdict.UNKNOWN

    @property
    def exit_status(self) -> ExitStatus:
        return self.ended_by if self.ended_by is not None else EXIT_OF[self.verdict]
