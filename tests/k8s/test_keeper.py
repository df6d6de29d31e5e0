"""The keeper alone, as plain processes: what it promises to the control, and that its binary is that of its source."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from e2e.support import wait_for

pytestmark = pytest.mark.real
FOLDER = Path(__file__).parents[2] / "src/nodeyard/providers/deployer/k8s/keeper"
HERE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), "")
LOOP = """import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print('up', flush=True)
time.sleep(1000)"""
ASKED = """import os, socket, subprocess, sys
subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
subprocess.run(['mount', '--bind', 'resolv.conf', '/etc/resolv.conf'], check=True)
dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
dns.bind(('127.0.0.1', 53))
keeper = subprocess.Popen(sys.argv[1:])
print('keeper', keeper.pid, flush=True)
while keeper.poll() is None:
    dns.settimeout(0.1)
    try:
        query, sender = dns.recvfrom(512)
    except TimeoutError:
        continue
    name = query[12:].partition(b'\\0')[0].decode()
    print('asked', ''.join(c if c.isalnum() else '.' for c in name), flush=True)
    there = os.path.exists(name[1:].split('\\x05')[0])
    answer = bytes([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 10, 0, 0, 1]) if there else b''
    head = query[:2] + bytes([0x81, 0x80 if there else 0x83, 0, 1, 0, there, 0, 0, 0, 0])
    dns.sendto(head + query[12:] + answer, sender)
print('ended', keeper.returncode, flush=True)
"""
"""Beside a keeper, a DNS that it asks: a name is there once there is a file of it. Arguments: the keeper's."""


class Kept:
    """One keeper that runs."""

    def __init__(self, keeper: Path, folder: Path) -> None:
        self.keeper, self.folder = keeper, folder
        self.work = folder / "work"
        self.work.mkdir()
        self.started: list[subprocess.Popen[bytes]] = []

    def run(self, *words: str, program: Sequence[str] = (sys.executable, "-S", "-c", LOOP)) -> subprocess.Popen[bytes]:
        with (self.folder / "out").open("ab") as out:
            argv = [self.keeper, "run", self.work, *words, "--", *program]
            self.started.append(subprocess.Popen(argv, stdout=out, stderr=out, cwd=self.folder))
        return self.started[-1]

    def tell(self, *words: str, stdin: bytes = b"") -> str:
        done = subprocess.run([self.keeper, "ctl", self.work, *words], input=stdin, capture_output=True, check=False)
        return (done.stdout + done.stderr).decode().strip()

    def start(self, *argv: str, **env: str) -> str:
        words = [*argv, "", *(f"{name}={value}" for name, value in env.items())]
        payload = b"".join(word.encode() + b"\0" for word in words)
        return self.tell("start", str(len(payload)), stdin=payload)

    @property
    def out(self) -> str:
        return (self.folder / "out").read_text()

    def until(self, text: str, times: int = 1) -> None:
        wait_for(lambda: self.out.count(text) >= times, f"it prints {text}", pause=0.005)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    made = Kept(FOLDER / f"keeper-{HERE}", tmp_path)
    yield made
    for process in made.started:
        process.kill()
        process.wait()


def test_it_starts_stops_and_starts_again_and_stays(kept: Kept) -> None:
    keeper = kept.run()
    kept.until("up")
    assert kept.tell("state") == "running 1 0"
    assert kept.tell("stop", "15", "5000") == "stopped 1 7"
    assert kept.tell("stop", "15", "5000") == "stopped 1 7", "twice is once"
    assert kept.start(sys.executable, "-S", "-c", "import os, time; print(os.environ['A'], flush=True); time.sleep(9)",
                      A="b=c") == "running 2 0"  # fmt: skip
    kept.until("b=c")
    assert kept.start("sh", "-c", "echo never") == "running 2 0", "what runs is not started again"
    assert kept.tell("kill") == "stopped 2 137"
    assert keeper.poll() is None


def test_it_freezes_the_program_and_all_that_it_started(kept: Kept) -> None:
    kept.run(program=("sh", "-c", "sleep 100 & echo $! up; wait"))
    kept.until("up")
    child = int(kept.out.split()[0])
    assert kept.tell("pause").startswith("paused")
    assert Path(f"/proc/{child}/stat").read_text().split()[2] == "T"
    assert kept.tell("resume").startswith("running")
    assert Path(f"/proc/{child}/stat").read_text().split()[2] != "T"
    kept.tell("pause")
    assert kept.tell("stop", "15", "5000").startswith("stopped"), "what is frozen can be stopped"
    wait_for(lambda: not Path(f"/proc/{child}").exists(), "its child ends with it")


def test_a_program_that_ends_by_itself_takes_its_container_along_and_the_next_holds_still(kept: Kept) -> None:
    assert kept.run(program=("sh", "-c", "echo bye; exit 3")).wait(10) == 3
    assert kept.out == "bye\n"
    second = kept.run()
    wait_for(lambda: kept.tell("state") == "stopped 0 0", "the second keeper listens")
    assert kept.start("sh", "-c", "kill -9 $$") == "running 1 0"
    assert second.wait(10) == 128 + signal.SIGKILL


def test_a_program_that_is_not_there_says_so(kept: Kept) -> None:
    assert kept.run(program=("no-such-program",)).wait(10) == 127
    assert "no-such-program is not in the image" in kept.out


