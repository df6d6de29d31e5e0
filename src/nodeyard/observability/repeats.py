"""What several runs of one scenario come to: how many passed, and whose the failures were. Pure.

A failure belongs to the *nodes* when a check failed, to the *infrastructure* when something around them did, and to the
*framework* when Nodeyard itself broke. A run that nobody could decide is *undecided* and belongs to none of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from nodeyard.errors.base import ExitStatus
from nodeyard.observability.summary import Line


class FailureClass(StrEnum):
    """Whose a failure is."""

    NODE = "node"
    FRAMEWORK = "framework"
    INFRASTRUCTURE = "infrastructure"
    UNDECIDED = "undecided"
    INTERRUPTED = "interrupted"


CLASS_OF = {
    ExitStatus.FAIL: FailureClass.NODE,
    ExitStatus.INTERNAL: FailureClass.FRAMEWORK,
    ExitStatus.USAGE: FailureClass.INFRASTRUCTURE,
    ExitStatus.INFRASTRUCTURE: FailureClass.INFRASTRUCTURE,
    ExitStatus.VACUOUS: FailureClass.UNDECIDED,
    ExitStatus.UNKNOWN: FailureClass.UNDECIDED,
    ExitStatus.INTERRUPTED: FailureClass.INTERRUPTED,
}


@dataclass(frozen=True)
class Repeated:
    """One of the runs. ``repeat`` is the command that repeats it; empty where it did not come to a run."""

    status: ExitStatus
    seed: int | None = None
    reason: str = ""
    repeat: str = ""


@dataclass(frozen=True)
class Repeats:
    """All runs of one scenario, in order."""

    scenario: str
    runs: tuple[Repeated, ...]

    @property
    def passed(self) -> int:
        return sum(run.status is ExitStatus.PASS for run in self.runs)

    @property
    def classes(self) -> dict[str, int]:
        """How many failures there are of each class that has any."""
        found = Counter(CLASS_OF[run.status] for run in self.runs if run.status is not ExitStatus.PASS)
        return {one.value: found[one] for one in FailureClass if found[one]}

    def document(self) -> dict[str, object]:
        """The same as JSON values; ``pass_rate`` is a share between 0 and 1."""
        count = len(self.runs)
        return {
            "scenario": self.scenario,
            "runs": count,
            "passed": self.passed,
            "pass_rate": self.passed / count if count else 0.0,
            "failures": self.classes,
        }

    def lines(self) -> tuple[Line, ...]:
        """For people: the pass rate, the classes, and of each class the first failure with its command."""
        count, passed = len(self.runs), self.passed
        good = "good" if passed == count else "bad"
        share = f"{100 * passed / count:.0f} %" if count else "none"
        lines = [Line(f"{passed} of {count} runs of {self.scenario} passed ({share})", good)]
        for name, failures in self.classes.items():
            first = next(run for run in self.runs if CLASS_OF.get(run.status) == name)
            said = f": {first.reason}" if first.reason else ""
            lines.append(
                Line(f"  failure class {name}: {_runs(failures)}, the first with seed {first.seed}{said}", "bad")
            )
            lines += [Line(f"    again: {first.repeat}", "strong")] if first.repeat else []
        return tuple(lines)


def reason_of(checks: Sequence[tuple[str, str, str]], errors: Sequence[str]) -> str:
    """Why a run did not pass, in one line: its first error, else its worst check (name, verdict, reason)."""
    if errors:
        return errors[0].splitlines()[0]
    order = ("fail", "unknown", "vacuous")
    bad = sorted((one for one in checks if one[1] in order), key=lambda one: order.index(one[1]))
    return f"{bad[0][0]}: {bad[0][2]}" if bad else ""


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"
