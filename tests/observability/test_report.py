"""The report: one offline page from any journal, that says what happened and runs nothing that it quotes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeyard.domain import events as ev
from nodeyard.errors.bootstrap import RunFolderUnusable
from nodeyard.observability.journal import parse_journal
from nodeyard.observability.report import report_from_journal, write_report

from . import stories
from .samples import any_event, example
from .stories import Timed

VOID = {"meta"}


class Page(HTMLParser):
    """What a browser would see: tags in balance, texts by heading, attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.sections: dict[str, list[str]] = {}
        self._heading = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in {"style", "title"}:
            return
        if self.open and self.open[-1] == "h2":
            self._heading = data.strip() or self._heading
        if "header" in self.open:
            self._heading = "head"
        if data.strip():
            self.texts.append(data.strip())
            self.sections.setdefault(self._heading, []).append(data.strip())

    def of(self, section: str) -> str:
        return " ".join(self.sections.get(section, ()))

    def classes(self, tag: str) -> list[str]:
        return [attrs.get("class") or "" for name, attrs in self.tags if name == tag]


def page(told: Iterable[Timed], folder: Path) -> Page:
    return Page(checked(report_from_journal(stories.records(told, folder))))


def checked(html: str) -> str:
    """The text of a page that is whole, loads nothing, runs nothing and has no character that HTML forbids."""
    found = Page(html)
    assert not found.open
    assert {tag for tag, _ in found.tags}.isdisjoint({"script", "link", "img", "iframe", "object", "base", "form"})
    for _, attributes in found.tags:
        assert not {name for name in attributes if name.startswith("on")} | {"href", "src"} & set(attributes)
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert "default-src 'none'" in html
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", html)
    return html


def test_a_failed_run_says_why_at_the_top(tmp_path: Path) -> None:
    shown = page(stories.failing(), tmp_path)
    head = shown.of("head")
    assert head.startswith("fail kv-under-restart At least one check failed. 1 of 3 checks passed.")
    assert "no-crash : n2 ended by itself: killed by SIGABRT" in head
    assert "nodeyard inspect kv-20300102-1a2b" in head
    assert "nodeyard run kv.yaml --seed 7" in head
    assert "3 of 3 nodes after 1.3 s" in head
    order = [
        text for text in shown.sections if text in {"Errors", "Checks", "Timeline", "Steps", "Inventory", "Cleanup"}
    ]
    assert order == ["Errors", "Checks", "Timeline", "Steps", "Inventory", "Cleanup"]


def test_a_failed_run_shows_its_errors_checks_steps_nodes_and_cleanup(tmp_path: Path) -> None:
    shown = page(stories.failing(), tmp_path)
    errors = shown.of("Errors")
    assert "node-unreachable" in errors
    assert "Hint: see the node's log: nodeyard logs" in errors
    checks = shown.of("Checks")
    assert checks.index("no-crash") < checks.index("converged") < checks.index("height-advances")
    assert "panic: index out of range" in checks
    steps = shown.of("Steps")
    assert "1 done put 40 keys" in steps
    assert "3 failed traffic with a pause n2 ended by itself" in steps
    inventory = shown.of("Inventory")
    assert "owned managed local pid 21000 query submit start stop" in inventory
    assert "borrowed external external" in inventory
    assert "8e9e05c521646900" in inventory
    assert "http://127.0.0.1:2379" in inventory
    nodes = shown.of("Nodes")
    assert "goroutine 1 [running]:" in nodes
    assert "exited, 6 events" in nodes
    cleanup = shown.of("Cleanup")
    assert "3 removed" in cleanup
    assert "No removal failed." in cleanup
    assert "nodes/n2/stderr.log" in shown.texts[-2] + " ".join(shown.texts)


