"""The summary of a run as GitHub Actions shows it on the page of a job: Markdown, made from the verdict. Pure."""

from __future__ import annotations

from nodeyard.domain.verdict import RunVerdict, Verdict
from nodeyard.observability.drawing import clean

MARKS = {Verdict.PASS: "✅", Verdict.FAIL: "❌", Verdict.UNKNOWN: "❓", Verdict.VACUOUS: "⚪"}
MOST_EVIDENCE = 40
"""Lines of evidence under one check: a job's summary may hold 1 MiB in all."""


def step_summary(outcome: RunVerdict, *, scenario: str, folder: str, repeat: str) -> str:
    """One section: the verdict, a table of the checks, the errors, and the command that repeats the run."""
    lines = [f"### {MARKS[outcome.verdict]} {_text(scenario)}: {outcome.verdict.value}", ""]
    if outcome.checks:
        lines += ["| | check | reason |", "| --- | --- | --- |"]
        lines += [f"| {MARKS[c.verdict]} {c.verdict.value} | {_text(c.name)} | {_text(c.reason)} |"
                  for c in outcome.checks]  # fmt: skip
        lines.append("")
    for check in outcome.checks:
        if check.verdict is not Verdict.PASS and check.evidence:
            lines += _folded(f"evidence of {check.name}", check.evidence)
    for error in outcome.errors:
        first, *rest = error.message.splitlines() or [""]
        where = f"{error.node}: " if error.node else ""
        lines += [f"**{_text(where + first)}** (`{error.layer}/{error.code}`)", ""]
        lines += _folded("details", rest) if rest else []
        lines += [f"Hint: {_text(error.hint)}", ""] if error.hint else []
    lines += [f"Run `{outcome.run}`, folder `{folder}`, again with `{repeat}`", ""]
    return "\n".join(lines) + "\n"


def _folded(title: str, texts: tuple[str, ...] | list[str]) -> list[str]:
    shown = [line for text in texts for line in clean(text).splitlines()]
    more = [f"... and {len(shown) - MOST_EVIDENCE} more lines"] if len(shown) > MOST_EVIDENCE else []
    inside = [f"    {line}" for line in (*shown[:MOST_EVIDENCE], *more)]
    return [f"<details><summary>{_text(title)}</summary>", "", *inside, "", "</details>", ""]


def _text(text: str) -> str:
    """Text that no Markdown and no HTML in it can change."""
    flat = " ".join(clean(text).split())
    for character in "\\`*_{}[]<>|~#":
        flat = flat.replace(
            character, f"\\{character}" if character not in "<>" else f"&{'lt' if character == '<' else 'gt'};"
        )
    return flat