def test_files_are_put_where_they_belong_and_initial_ones_only_once(kept: Kept) -> None:
    source = kept.folder / "source"
    source.write_bytes(b"\0new\n" * 1000)
    there = kept.folder / "data" / "there"
    there.parent.mkdir()
    there.write_text("old")
    fresh = kept.folder / "config" / "a" / "b"
    kept.run("--file", str(source), str(fresh), "0600", "--initial", str(source), str(there), "0644")
    kept.until("up")
    assert (fresh.read_bytes(), there.read_text()) == (source.read_bytes(), "old")
    assert fresh.stat().st_mode & 0o777 == 0o600
    for verb, wanted in (("put-missing", source.read_bytes()), ("put", b"x")):
        subprocess.run([kept.keeper, verb, fresh, "0644", "1"], input=b"x", check=True)
        assert fresh.read_bytes() == wanted


def test_wiping_empties_a_folder_unless_the_program_runs(kept: Kept) -> None:
    deep = kept.folder / "data" / "a" / "b"
    deep.mkdir(parents=True)
    for index in range(300):
        (deep / f"file-{index}-{'x' * 100}").touch()
    (kept.folder / "kept").touch()
    (deep / "link").symlink_to(kept.folder)
    (kept.folder / "data" / "locked").mkdir(mode=0)
    kept.run()
    kept.until("up")
    assert kept.tell("wipe", str(kept.folder / "data")) == "error it runs"
    kept.tell("kill")
    assert kept.tell("wipe", str(kept.folder / "data")).startswith("stopped")
    count = subprocess.run([kept.keeper, "count", kept.folder / "data"], capture_output=True, check=True)
    assert count.stdout == b"0\n"
    assert (kept.folder / "kept").exists(), "links are removed and not followed"


def test_a_command_that_takes_too_long_is_ended_with_all_that_it_started(kept: Kept) -> None:
    begun = [kept.keeper, "exec", "1", "--", "sh", "-c", f"sleep 100 & echo $! > {kept.folder}/pid; wait"]
    assert subprocess.run(begun, check=False).returncode == 124
    wait_for(lambda: not _alive(int((kept.folder / "pid").read_text())), "its child ends with it")
    assert subprocess.run([kept.keeper, "exec", "9", "--", "sh", "-c", "exit 5"], check=False).returncode == 5


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def test_it_passes_on_the_end_of_a_pod(kept: Kept) -> None:
    keeper = kept.run()
    kept.until("up")
    keeper.send_signal(signal.SIGTERM)
    assert keeper.wait(10) == 7


class Asking:
    """A keeper whose program waits for two names, in a network with a DNS that we fill."""

    def __init__(self, kept: Kept, seconds: int) -> None:
        self.kept = kept
        (kept.folder / "resolv.conf").write_text("search t.svc.example svc.example\nnameserver 127.0.0.1\n")
        own = ["unshare", "--map-root-user", "--mount", "--net", sys.executable, "-S", "-c", ASKED]
        run = [kept.keeper, "run", kept.work, "--await", str(seconds), "n0.nodes", "n1.nodes", "--", "sh", "-c"]
        with (kept.folder / "out").open("ab") as out:
            self.process = subprocess.Popen(
                [*own, *run, "echo pro''gram; sleep 100"], stdout=out, stderr=out, cwd=kept.folder
            )
        kept.until("keeper ")
        self.keeper = int(kept.out.split("keeper ", 1)[1].split()[0])

    def add(self, name: str) -> None:
        (self.kept.folder / name).touch()

    def end(self) -> int:
        """End it as Kubernetes does; its status."""
        os.kill(self.keeper, signal.SIGTERM)
        self.kept.until("ended ")
        self.process.wait(10)
        return int(self.kept.out.split("ended ", 1)[1].split()[0])


def test_a_program_starts_once_every_name_has_an_address(kept: Kept) -> None:
    asking = Asking(kept, 60)
    kept.until("asked .n0.nodes.t.svc.example", times=2)
    asking.add("n0")
    kept.until("asked .n1.nodes.t.svc.example", times=2)
    assert "program" not in kept.out
    asking.add("n1")
    assert kept.tell("state") == "running 1 0", "an order waits until the program runs"
    kept.until("program")
    asking.end()


def test_a_pod_that_is_removed_while_it_waits_for_names_ends_at_once(kept: Kept) -> None:
    asking = Asking(kept, 60)
    kept.until("asked")
    assert asking.end() == 0
    assert "program" not in kept.out


def test_a_name_that_never_comes_is_told_and_the_program_starts(kept: Kept) -> None:
    asking = Asking(kept, 1)
    kept.until("program")
    assert "keeper: n0.nodes has no address in time" in kept.out
    asking.end()


def test_nonsense_is_refused(kept: Kept) -> None:
    for words in ((), ("run",), ("ctl", "x"), ("exec", "1", "--"), ("put", "a"), ("sing",)):
        assert subprocess.run([kept.keeper, *words], capture_output=True, check=False).returncode == 125, words
    assert "nobody listens" in kept.tell("state")


def test_the_binary_is_what_its_source_says(kept: Kept, tmp_path: Path) -> None:
    """Compilers differ in bytes: what is built here says the same words as what is shipped, in about the same size."""
    if shutil.which("gcc") is None:
        pytest.fail("gcc is missing: apt-get install gcc")
    subprocess.run([FOLDER / "build", tmp_path], check=True, env={**os.environ, "CC": "gcc"})
    shipped, built = (path.read_bytes() for path in (kept.keeper, tmp_path / f"keeper-{HERE}"))
    assert _words(shipped) == _words(built)
    assert abs(len(shipped) - len(built)) < len(shipped) // 5
    for arch in ("amd64", "arm64"):
        assert len((FOLDER / f"keeper-{arch}").read_bytes()) < 16_000


def _words(program: bytes) -> set[bytes]:
    """Texts of a program."""
    return {word for word in program.split(b"\0") if len(word) > 5 and word.isascii() and b" " in word}