def test_the_timeline_has_lanes_bars_and_marks(tmp_path: Path) -> None:
    shown = page(stories.failing(), tmp_path)
    bars, marks = shown.classes("rect"), shown.classes("circle")
    assert {"planned", "found", "started", "ready", "paused", "stopped", "exited", "fault", "good", "bad"} <= set(bars)
    assert marks.count("bad") == 3  # a check, an exit, an error of the node
    for name, attributes in shown.tags:
        if name == "rect":
            assert float(attributes["x"] or "") >= 0
            assert float(attributes["x"] or "") + float(attributes["width"] or "") <= 1060
    assert all(
        name in shown.of("Timeline").split() for name in ("phases", "steps", "faults", "checks", "n0", "outside")
    )


def test_every_text_is_escaped_wherever_it_stands(tmp_path: Path) -> None:
    told = [(float(i), example(cls)) for i, cls in enumerate(ev.event_types())]
    hostile = [(at, _poisoned(event)) for at, event in told]
    html = report_from_journal(stories.records(hostile, tmp_path))
    assert html.count("&lt;script") > 50
    assert "<script" not in html
    assert "<b onclick" not in html
    checked(html)


def _poisoned(event: ev.Event) -> ev.Event:
    poison = f"{stories.HTML}\"' onmouseover='x' <b onclick=1>\x00\x1b[31m"
    values = {name: poison for name, value in event.record().items() if isinstance(value, str) or value is None}
    values |= {name: (poison,) for name, value in event.record().items() if value == ("a", "b")}
    values |= {name: {poison: poison} for name, value in event.record().items() if value == {"k": "v"}}
    if isinstance(event, ev.InventoryPublished):
        node = {
            "id": poison, "kind": poison, "role": poison, "ownership": poison, "names": [poison],
            "origins": [{"origin": poison, "source": poison, "locator": poison}], "supported": [poison],
            "identity": {"peer_id": poison, "aliases": [poison]}, "endpoints": {poison: poison},
            "network": {"id": poison, "api": poison},
        }  # fmt: skip
        return ev.InventoryPublished(revision=1, nodes=(node,))
    return type(event)(**event.record() | values)


@pytest.mark.parametrize("cls", ev.event_types())
def test_every_event_type_alone_makes_a_report(cls: type[ev.Event], tmp_path: Path) -> None:
    for node in (None, "n0"):
        folder = tmp_path / str(node)
        folder.mkdir()
        shown = page([(0.5, example(cls, node=node))], folder)
        assert "1 events" in " ".join(shown.texts) or cls is ev.EvidenceSaved


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1e5), any_event()), max_size=12))
def test_any_events_in_any_order_make_a_report(told: Sequence[Timed]) -> None:
    checked(report_from_journal(tuple(stories.as_records(told))))


@pytest.mark.parametrize("part", [0.02, 0.2, 0.4, 0.6, 0.8, 0.97])
def test_a_killed_run_has_a_report(part: float, tmp_path: Path) -> None:
    stories.records(stories.failing(), tmp_path)
    whole = (tmp_path / "journal.jsonl").read_bytes()
    (tmp_path / "journal.jsonl").write_bytes(whole[: int(len(whole) * part)])
    write_report(tmp_path / "journal.jsonl", tmp_path / "report.html")
    shown = Page(checked((tmp_path / "report.html").read_text(encoding="utf-8")))
    assert shown.of("head").startswith("unknown")
    assert "The journal stops before the run's end" in shown.of("head")
    if part > 0.1:
        assert "nodeyard gc" in shown.of("Cleanup") + shown.of("Steps")


def test_a_run_that_never_published_its_inventory_shows_what_is_known(tmp_path: Path) -> None:
    shown = page(stories.never_ready(), tmp_path)
    assert shown.of("head").startswith("unknown kv-under-restart The infrastructure ended the run")
    assert "ended before it was ready: exit status 2" in shown.of("head")
    inventory = shown.of("Inventory")
    assert "n0 owned managed local - - client 127.0.0.1:21000" in inventory
    assert "outside borrowed external external external[0]" in inventory
    assert "The journal has no inventory" in inventory
    assert "another process holds its port" in shown.of("Errors")


