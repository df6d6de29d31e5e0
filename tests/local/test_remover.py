"""Removal from entries alone: everything of the run, whatever it did to hide, and nothing of anybody else."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import pytest

from nodeyard._aio.clock import SystemClock
from nodeyard.domain.run_identity import RunMark
from nodeyard.errors.provider import CleanupIncomplete
from nodeyard.ports.ledger import LedgerEntry, RemovalContext, Removed
from nodeyard.providers._clients import process
from nodeyard.providers._clients.process import ProcessId
from nodeyard.providers.deployer.local import LocalPlugin
from nodeyard.providers.deployer.local.folders import make, owner_of
from nodeyard.providers.deployer.local.resources import BY, process_data

from .world import Secrets, new_mark

pytestmark = pytest.mark.real

RUNNER = """
import asyncio, dataclasses, json, sys
from pathlib import Path
from tests.local.world import World, plans, script, new_mark
async def main():
    world = World(Path(sys.argv[1]), mark=new_mark(sys.argv[2]))
    await world.up(plans(3, ports=('a', 'b')), script(sys.argv[3]))
    await world.deployer.control('n1').pause()
    entries = [dataclasses.asdict(entry) for entry in world.record.open_entries()]
    print(json.dumps(entries), flush=True)
    await asyncio.sleep(1000)
