"""The last lines of a run on a terminal: the verdict, why, where to look, and the two commands. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from nodeyard.domain.verdict import Check, ErrorRecord, RunVerdict, Verdict
from nodeyard.observability.drawing import clean
from nodeyard.observability.wording import seconds

EVIDENCE_LINES = 5
"""Lines of evidence under a check; all of them are in the report."""
ERROR_LINES = 30
"""The same under an error, which has nothing else to show: a table of facts, the last lines of a node."""
MEANING = {
    Verdict.PASS: "every check passed",
    Verdict.FAIL: "a check failed",
    Verdict.UNKNOWN: "could not be decided",
    Verdict.VACUOUS: "nothing was shown",
}


@dataclass(frozen=True)
class Line:
    """One line. ``style`` is ``good``, ``bad``, ``warn``, ``dim``, ``strong``, or empty."""

    text: str
    style: str = ""


def why_command(run: str, *, output: str | None = None) -> str:
    """The command that shows why a run ended as it did. ``output``: the folder of runs where it is not the default."""
    words = ["nodeyard", "inspect", run, *(("--output", output) if output is not None else ())]
    return shlex.join(words)


def repeat_command(file: str, seed: int, options: Sequence[str] = ()) -> str:
    """The command that repeats a run. ``options`` are the other options that it was given."""
    return shlex.join(["nodeyard", "run", file, "--seed", str(seed), *options])


def summary_lines(
    outcome: RunVerdict, *, scenario: str, folder: str, why: str, repeat: str, after: float | None = None
) -> tuple[Line, ...]:
    """The closing lines; the two commands only where something is to be explained."""
    lines = [_headline(outcome, scenario, after)]
    for check in outcome.checks:
        if check.verdict is not Verdict.PASS:
            lines += _check_lines(check)
    for error in outcome.errors:
        lines += _error_lines(error)
    lines.append(Line(f"folder:  {folder}", "dim"))
    if outcome.verdict is not Verdict.PASS or outcome.errors:
        lines += [Line(f"why:     {why}", "strong"), Line(f"again:   {repeat}", "strong")]
    return tuple(Line(clean(line.text).replace("\n", " "), line.style) for line in lines)


STYLE_OF = {Verdict.PASS: "good", Verdict.FAIL: "bad", Verdict.UNKNOWN: "warn", Verdict.VACUOUS: "warn"}


def _headline(outcome: RunVerdict, scenario: str, after: float | None) -> Line:
    passed = sum(check.verdict is Verdict.PASS for check in outcome.checks)
    text = f"{outcome.verdict.value.upper()}  {scenario}: "
    text += f"{passed} of {len(outcome.checks)} checks passed" if outcome.checks else "no check was evaluated"
    if outcome.ended_by is not None:
        text += f", ended by {'a person or signal' if outcome.ended_by.name == 'INTERRUPTED' else 'an error'}"
    elif outcome.verdict is Verdict.VACUOUS:
        text += f" ({MEANING[outcome.verdict]})"
    time = f", {seconds(after)}" if after is not None else ""
    return Line(f"{text} (seed {outcome.seed}{time})", STYLE_OF[outcome.verdict])


def _check_lines(check: Check) -> list[Line]:
    lines = [Line(f"  {check.verdict.value}: {check.name}: {check.reason}", STYLE_OF[check.verdict])]
    shown = [line for text in check.evidence for line in text.splitlines()]
    lines += [Line(f"    | {line}", "dim") for line in shown[:EVIDENCE_LINES]]
    if len(shown) > EVIDENCE_LINES:
        lines.append(Line(f"    | and {len(shown) - EVIDENCE_LINES} lines more in the report", "dim"))
    return lines


def _error_lines(error: ErrorRecord) -> list[Line]:
    first, *rest = error.message.splitlines() or [""]
    where = f"{error.node}: " if error.node else ""
    lines = [Line(f"  error: {where}{first} [{error.layer}/{error.code}]", "bad")]
    lines += [Line(f"    | {line}", "dim") for line in rest[:ERROR_LINES]]
    if len(rest) > ERROR_LINES:
        lines.append(Line(f"    | and {len(rest) - ERROR_LINES} lines more in verdict.json", "dim"))
    if error.hint:
        lines.append(Line(f"    hint: {error.hint}"))
    return lines


ANSI = {"good": "\x1b[1;32m", "bad": "\x1b[31m", "warn": "\x1b[33m", "dim": "\x1b[2m", "strong": "\x1b[1m"}


def summary_text(lines: Sequence[Line], *, colour: bool) -> str:
    """The lines as text, each with its end; colours only for a terminal."""
    return "".join(
        f"{ANSI[line.style]}{line.text}\x1b[0m\n" if colour and line.style else f"{line.text}\n" for line in lines
    )