def test_damaged_lines_and_events_of_another_version_do_no_harm(tmp_path: Path) -> None:
    stories.records(stories.passing(), tmp_path)
    lines = (tmp_path / "journal.jsonl").read_bytes().splitlines(keepends=True)
    lines.insert(3, b"\x00\xff damage\n")
    lines.insert(5, lines[4].replace(b'"event":"', b'"event":"future-'))
    html = checked(report_from_journal(parse_journal(b"".join(lines))))
    assert "1 damaged lines of the journal left out" in html
    assert "future-" in html


def test_no_journal_at_all_is_still_a_page_and_a_missing_file_an_error(tmp_path: Path) -> None:
    assert "A run without a beginning" in checked(report_from_journal(()))
    with pytest.raises(RunFolderUnusable, match="cannot be read"):
        write_report(tmp_path / "absent.jsonl", tmp_path / "report.html")
    stories.records(stories.passing(), tmp_path)
    with pytest.raises(RunFolderUnusable, match="cannot be written"):
        write_report(tmp_path / "journal.jsonl", Path("/dev/null/report.html"))


def test_a_report_is_written_again_in_place(tmp_path: Path) -> None:
    stories.records(stories.passing(), tmp_path)
    target = tmp_path / "report.html"
    write_report(tmp_path / "journal.jsonl", target)
    first = target.read_bytes()
    write_report(tmp_path / "journal.jsonl", target)
    assert target.read_bytes() == first
    assert sorted(p.name for p in tmp_path.iterdir()) == ["journal.jsonl", "report.html"]
    assert Page(first.decode()).of("head").startswith("pass kv-under-restart Every check passed.")


def test_other_ends_are_named(tmp_path: Path) -> None:
    for number, (end, words) in enumerate(
        [
            (ev.RunDetached(ttl=3600, reaper=9), ("up", "left running")),
            (ev.RunEnded(verdict="unknown", exit_status=2, after=3), ("unknown", "A person or a signal")),
            (ev.RunEnded(verdict="unknown", exit_status=3, after=3), ("unknown", "A defect of Nodeyard")),
            (ev.RunEnded(verdict="vacuous", exit_status=5, after=3), ("vacuous", "showed nothing")),
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        head = page([*stories.begin(2), (3.0, end)], folder).of("head")
        assert head.startswith(words[0])
        assert words[1] in head


def test_warnings_and_what_remains_are_shown(tmp_path: Path) -> None:
    shown = page(
        [
            *stories.begin(2),
            (2.0, ev.DiscoveryPartial(source="static:n.yaml", expected=3, found=2, problems=("n9 refuses",))),
            (2.1, ev.OperationDenied(node="outside", operation="stop", reason="it is borrowed")),
            (2.2, ev.CleanupStarted(resources=3)),
            (2.3, ev.CleanupFailed(node="n0", resource="process", locator="pid 5000", reason="permission denied")),
            (2.3, ev.CleanupFailed(node="n1", resource="process", locator="pid 5001", reason="busy")),
            (2.4, ev.ResourceRemoved(node="n1", resource="process", locator="pid 5001")),
            (2.5, ev.RunEnded(verdict="unknown", exit_status=7, after=2.5)),
        ],
        tmp_path,
    )
    assert "source 'static:n.yaml': 2 of 3 nodes: n9 refuses" in shown.of("Warnings")
    assert "outside : stop denied: it is borrowed" in shown.of("Warnings")
    assert "1 removed, 1 remaining remains node where why process n0 pid 5000 permission denied" in shown.of("Cleanup")


def test_a_thousand_nodes_are_one_page(tmp_path: Path) -> None:
    shown = page(stories.failing(1000), tmp_path)
    assert "more nodes are listed below" in shown.of("Timeline")
    assert "n999" in shown.of("Inventory").split()
