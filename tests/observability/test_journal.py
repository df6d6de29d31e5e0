"""The journal: what is told is on disk at once, readable whatever happened, and without secrets."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeyard.domain import events
from nodeyard.errors.bootstrap import RunFolderUnusable
from nodeyard.observability import journal as journal_module
from nodeyard.observability.bus import EventBus
from nodeyard.observability.journal import DAMAGED, Journal, parse_journal, read_journal
from nodeyard.observability.redaction import Redactor

from .samples import HandClock, example

READY = events.NodeReady(node="n0", after=0.5, detail="healthy")


def test_a_line_has_the_envelope_first_and_utc_time(tmp_path: Path, clock: HandClock) -> None:
    journal = Journal(tmp_path / "journal.jsonl", clock=clock)
    clock.seconds += 1.25
    journal.see(READY)
    [line] = (tmp_path / "journal.jsonl").read_text().splitlines()
    record = json.loads(line)
    assert list(record)[:5] == ["seq", "time", "elapsed", "event", "node"]
    assert record == {
        "seq": 0, "time": "2030-01-02T03:04:06.250Z", "elapsed": 1.25, "event": "node-ready", "node": "n0",
        "after": 0.5, "detail": "healthy",
    }  # fmt: skip
    journal.close()


def test_every_event_type_comes_back_as_the_value_that_was_told(tmp_path: Path, clock: HandClock) -> None:
    journal = Journal(tmp_path / "j", clock=clock)
    told = [example(cls) for cls in events.event_types()]
    for event in told:
        journal.see(event)
    journal.close()
    assert [r.typed for r in read_journal(tmp_path / "j")] == told
    assert [r.seq for r in read_journal(tmp_path / "j")] == list(range(len(told)))


def test_unknown_events_and_unknown_fields_are_kept(tmp_path: Path) -> None:
    head = b'{"seq":0,"time":"2030-01-02T03:04:05Z","elapsed":0.1,'
    future = head + b'"event":"teleported","node":"n1","to":"mars"}\n'
    extended = head + b'"event":"node-ready","node":"n1","after":1,"detail":"","mood":"good"}\n'
    wrong = head + b'"event":"node-ready","node":"n1","after":"soon"}\n'
    one, two, three = parse_journal(future + extended + wrong)
    assert (one.event, one.typed, dict(one.data)) == ("teleported", None, {"to": "mars"})
    assert two.typed == events.NodeReady(node="n1", after=1)
    assert two.data["mood"] == "good"
    assert (three.typed, three.data["after"]) == (None, "soon")


@pytest.mark.parametrize("elapsed", ["NaN", "Infinity", "1e999", "1" + "0" * 400, "-1", "true", '"0"'])
def test_a_time_that_no_run_has_is_damage(elapsed: str) -> None:
    line = f'{{"seq":0,"time":"2030-01-02T03:04:05Z","elapsed":{elapsed},"event":"x","node":null}}\n'
    assert [r.event for r in parse_journal(line.encode())] == [DAMAGED]


def test_a_length_of_time_that_cannot_be_is_no_typed_event() -> None:
    line = b'{"seq":0,"time":"2030-01-02T03:04:05Z","elapsed":0,"event":"node-ready","node":"n","after":1e999}\n'
    [record] = parse_journal(line)
    assert (record.event, record.typed) == ("node-ready", None)


@given(st.binary(max_size=300), st.integers(0, 3))
def test_nothing_in_a_file_stops_its_reader(noise: bytes, where: int) -> None:
    good = b'{"seq":0,"time":"2030-01-02T03:04:05Z","elapsed":0,"event":"x","node":null}\n'
    lines = [good, good, good]
    lines.insert(where, noise.replace(b"\n", b" ") + b"\n")
    read = parse_journal(b"".join(lines))
    assert sum(r.event == "x" for r in read) >= 3


def test_a_torn_last_line_is_passed_over_and_a_damaged_one_is_shown(tmp_path: Path) -> None:
    good = b'{"seq":0,"time":"2030-01-02T03:04:05Z","elapsed":0,"event":"x","node":null}\n'
    assert [r.event for r in parse_journal(good + good[:30])] == ["x"]
    middle = parse_journal(good + b"\x00\x00\n" + good)
    assert [r.event for r in middle] == ["x", DAMAGED, "x"]
    assert middle[1].data["line"] == 2


def test_a_journal_is_continued_after_a_torn_line(tmp_path: Path, clock: HandClock) -> None:
    path = tmp_path / "j"
    first = Journal(path, clock=clock)
    first.see(READY)
    first.close()
    with path.open("ab") as file:
        file.write(b'{"seq":1,"ti')
    later = HandClock(seconds=7.0, began=clock.utc().replace(minute=59))  # another process: another monotonic scale
    later.began = later.utc()
    second = Journal(path, clock=later)
    second.see(READY)
    second.close()
    assert [r.seq for r in read_journal(path)] == [0, 1]
    assert read_journal(path)[1].elapsed == pytest.approx(
        (read_journal(path)[1].time - read_journal(path)[0].time).total_seconds(), abs=0.01
    )


def test_a_sigkill_loses_nothing_that_was_told(tmp_path: Path) -> None:
    program = (
        "import sys, time, types; from pathlib import Path; from datetime import datetime, UTC\n"
        "from nodeyard.observability.journal import Journal; from nodeyard.domain.events import NodeReady\n"
        "clock = types.SimpleNamespace(now=time.monotonic, utc=lambda: datetime.now(UTC))\n"
        "journal = Journal(Path(sys.argv[1]), clock=clock)\n"
        "for i in range(10**9):\n"
        "    journal.see(NodeReady(node=f'n{i}', after=1.0)); sys.stdout.write(f'{i}\\n'); sys.stdout.flush()\n"
    )
    path = tmp_path / "j"
    child = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    told = [int(child.stdout.readline()) for _ in range(200)]
    child.send_signal(signal.SIGKILL)
    rest = child.stdout.read().splitlines()
    child.wait()
    child.stdout.close()
    told += [int(line) for line in rest if line.isdigit()]
    assert {r.seq for r in read_journal(path)} >= set(told)


def test_a_full_disk_is_one_error_and_leaves_whole_lines(
    tmp_path: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "j"
    journal = Journal(path, clock=clock)
    journal.see(READY)
    real, calls = os.write, []

    def full(file: int, data: bytes) -> int:
        calls.append(len(data))
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(file, data[:20])

    monkeypatch.setattr(journal_module.os, "write", full)
    with pytest.raises(RunFolderUnusable, match="No space left") as caught:
        journal.see(READY)
    assert caught.value.hint
    journal.see(READY)  # dropped, silently: the error was told
    monkeypatch.undo()
    journal.close()
    assert path.read_bytes().endswith(b"}\n")
    assert [r.seq for r in read_journal(path)] == [0]


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path, clock: HandClock) -> None:
    with pytest.raises(RunFolderUnusable, match="cannot be written"):
        Journal(tmp_path / "absent" / "j", clock=clock)
    with pytest.raises(RunFolderUnusable, match="cannot be read"):
        read_journal(tmp_path / "absent")


SECRET = st.text(st.characters(codec="utf-8", exclude_characters="*"), min_size=4, max_size=30).filter(str.strip)


@given(SECRET, st.text(max_size=10), st.text(max_size=10))
def test_no_secret_reaches_an_event_in_any_escape(secret: str, before: str, after: str) -> None:
    forms = [secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]]
    forms += [quote(secret), b64encode(secret.encode()).decode()]
    lines = tuple(f"{before}{form}{after}" for form in forms)
    shown = Redactor([secret]).event(events.NodeExited(status=lines[0], expected=False, last_lines=lines))
    assert secret not in shown.status
    for form, line in zip(forms, shown.last_lines, strict=True):
        assert form not in line


def test_secrets_are_found_in_every_form_that_they_travel_in(tmp_path: Path, clock: HandClock) -> None:
    secret = 'p"ä\\ss wörd/1'
    basic = b64encode(f"root:{secret}".encode()).decode()
    journal = Journal(tmp_path / "j", clock=clock, redactor=Redactor(["root", secret]))
    lines = (secret, json.dumps(secret), repr(secret), basic, "p%22%C3%A4%5Css%20w%C3%B6rd%2F1", f"url=x&p={secret}&y")
    journal.see(events.NodeExited(node="root", status="exit status 2", expected=False, last_lines=lines))
    journal.see(events.NodeProvisioned(node="n0", source="s", addresses={secret: secret}))
    journal.close()
    text = (tmp_path / "j").read_text()
    for form in (secret, json.dumps(secret)[1:-1], basic, "%C3%A4", "p\\\\"):
        assert form not in text
    assert read_journal(tmp_path / "j")[0].node == "root"  # names are public, and records are joined by them


def test_short_secrets_are_replaced_as_words_and_never_in_own_fields() -> None:
    redactor = Redactor(["ab", "pass", ""])
    assert redactor.text("ab about ab, (ab) pass") == "*** about ***, (***) ***"
    check = events.CheckEvaluated(check="converged", verdict="pass", reason="pass ab")
    assert redactor.event(check) == events.CheckEvaluated(check="converged", verdict="pass", reason="*** ***")


def test_secrets_may_be_learned_later_and_lines_of_a_key_file_are_kept_out() -> None:
    redactor = Redactor()
    redactor.add("-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA\n-----END KEY-----\n")
    assert redactor.text("tls: cannot parse MIIEpAIBAAKCAQEA") == "tls: cannot parse ***"


class Broken:
    def __init__(self) -> None:
        self.calls = 0

    def see(self, event: events.Event) -> None:
        self.calls += 1
        raise BrokenPipeError(32, "Broken pipe")


class Recorder:
    def __init__(self) -> None:
        self.seen: list[events.Event] = []

    def see(self, event: events.Event) -> None:
        self.seen.append(event)


def test_a_broken_observer_is_recorded_once_and_harms_nobody(tmp_path: Path, clock: HandClock) -> None:
    journal = Journal(tmp_path / "j", clock=clock, redactor=Redactor(["hunter22"]))
    broken, good = Broken(), Recorder()
    bus = EventBus(journal, [broken, good])
    bus(READY)
    bus(events.NodeReady(node="n1", after=1.0, detail="token hunter22"))
    journal.close()
    assert [r.event for r in read_journal(tmp_path / "j")] == ["node-ready", "error-recorded", "node-ready"]
    error = read_journal(tmp_path / "j")[1].typed
    assert isinstance(error, events.ErrorRecorded)
    assert "Broken failed on 'node-ready'" in error.message
    assert (broken.calls, len(good.seen)) == (2, 2)
    assert good.seen[1] == events.NodeReady(node="n1", after=1.0, detail="token ***")


def test_a_dead_journal_ends_the_run_after_everyone_was_told(tmp_path: Path, clock: HandClock) -> None:
    journal, good = Journal(tmp_path / "j", clock=clock), Recorder()
    os.close(journal._file)
    journal._file = os.open("/dev/full", os.O_WRONLY)
    bus = EventBus(journal, [good])
    with pytest.raises(RunFolderUnusable):
        bus(READY)
    bus(READY)
    assert len(good.seen) == 2
    journal.close()


def test_monsters_do_not_break_a_line(tmp_path: Path, clock: HandClock) -> None:
    journal = Journal(tmp_path / "j", clock=clock)
    journal.see(events.NodeReady(node="n\n0", after=float("nan"), detail="\udc80\x00" + "x" * 100_000))
    journal.close()
    [record] = read_journal(tmp_path / "j")
    assert record.node == "n\n0"
    assert record.data["after"] == "nan"
    assert len(record.data["detail"]) < 17_000
    assert record.data["detail"].startswith("\udc80\x00x")
