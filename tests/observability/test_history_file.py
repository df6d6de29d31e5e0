"""``history.jsonl``: what stands in it, when, and what a reader makes of one that was cut off."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from nodeyard.domain.history import HistoryRecord, Outcome, joined
from nodeyard.errors.bootstrap import RunFolderUnusable
from nodeyard.errors.runtime import HistoryDamaged
from nodeyard.observability.history_file import EVERY, MANY, HistoryFile, read_history
from nodeyard.observability.redaction import Redactor
from nodeyard.observability.schemas import schema
from nodeyard.runtime.history import History
from nodeyard.testing import VirtualClock, run_virtual


def fill(path: Path, operations: int, *, redactor: Redactor | None = None, value: object = "v") -> HistoryFile:
    file = HistoryFile(path, redactor=redactor)
    history = History(VirtualClock(), sink=file.record)
    for number in range(operations):
        index = history.invoke(client=f"c/{number % 3}", op="write", node="n0", key="k", value=value)
        history.complete(index, Outcome.OK, {"revision": number})
    return file


def test_each_line_is_valid_and_comes_back_as_the_value_that_was_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        fill(tmp_path / "history.jsonl", 5).close()

    run_virtual(scenario())
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    validator = jsonschema.Draft202012Validator(schema("history"))
    assert len(lines) == 10
    for line in lines:
        validator.validate(json.loads(line))
    records = read_history(tmp_path / "history.jsonl")
    assert [record.type for record in records[:2]] == ["invoke", "ok"]
    calls = joined(records)
    assert [call.result for call in calls] == [{"revision": number} for number in range(5)]


def test_a_line_is_in_the_file_soon_although_nothing_follows(tmp_path: Path) -> None:
    async def scenario() -> None:
        file = fill(tmp_path / "history.jsonl", 1)
        assert not file.path.exists()
        await asyncio.sleep(EVERY * 1.1)
        assert len(read_history(file.path)) == 2
        file.close()

    run_virtual(scenario())


def test_many_lines_are_written_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        file = fill(tmp_path / "history.jsonl", MANY)
        assert len(read_history(file.path)) == 2 * MANY
        file.close()

    run_virtual(scenario())


def test_a_torn_last_line_is_passed_over_and_a_damaged_one_is_not(tmp_path: Path) -> None:
    async def scenario() -> None:
        fill(tmp_path / "history.jsonl", 3).close()

    run_virtual(scenario())
    path = tmp_path / "history.jsonl"
    whole = path.read_bytes()
    for cut in range(1, 60):
        path.write_bytes(whole[:-cut])
        assert len(read_history(path)) == 5
        assert joined(read_history(path))[-1].outcome is Outcome.INFO
    path.write_bytes(whole.replace(b"invoke", b'inv"ke', 1))
    with pytest.raises(HistoryDamaged) as caught:
        read_history(path)
    assert "line 1 of" in caught.value.message


def test_no_secret_gets_into_the_file(tmp_path: Path) -> None:
    async def scenario() -> None:
        fill(tmp_path / "history.jsonl", 2, redactor=Redactor(['hun"ter2']), value={"password": 'hun"ter2'}).close()

    run_virtual(scenario())
    assert "ter2" not in (tmp_path / "history.jsonl").read_text()
    assert read_history(tmp_path / "history.jsonl")[0].value == {"password": "***"}


def test_values_that_json_lacks_are_written_as_text(tmp_path: Path) -> None:
    async def scenario() -> None:
        fill(tmp_path / "history.jsonl", 1, value={"path": Path("/x"), "bytes": b"\xff"}).close()

    run_virtual(scenario())
    assert read_history(tmp_path / "history.jsonl")[0].value == {"path": "/x", "bytes": "b'\\xff'"}


def test_a_file_that_cannot_be_written_ends_the_traffic_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        file = HistoryFile(tmp_path / "missing" / "history.jsonl")
        record = HistoryRecord(0, "invoke", 0, None, "read", None, None, 0.0, 0.0)
        file.record(record)
        await asyncio.sleep(EVERY * 1.1)
        with pytest.raises(RunFolderUnusable):
            file.record(record)
        file.record(record)
        file.close()

    run_virtual(scenario())


def test_a_missing_file_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(RunFolderUnusable):
        read_history(tmp_path / "history.jsonl")


WRITER = """
import asyncio, sys
from pathlib import Path
from nodeyard._aio.clock import SystemClock
from nodeyard.domain.history import Outcome
from nodeyard.observability.history_file import HistoryFile
from nodeyard.runtime.history import History

async def main():
    file = HistoryFile(Path(sys.argv[1]))
    history = History(SystemClock(), sink=file.record)
    told = False
    while True:
        index = history.invoke(client=0, op="write", value=str(len(history)))
        history.complete(index, Outcome.OK)
        if not told and len(history) == 2000:
            print("going", flush=True)
            told = True
        await asyncio.sleep(0)

asyncio.run(main())
"""


def test_a_writer_that_is_killed_leaves_all_but_the_last_moments(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"going\n"
        readable = len(read_history(path))  # while the run goes on
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    records = read_history(path)
    assert len(records) >= max(readable, 2 * 2000 - MANY)
    assert [record.index for record in records if record.type == "invoke"] == list(
        range(len(records) // 2 + len(records) % 2)
    )
