"""Nodeyard as its users have it, and what a run must not leave behind. Nothing here trusts what it tests."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from etcd.etcd_processes import BINARY, EtcdCluster

SOON = 5.0
"""Seconds within which nothing of a killed runner may be left."""
PATIENCE = 60.0
"""Seconds that a test waits for what must come, on however busy a machine."""
QUICK = {"heartbeat-interval": 20, "election-timeout": 200, "unsafe-no-fsync": True}
"""Settings of an etcd that is alone: it chooses itself at once."""
REPOSITORY = Path(__file__).parents[2]
Json = dict[str, Any]


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


class Runner:
    """A ``nodeyard`` that runs, in a process group of its own, as a shell would start it."""

    def __init__(self, home: Nodeyard, argv: Sequence[str]) -> None:
        self._home = home
        self._out, self._err = home.path / f"{len(home.runners)}.out", home.path / f"{len(home.runners)}.err"
        self._seen: list[Json] = []
        self._read = 0
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [*home.command, *argv],
                cwd=home.path,
                env=home.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                process_group=0,
            )

    @property
    def folder(self) -> Path:
        """The run's folder, once there is one; for runners that have an output folder to themselves."""
        return self._home.only_run()

    @property
    def run(self) -> str:
        return self.folder.name

    @property
    def err(self) -> str:
        return self._err.read_text(errors="replace")

    def events(self) -> list[Json]:
        """The journal so far."""
        path = next(iter(sorted(self._home.output.glob("*/journal.jsonl"))), None)
        if path is not None:
            with path.open("rb") as file:
                file.seek(self._read)
                whole, _, _ = file.read().rpartition(b"\n")
            if whole:
                self._read += len(whole) + 1
                self._seen += [json.loads(line) for line in whole.splitlines()]
        return self._seen

    def until(self, event: str, **fields: object) -> Json:
        """Wait until the journal has an event with these fields."""

        def find() -> Json | None:
            return found(self.events(), event, **fields)

        def over() -> bool:
            return find() is not None or self.process.poll() is not None

        wait_for(over, f"the run tells of {event}", pause=0.001)
        record = find()
        assert record is not None, f"the run ended without {event} {fields}:\n{self.err}"
        return record

    def until_says(self, text: str) -> None:
        """Wait until it prints ``text`` for people."""
        wait_for(lambda: text in self.err, f"it says {text!r}", pause=0.001)

    def signal(self, number: int) -> None:
        """As a terminal does it: to all of its process group."""
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def wait(self, patience: float = PATIENCE) -> Done:
        self.process.wait(patience)
        return Done(self.process.returncode, self._out.read_text(errors="replace"), self.err)


@dataclass
class Nodeyard:
    """The command line with a state, cache and output folder of its own. ``ports`` are for its managed nodes."""

    path: Path
    ports: range
    extra: Mapping[str, str] = field(default_factory=dict)
    runners: list[Runner] = field(default_factory=list)
    command: Sequence[str] = (sys.executable, "-m", "nodeyard")

    @property
    def state(self) -> Path:
        return self.path / "state"

    @property
    def cache(self) -> Path:
        return self.path / "cache"

    @property
    def output(self) -> Path:
        return self.path / "runs"

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of whoever runs the tests but where programs are."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.path),
            "LANG": "C.UTF-8",
            "NODEYARD_STATE_DIR": str(self.state),
            "NODEYARD_CACHE_DIR": str(self.cache),
            "NODEYARD_OUTPUT": str(self.output),
            **self.extra,
        }

    def start(self, *argv: str | Path) -> Runner:
        self.runners.append(Runner(self, [str(word) for word in argv]))
        return self.runners[-1]

    def __call__(self, *argv: str | Path, patience: float = PATIENCE) -> Done:
        """Carry out a command to its end."""
        return self.start(*argv).wait(patience)

    def write(self, content: Mapping[str, Any], name: str = "scenario.yaml") -> Path:
        """A scenario file; JSON is YAML 1.2."""
        path = self.path / name
        path.write_text(json.dumps({"nodeyard": 1, "kind": "etcd", **content}, indent=1))
        return path

    def managed(self, *, count: int = 1, deployer: Mapping[str, Any] | None = None, **node: Any) -> Json:
        """A managed source of one group, on ports that nobody else here uses."""
        local = {"type": "local", "port_range": [self.ports[0], self.ports[-1]], **(deployer or {})}
        group = {"count": count, **({"config": QUICK} if count == 1 else {}), **node}
        return {"mode": "managed", "deployer": local, "nodes": group}

    def only_run(self) -> Path:
        (folder,) = (path.parent for path in self.output.glob("*/journal.jsonl"))
        return folder

    def close(self) -> list[str]:
        """End whatever is left; returns what that was."""
        for runner in self.runners:
            if runner.process.poll() is None:
                runner.kill()
        left = [str(process) for process in self.processes()]
        for process in self.processes():
            process.kill()
        return left

    def processes(self) -> list[Process]:
        """Every process of any run from here, and every reaper: by the marks, folders and variables they carry."""
        runs = [f"NODEYARD_RUN={path.name}@" for path in self.output.glob("*")] if self.output.exists() else []
        words = [word.encode() for word in (f"{self.path}/", *runs)]
        return [process for process in all_processes() if any(word in process.carries for word in words)]

    def leftovers(self, *, marks: Sequence[str] = ()) -> list[str]:
        """What a run from here left: processes, ledgers with their logs and drafts, locks of ports."""
        ledgers = self.state / "ledgers"
        locks = self.cache / "ports"
        left = [str(process) for process in self.processes()]
        left += [f"ledger {path.name}" for path in (ledgers.iterdir() if ledgers.exists() else ())]
        left += [f"port lock {path.name}" for path in (locks.iterdir() if locks.exists() else ())]
        return left + [f"data {path}" for path in self.output.glob("*/nodes/*/data")]