asyncio.run(main())
"""


@pytest.fixture
def strays() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes of a test; whoever is left is ended."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for child in started:
        child.kill()
        child.wait()
        for pipe in (child.stdout, child.stdin):
            if pipe:
                pipe.close()


def marked(mark: RunMark | str, *argv: str, **more: object) -> subprocess.Popen[bytes]:
    text = mark if isinstance(mark, str) else mark.text
    env = {"PATH": os.environ["PATH"], "NODEYARD_RUN": text, "NODEYARD_NODE": "n0"}
    command = argv or ("sleep", "1000")
    return subprocess.Popen(command, env=env, start_new_session=True, stdout=subprocess.PIPE, **more)  # type: ignore[call-overload,no-any-return]


def entry(type: str = "process", who: ProcessId | None = None, **data: object) -> LedgerEntry:
    known = {**(process_data(who) if who else {}), **data}
    return LedgerEntry(f"e-{type}", BY, type, "n0", known, inverse=type == "paused")  # type: ignore[arg-type]


def remove(mark: RunMark, *entries: LedgerEntry, within: float = 10.0) -> Mapping[str, object]:
    async def act() -> Mapping[str, object]:
        clock = SystemClock()
        return (
            await LocalPlugin()
            .remover()
            .remove(entries, RemovalContext(mark, clock, Secrets({}), clock.now() + within))
        )

    return asyncio.run(act())


def runs(pid: int) -> bool:
    known = process.facts(pid)
    return known is not None and not known.ended


def gone(pid: int) -> bool:
    """Whether a process ends within a moment (it may still be on its way out)."""
    until = time.monotonic() + 5
    while runs(pid) and time.monotonic() < until:
        time.sleep(0.005)
    return not runs(pid)


def identified(child: subprocess.Popen[bytes]) -> ProcessId:
    who = process.identify(child.pid)
    assert who
    return who


def hider(code: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-c", "import os, sys, time\n" + code)


def told(child: subprocess.Popen[bytes]) -> int:
    assert child.stdout
    return int(child.stdout.readline())


def test_everything_of_a_killed_runner_goes(tmp_path: Path, strays: list[subprocess.Popen[bytes]]) -> None:
    mark = new_mark()
    code = "import subprocess, time; subprocess.Popen(['sleep', '1000'], start_new_session=True); time.sleep(1000)"
    runner = subprocess.Popen([sys.executable, "-c", RUNNER, str(tmp_path), mark.run, code], stdout=subprocess.PIPE)
    strays.append(runner)
    assert runner.stdout
    entries = [LedgerEntry(**item) for item in json.loads(runner.stdout.readline())]
    runner.kill()
    runner.wait()
    pids = [e.data["pid"] for e in entries if e.type == "process"]
    assert len(pids) == 3
    outcomes = remove(mark, *entries)
    assert all(isinstance(outcome, Removed) and not outcome.absent for outcome in outcomes.values()), outcomes
    assert not any(runs(int(str(pid))) for pid in pids)
    assert list((tmp_path / "cache/ports").iterdir()) == []
    assert list(tmp_path.glob("*/nodes/*/data")) == []
    again = remove(mark, *entries)
    assert all(isinstance(outcome, Removed) and outcome.absent for outcome in again.values()), again


def test_a_process_whose_pid_was_never_noted_is_found_by_its_mark(strays: list[subprocess.Popen[bytes]]) -> None:
    mark = new_mark()
    strays.append(child := marked(mark))
    outcomes = remove(mark, entry())
    assert outcomes == {"e-process": Removed(absent=False, detail="killed 1")}
    assert gone(child.pid)


@pytest.mark.parametrize(
    "code",
    [
        "os.fork() and sys.exit(0); os.setsid(); print(os.getpid(), flush=True); time.sleep(1000)",
        "os.fork() and time.sleep(1000); os.execve('/bin/sh', ['sh', '-c', 'echo $$; exec sleep 1000'], {})",
        "os.fork() and time.sleep(1000); os.setsid()\n"
        "os.execve('/bin/sh', ['sh', '-c', 'echo $$; exec sleep 1000'], {})",
        "os.fork() and time.sleep(1000); os.fork() and os._exit(0)\n"
        "os.execve('/bin/sh', ['sh', '-c', 'echo $$; exec sleep 1000'], {})",
    ],
    ids=["forked-twice-new-session", "scrubbed", "scrubbed-new-session", "scrubbed-forked-twice"],
)
def test_a_child_that_hides_is_found(strays: list[subprocess.Popen[bytes]], code: str) -> None:
    mark = new_mark()
    strays.append(leader := marked(mark, *hider(code)))
    who = identified(leader)
    child = told(leader)
    try:
        assert runs(child)
        assert (mark.text in process.raw_environment(child).decode()) == ("execve" not in code)
        remove(mark, entry(who=who))
        assert gone(child)
        assert gone(leader.pid)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def test_what_cannot_be_found_without_help_of_the_kernel(strays: list[subprocess.Popen[bytes]]) -> None:
    """Forked twice, in a session of its own, without the mark: nothing links it to the run. Said in the docs."""
    mark = new_mark()
    code = "os.fork() and time.sleep(1000); os.setsid(); os.fork() and os._exit(0)\n"
    code += "os.execve('/bin/sh', ['sh', '-c', 'echo $$; exec sleep 1000'], {})"
    strays.append(leader := marked(mark, *hider(code)))
    child = told(leader)
    try:
        while (known := process.facts(child)) and known.parent != 1 and process.raw_environment(child):
            time.sleep(0.002)
        remove(mark, entry(who=identified(leader)))
        assert gone(leader.pid)
        assert runs(child)
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_leader_that_lost_its_environment_is_found_by_pid_and_start(strays: list[subprocess.Popen[bytes]]) -> None:
    strays.append(child := subprocess.Popen(["sleep", "1000"], env={}, start_new_session=True))
    who = identified(child)
    wrong = ProcessId(who.pid, who.start + 1, who.boot)
    assert remove(new_mark(), entry(who=wrong)) == {"e-process": Removed(absent=True)}
    other_boot = ProcessId(who.pid, who.start, "another-boot")
    assert remove(new_mark(), entry(who=other_boot)) == {"e-process": Removed(absent=True)}
    assert runs(child.pid)
    assert remove(new_mark(), entry(who=who)) == {"e-process": Removed(absent=False, detail="killed 1")}
    assert gone(child.pid)


def test_look_alikes_stay(strays: list[subprocess.Popen[bytes]]) -> None:
    mark = RunMark("one", "host", "boot")
    marks = ["two@host@boot", "one@other-host@boot", "one@host@other-boot", "one@host@boot2", "xone@host@boot", "one"]
    strays += [marked(text, "sleep", "1000.5") for text in marks]
    strays.append(subprocess.Popen(["sleep", "1000.5"], env={"NOT_NODEYARD_RUN": mark.text}))
    named = f"import time; time.sleep(1000.5)  # NODEYARD_RUN={mark.text}"
    strays.append(subprocess.Popen([sys.executable, "-S", "-c", named], env=dict(os.environ)))
    strays.append(ours := marked(mark, "sleep", "1000.5"))
    remove(mark, entry())
    assert gone(ours.pid)
    assert all(runs(child.pid) for child in strays[:-1])


def test_an_entry_never_reaches_a_process_with_the_mark_of_another_run(strays: list[subprocess.Popen[bytes]]) -> None:
    strays.append(other := marked(new_mark()))
    assert remove(new_mark(), entry(who=identified(other))) == {"e-process": Removed(absent=True)}
    assert runs(other.pid)


def test_whoever_removes_is_not_removed(tmp_path: Path, strays: list[subprocess.Popen[bytes]]) -> None:
    """A remover that itself carries the mark (started from a node, say) ends all others and stays."""
    mark = new_mark()
    strays.append(other := marked(mark))
    code = "from tests.local.test_remover import *\n"
    code += f"print(remove(RunMark(*{[mark.run, mark.host, mark.boot]}), entry()), flush=True)"
    strays.append(remover := marked(mark, sys.executable, "-c", code))
    assert remover.stdout
    assert b"killed 1" in remover.stdout.readline()
    assert gone(other.pid)
    assert remover.wait() == 0


def test_a_tree_that_forks_on_is_ended(tmp_path: Path, strays: list[subprocess.Popen[bytes]]) -> None:
    """Each process starts a next one in a new session and ends: a moving target. It ends by itself after a while."""
    mark, escaped = new_mark(), tmp_path / "escaped"
    code = "print(1, flush=True)\nfor _ in range(400):\n"
    code += "    if os.fork(): time.sleep(0.005); os._exit(0)\n    os.setsid()\n"
    code += f"open({str(escaped)!r}, 'w')"
    strays.append(child := marked(mark, *hider(code)))
    told(child)
    outcomes = remove(mark, entry())
    assert isinstance(outcomes["e-process"], Removed), outcomes
    assert remove(mark, entry()) == {"e-process": Removed(absent=True)}
    assert not escaped.exists()


def test_a_process_inside_of_execve_is_seen(strays: list[subprocess.Popen[bytes]]) -> None:
    """A child that was started this very moment has no environment yet."""
    for _ in range(20):
        strays.append(child := marked(mark := new_mark()))
        assert remove(mark, entry()) == {"e-process": Removed(absent=False, detail="killed 1")}
        assert gone(child.pid)


def test_a_pause_is_undone_only_for_the_process_it_was_done_to(strays: list[subprocess.Popen[bytes]]) -> None:
    mark = new_mark()
    strays.append(child := marked(mark))
    who = identified(child)
    os.kill(child.pid, signal.SIGSTOP)
    wrong = ProcessId(who.pid, who.start - 1, who.boot)
    assert remove(mark, entry("paused", wrong)) == {"e-paused": Removed(absent=True)}
    while process.facts(child.pid).state != "T":  # type: ignore[union-attr]
        time.sleep(0.002)
    assert remove(mark, entry("paused", who)) == {"e-paused": Removed(absent=False, detail="resumed")}
    while process.facts(child.pid).state == "T":  # type: ignore[union-attr]
        time.sleep(0.002)
    assert runs(child.pid)


def test_ports_and_folders_wait_for_processes_that_would_not_end(
    tmp_path: Path, strays: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = new_mark()
    make(tmp_path / "n0", mark, node="n0")
    strays.append(child := marked(mark))
    monkeypatch.setattr(process, "send", lambda who, number: True)
    batch = (entry(), entry("folders", paths=[str(tmp_path / "n0")]), entry("ports", cache=str(tmp_path), ports=[]))
    outcomes = remove(mark, *batch, within=0.1)
    assert all(isinstance(outcome, CleanupIncomplete) for outcome in outcomes.values()), outcomes
    assert str(child.pid) in str(outcomes["e-process"])
    assert (tmp_path / "n0/data").exists()


def test_a_folder_of_another_run_stays(tmp_path: Path) -> None:
    mark, other = new_mark("mine"), new_mark("other")
    make(tmp_path / "n0", other, node="n0")
    (tmp_path / "bare/data").mkdir(parents=True)
    paths = [str(tmp_path / "n0"), str(tmp_path / "bare"), str(tmp_path / "absent")]
    outcomes = remove(mark, entry("folders", paths=paths), entry("secret-files", folder=paths[0], paths=["x"]))
    assert isinstance(outcomes["e-folders"], Removed)
    assert outcomes["e-secret-files"] == Removed(absent=True)
    assert owner_of(tmp_path / "n0") == other.text
    assert (tmp_path / "n0/data").exists()
    assert (tmp_path / "bare/data").exists()


def test_a_data_folder_swapped_for_a_link_does_not_lead_elsewhere(tmp_path: Path) -> None:
    mark = new_mark()
    make(tmp_path / "n0", mark, node="n0")
    (tmp_path / "precious").mkdir()
    (tmp_path / "n0/data").rmdir()
    (tmp_path / "n0/data").symlink_to(tmp_path / "precious")
    remove(mark, entry("folders", paths=[str(tmp_path / "n0")]))
    assert (tmp_path / "precious").exists()
    assert not (tmp_path / "n0/data").is_symlink()


def test_an_entry_of_an_unknown_type_stays_open(tmp_path: Path) -> None:
    outcomes = remove(new_mark(), entry("namespace"))
    assert isinstance(outcomes["e-namespace"], CleanupIncomplete)
    assert asdict(entry("namespace"))["inverse"] is False
