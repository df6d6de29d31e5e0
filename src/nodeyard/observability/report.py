"""``report.html``: one offline file, made from the journal alone.

Must not live here: what the journal means (``story``) and where bars stand (``timeline``). ``jinja2`` is imported when
a report is made. The page has no script and loads nothing; every value is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodeyard.domain import events as ev
from nodeyard.domain.history import Call, joined
from nodeyard.errors.base import ExitStatus, NodeyardError
from nodeyard.observability.charts import charts
from nodeyard.observability.counterexample import drawing
from nodeyard.observability.drawing import clean
from nodeyard.observability.files import write_text
from nodeyard.observability.history_file import read_history
from nodeyard.observability.journal import JournalRecord, read_journal
from nodeyard.observability.story import NodeStory, Story, tell
from nodeyard.observability.summary import why_command
from nodeyard.observability.timeline import timeline
from nodeyard.observability.traffic import summarised
from nodeyard.observability.wording import milliseconds, seconds

if TYPE_CHECKING:
    from jinja2 import Template

MOST_MOMENTS = 5_000
"""Lines of the full event list; the journal has all of them."""
STATE_ORDER = ("planned", "found", "started", "ready", "paused", "stopped", "exited")
WORST_FIRST = ("fail", "unknown", "vacuous", "pass")
MEANING = {
    "pass": "Every check passed.",
    "fail": "At least one check failed.",
    "unknown": "The run could not decide.",
    "vacuous": "The run showed nothing.",
}
ENDED = {
    ExitStatus.INTERRUPTED: "A person or a signal ended the run before it could decide.",
    ExitStatus.INFRASTRUCTURE: "The infrastructure ended the run before it could decide.",
    ExitStatus.INTERNAL: "A defect of Nodeyard ended the run before it could decide.",
}


def write_report(journal_path: Path, target: Path) -> None:
    """Write the report of a journal as one HTML file, in place of one that is there.

    The journal of a run that was killed has no summary of its traffic; it is made from the history beside it then.
    Raises ``RunFolderUnusable`` if the journal cannot be read or the report cannot be written.
    """
    records = read_journal(journal_path)
    summarised_there = any(isinstance(record.typed, ev.HistorySummarised) for record in records)
    calls = () if summarised_there else _calls_beside(journal_path)
    write_text(target, report_from_journal(records, calls=calls))


def _calls_beside(journal_path: Path) -> Sequence[Call]:
    """The operations of the run, as far as they can be read: a report is made all the same."""
    path = journal_path.with_name("history.jsonl")
    try:
        return joined(read_history(path)) if path.exists() else ()
    except NodeyardError:
        return ()


def report_from_journal(records: Sequence[JournalRecord], *, calls: Sequence[Call] = ()) -> str:
    """The report of a run. Any journal gives one, also that of a run that was killed.

    ``calls`` are shown where the journal itself has no summary of the traffic.
    """
    story = tell(records)
    story.traffic = story.traffic or summarised(calls)
    return _template().render(
        story=story,
        verdict=verdict_of(story),
        meaning=meaning_of(story),
        timeline=timeline(story),
        legend=_legend(story),
        charts=charts(story.traffic, story.faults, story.length) if story.traffic is not None else None,
        drawings=[drawn for found in story.counterexamples if (drawn := drawing(found)) is not None],
        checks=sorted(story.checks, key=lambda item: _severity(item[1].verdict)),
        nodes=list(story.nodes.values()),
        capabilities=capability_chips,
        partial=bool(story.nodes) and not any(node.facts.published for node in story.nodes.values()),
        common=_common(story),
        why=story.started.why or why_command(story.started.run) if story.started else "",
        moments=story.moments[:MOST_MOMENTS],
        left_out=max(0, len(story.moments) - MOST_MOMENTS),
    )


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    source = files("nodeyard.observability").joinpath("report.html.j2").read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_cleaned
    )
    environment.filters["seconds"] = seconds
    environment.filters["latency"] = lambda value: "-" if value is None else milliseconds(value)
    return environment.from_string(source)


def _cleaned(value: Any) -> Any:
    """Texts without control characters, which HTML cannot hold; markup of our own stays what it is."""
    return clean(value) if type(value) is str else value


def _severity(verdict: str) -> int:
    return WORST_FIRST.index(verdict) if verdict in WORST_FIRST else 0


def verdict_of(story: Story) -> str:
    """The verdict; ``up`` for a network that was left running, ``unknown`` for a journal without an end."""
    if story.ended is not None:
        return story.ended.verdict
    return "up" if story.detached is not None else "unknown"


def meaning_of(story: Story) -> str:
    """The verdict in one sentence."""
    if story.ended is not None:
        verdict, passed = story.ended.verdict, sum(check.verdict == "pass" for _, check in story.checks)
        if verdict == "unknown" and story.ended.exit_status in ENDED:
            return ENDED[ExitStatus(story.ended.exit_status)]
        counted = f" {passed} of {len(story.checks)} checks passed." if story.checks and verdict != "pass" else ""
        return f"{MEANING.get(verdict, '')}{counted}".strip()
    if story.detached is not None:
        return "The network was left running under its reaper's care."
    return "The journal stops before the run's end: the run goes on, or its runner was killed."


def capability_chips(node: NodeStory) -> list[tuple[str, bool]]:
    """What is supported on a node, each with whether it is permitted."""
    permitted = set(node.facts.capabilities)
    return [(name, name in permitted) for name in node.facts.supported]


def _legend(story: Story) -> list[str]:
    """The states that some node was in."""
    seen = {span.label for node in story.nodes.values() for span in node.states}
    return [state for state in STATE_ORDER if state in seen]


def _common(story: Story) -> dict[str, str]:
    """What is the same for all nodes of the inventory, said once."""
    rows = [node.facts for node in story.nodes.values()]
    found = {
        "kind": {facts.kind for facts in rows},
        "network": {facts.network for facts in rows},
        "version": {facts.version for facts in rows},
    }
    return {name: next(iter(values)) for name, values in found.items() if len(values) == 1 and values != {""}}