@dataclass(frozen=True)
class Process:
    """One process, as ``/proc`` shows it; ``carries`` are its arguments and environment."""

    pid: int
    carries: bytes

    def __str__(self) -> str:
        return f"process {self.pid} {self.carries[:200].replace(bytes(1), b' ').decode(errors='replace')}"

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


def all_processes() -> Iterator[Process]:
    """Every process that runs; one that has ended and waits for its parent has neither arguments nor environment."""
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with suppress(OSError):
                folder = Path("/proc") / name
                yield Process(int(name), (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes())


def wait_for(condition: Callable[[], object], what: str, *, patience: float = PATIENCE, pause: float = 0.02) -> None:
    """Block until a condition holds."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, f"in {patience:g} s it did not come true that {what}"
        select.select([], [], [], pause)


class FairTime:
    """Seconds of the share that one process gets: a machine with more to run than processors makes them longer."""

    def __init__(self) -> None:
        self.passed = 0.0
        self._last = time.monotonic()
        self._processors = len(os.sched_getaffinity(0))

    def tick(self) -> float:
        now = time.monotonic()
        runnable = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0])
        self.passed += (now - self._last) * min(1.0, self._processors / max(1, runnable))
        self._last = now
        return self.passed


def gone_soon(home: Nodeyard, *, within: float = SOON) -> None:
    """Nothing of the runs is left, within so many seconds from now."""
    time_ = FairTime()
    while left := home.leftovers():
        assert time_.tick() < within, f"after {within:g} s there are still: {left}"
        select.select([], [], [], 0.02)


def found(events: Sequence[Json], event: str, **fields: object) -> Json | None:
    """The first record of an event with these fields."""
    for record in events:
        if record["event"] == event and all(record.get(key) == value for key, value in fields.items()):
            return record
    return None


@dataclass(frozen=True)
class Portrait:
    """Everything of a foreign cluster that a run must leave as it is."""

    pids: tuple[int, ...]
    members: tuple[str, ...]
    data: str

    @staticmethod
    def of(cluster: EtcdCluster) -> Portrait:
        """Taken past Nodeyard. Members without the order in which etcd lists them."""
        assert all(node.process is not None and node.process.poll() is None for node in cluster.nodes)
        first = cluster.nodes[0]
        everything = first.ask("/v3/kv/range", {"key": "AA==", "range_end": "AA=="})
        return Portrait(
            tuple(node.pid for node in cluster.nodes),
            tuple(sorted(json.dumps(member, sort_keys=True) for member in first.members())),
            json.dumps(everything.get("kvs", []), sort_keys=True),
        )


def script(path: Path, body: str, *, version: str = "3.5.1") -> Path:
    """A program that says it is etcd of this version, and otherwise does ``body``."""
    path.write_text(f'#!/bin/sh\ncase "$1" in --version) echo "etcd Version: {version}"; exit 0;; esac\n{body}\n')
    path.chmod(0o755)
    return path


__all__ = ["BINARY", "Done", "FairTime", "Nodeyard", "Portrait", "Runner"]
