"""Who is alive: a pid with its start time, on one boot of one host."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from nodeyard.domain.run_identity import RunMark
from nodeyard.ledger import host
from nodeyard.ledger.host import ProcessRef, is_alive, new_mark, process_start, signal_exactly, this_host, this_process


def test_this_process_lives_and_no_other_with_its_number() -> None:
    me = this_process()
    assert me.pid == os.getpid()
    assert is_alive(me)
    assert not is_alive(ProcessRef(me.pid, me.start + 1))


def test_a_process_that_ended_is_dead_although_nobody_collected_it() -> None:
    child = subprocess.Popen(["sleep", "1000"])
    who = ProcessRef(child.pid, process_start(child.pid) or 0)
    assert is_alive(who)
    assert signal_exactly(who, signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(who)
    assert not signal_exactly(who, signal.SIGKILL)
    child.wait()
    assert process_start(child.pid) is None
    assert not signal_exactly(who, signal.SIGKILL)


def test_a_signal_never_reaches_a_later_process_with_the_pid() -> None:
    child = subprocess.Popen(["sleep", "1000"])
    try:
        assert not signal_exactly(ProcessRef(child.pid, 1), signal.SIGKILL)
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()


def test_a_mark_names_run_host_and_boot() -> None:
    mark = new_mark("r1")
    assert mark == RunMark.parse(mark.text)
    assert (mark.host, mark.boot) == (this_host().host, this_host().boot)


def test_containers_are_hosts_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "machine-id").write_text("abc\n")
    monkeypatch.setattr(host, "MACHINE_IDS", (tmp_path / "absent", tmp_path / "machine-id"))
    places = [(host.FIRST_PID_NAMESPACE, "a"), ("pid:[1]", "a"), ("pid:[2]", "a"), ("pid:[1]", "b")]
    ids = []
    for namespace, name in places:
        monkeypatch.setattr(host.os, "readlink", lambda _, namespace=namespace: namespace)
        monkeypatch.setattr(host.platform, "node", lambda name=name: name)
        ids.append(host._host_id())
    assert ids[0] == "abc"
    assert len(set(ids)) == 4
    assert all(RunMark.parse(f"r@{text}@b") for text in ids)
