"""The report of a long run: made in a moment, and small enough to be sent around."""

from __future__ import annotations

import json
import time
from pathlib import Path
from random import Random

from bench.measure import Row, Setup, single
from nodeyard.domain.history import INVOKE, HistoryRecord, joined
from nodeyard.observability.history_file import read_history
from nodeyard.observability.report import write_report
from nodeyard.observability.traffic import summarised

NODES = 50
LENGTH = 60.0
"""Seconds of the run that is reported."""


def rows(setup: Setup) -> list[Row]:
    count = setup.size(100_000, 200)
    folder = setup.new_folder()
    _write_run(folder, count)
    killed = [_seconds(folder) for _ in range(setup.count(5))]
    _end_run(folder)
    ended = [_seconds(folder) for _ in range(setup.count(5))]
    size = (folder / "report.html").stat().st_size / 1e6
    what = f"report of {count} operations on {NODES} nodes"
    return [
        single("report", f"{what}", ended, 2.0, unit="s"),
        single("report", f"{what}, of a run that was killed", killed, 5.0, unit="s"),
        single("report", f"{what}, its size", [size], 5.0, unit="MB"),
    ]


def _end_run(folder: Path) -> None:
    """What a run that ends writes of its traffic into its journal."""
    summary = summarised(joined(read_history(folder / "history.jsonl")))
    if summary is None:
        raise RuntimeError("the history is empty")
    envelope = {"seq": 1000, "time": "2030-01-02T03:05:05.000Z", "elapsed": LENGTH, "node": None}
    told = {"event": "history-summarised", "operations": summary.count, "summary": summary.document()}
    with (folder / "journal.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({**envelope, **told}) + "\n")


def _seconds(folder: Path) -> float:
    begin = time.monotonic()
    write_report(folder / "journal.jsonl", folder / "report.html")
    return time.monotonic() - begin


def _write_run(folder: Path, count: int) -> None:
    """A journal without a summary, so that all of the history is read, as after a crash of the runner."""
    events: list[dict[str, object]] = []
    for number in range(NODES):
        node = f"n{number}"
        events.append({"event": "node-started", "node": node, "locator": f"pid {number}", "argv": []})
        events.append({"event": "node-ready", "node": node, "after": 1.0, "detail": ""})
    with (folder / "journal.jsonl").open("w", encoding="utf-8") as file:
        for seq, event in enumerate(events):
            envelope = {"seq": seq, "time": "2030-01-02T03:04:05.000Z", "elapsed": seq / len(events)}
            file.write(json.dumps({**envelope, **event}) + "\n")
    random = Random(7)
    with (folder / "history.jsonl").open("w", encoding="utf-8") as file:
        for index in range(count):
            at, took = LENGTH * index / count, random.lognormvariate(-6, 1)
            op = random.choice(("read", "write", "cas"))
            first = HistoryRecord(index, INVOKE, index % 16, f"n{index % NODES}", op, f"k{index % 100}", "v", at, at)
            outcome = "ok" if random.random() < 0.98 else "info"
            last = HistoryRecord(index, outcome, first.client, first.node, op, first.key, "v", at, at + took, "v")
            file.write(json.dumps(first.document()) + "\n" + json.dumps(last.document()) + "\n")
