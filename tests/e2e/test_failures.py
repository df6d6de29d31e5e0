"""What goes wrong with one's own nodes and one's own machine: a typed error, its exit status, and nothing left."""

from __future__ import annotations

import json
import os
import resource
import shlex
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .support import Done, FairTime, Json, Nodeyard, found, script

pytestmark = pytest.mark.real
AT_ONCE = 1.0
"""Seconds within which the death of a node is reported."""


def verdict_of(nodeyard: Nodeyard) -> Json:
    found: Json = json.loads((nodeyard.only_run() / "verdict.json").read_text())
    return found


def one_error(nodeyard: Nodeyard) -> Json:
    (error,) = verdict_of(nodeyard)["errors"]
    found: Json = error
    return found


def printed_command(done: Done, word: str) -> list[str]:
    """The arguments of a command that a failed run prints for its user."""
    (line,) = (line for line in done.out.splitlines() if line.startswith(f"{word}:"))
    program, *argv = shlex.split(line.partition(":")[2])
    assert program == "nodeyard"
    return argv


def test_a_failed_expectation_keeps_evidence_and_says_how_to_look_and_repeat(nodeyard: Nodeyard) -> None:
    scenario = {
        "name": "wrong",
        "source": nodeyard.managed(),
        "steps": [{"put": {"key": "a", "value": "${VALUE}"}}],
        "expectations": [{"use": "log-absent", "pattern": "etcd", "name": "silent"}, {"use": "reachable"}],
    }
    path = nodeyard.write(scenario)
    done = nodeyard("run", path, "--var", "VALUE=two words", "--output", nodeyard.output)
    assert done.status == 1
    assert done.out.startswith("FAIL  wrong: 1 of 2 checks passed")
    assert nodeyard.leftovers() == []
    folder = nodeyard.only_run()
    evidence = sorted(path.name for path in (folder / "nodes" / "n0").iterdir())
    assert {"stderr.log", "diagnostics.txt"} <= set(evidence)
    verdict = verdict_of(nodeyard)
    assert verdict["verdict"] == "fail"
    assert [(check["name"], check["verdict"]) for check in verdict["checks"]] == [
        ("silent", "fail"),
        ("reachable", "pass"),
    ]

    why = nodeyard(*printed_command(done, "why"))
    assert why.status == 0
    assert "silent" in why.out
    assert verdict["checks"][0]["reason"] in why.out

    again = printed_command(done, "again")
    assert again[again.index("--seed") + 1] == str(verdict["seed"])
    repeated = nodeyard(*again, "--json")
    assert repeated.status == 1
    assert repeated.document["seed"] == verdict["seed"]
    assert repeated.document["run"] != verdict["run"]


def test_a_node_that_exits_at_boot_is_reported_at_once_with_its_last_words(nodeyard: Nodeyard) -> None:
    died = nodeyard.path / "died"
    binary = script(nodeyard.path / "dying", f"echo no room for the index >&2; touch {died}; exit 3")
    scenario = {"source": nodeyard.managed(binary=str(binary)), "readiness": {"timeout": "50s"}}
    runner = nodeyard.start("run", nodeyard.write(scenario))
    runner.until("node-started")
    while not died.exists() and runner.process.poll() is None:
        time.sleep(0.001)
    fair = FairTime()
    runner.until("error-recorded")
    assert fair.tick() < AT_ONCE
    done = runner.wait()
    assert done.status == 7
    assert nodeyard.leftovers() == []
    error = one_error(nodeyard)
    assert (error["code"], error["node"]) == ("node-exited", "n0")
    assert "3" in error["message"]
    assert "no room for the index" in error["message"]
    assert "no room for the index" in done.out
    exited = found(runner.events(), "node-exited")
    assert exited is not None
    assert not exited["expected"]
    assert "no room for the index" in "\n".join(exited["last_lines"])
    assert "no room for the index" in (nodeyard.only_run() / "nodes" / "n0" / "stderr.log").read_text()


def test_a_node_that_never_answers_is_named_with_what_was_last_seen(nodeyard: Nodeyard) -> None:
    binary = script(nodeyard.path / "mute", "echo thinking about it >&2; exec sleep 100")
    scenario = {"source": nodeyard.managed(binary=str(binary)), "readiness": {"timeout": "300ms"}}
    done = nodeyard("run", nodeyard.write(scenario))
    assert done.status == 7
    assert nodeyard.leftovers() == []
    error = one_error(nodeyard)
    assert error["code"] == "not-ready"
    assert "n0" in error["message"]
    assert "connection refused" in error["message"]
    assert "thinking about it" in error["message"]
    assert error["hint"]


def test_a_node_that_takes_connections_and_says_nothing_does_not_hold_up_the_run(nodeyard: Nodeyard) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        scenario = {
            "source": {"mode": "external-only", "external": [{"name": "e0", "endpoints": {"client": url}}]},
            "readiness": {"timeout": "500ms"},
            "deadline": "20s",
        }
        done = nodeyard("run", nodeyard.write(scenario))
    assert done.status == 7
    error = one_error(nodeyard)
    assert "e0" in (error["node"] or error["message"])
    assert error["hint"]


@pytest.mark.parametrize(
    ("binary", "says"),
    [
        ("nowhere/etcd", "does not exist"),
        ("old", "is version 3.1.0"),
        ("page.html", "is neither a program nor a script"),
        ("plain", "is not executable"),
        (".", "is a directory"),
    ],
)
def test_a_binary_that_cannot_be_used_is_a_mistake_of_the_file(nodeyard: Nodeyard, binary: str, says: str) -> None:
    script(nodeyard.path / "old", "exit 1", version="3.1.0")
    script(nodeyard.path / "plain", "exit 1").chmod(0o644)
    (nodeyard.path / "page.html").write_text("<html>")
    (nodeyard.path / "page.html").chmod(0o755)
    done = nodeyard("run", nodeyard.write({"source": nodeyard.managed(count=2, binary=str(nodeyard.path / binary))}))
    assert done.status == 4
    assert says in done.out
    assert nodeyard.leftovers() == []
    events = (nodeyard.only_run() / "journal.jsonl").read_text()
    assert "node-provisioned" not in events


@pytest.mark.parametrize("verb", ["run", "preflight"])
def test_functions_that_cannot_be_loaded_are_mistakes_of_the_file(nodeyard: Nodeyard, verb: str) -> None:
    for name, text in {
        "raises": "1 / 0",
        "leaves": "import sys; sys.exit(0)",
        "lacks": "import no_such_module",
        "other": "f = 3",
    }.items():
        (nodeyard.path / f"{name}.py").write_text(f"def f(*_): ...\n{text}\n")
    workload = {"use": "python", "call": "raises.py:f"}
    checks = [{"use": "python", "call": f"{name}:f"} for name in ("leaves.py", "lacks", "other.py")]
    steps = [{"run": {"for": "1s", "workloads": [workload]}}]
    done = nodeyard(verb, nodeyard.write({"source": nodeyard.managed(), "steps": steps, "expectations": checks}))
    assert done.status == 4
    assert "steps.0.run.workloads.0.call: raises.py cannot be loaded: ZeroDivisionError" in done.err
    assert "raises.py:2 in <module>: 1 / 0" in done.err
    assert "expectations.0.call: leaves.py cannot be loaded: SystemExit: 0" in done.err
    assert "expectations.1.call: lacks cannot be loaded: ModuleNotFoundError" in done.err
    assert "expectations.2.call: other.py has no function 'f'" in done.err
    assert "Traceback" not in done.err
    assert nodeyard.leftovers() == []
    assert not [path for path in nodeyard.output.glob("*/journal.jsonl") if "node-provisioned" in path.read_text()]


def test_a_fixed_port_that_somebody_has_is_refused_before_anything_starts(nodeyard: Nodeyard) -> None:
    port = nodeyard.ports[-1] + 1 - 5
    with socket.create_server(("127.0.0.1", port)):
        source = nodeyard.managed(deployer={"ports": {"n0": {"client": port}}})
        done = nodeyard("run", nodeyard.write({"source": source}))
    assert done.status == 7
    assert nodeyard.leftovers() == []
    error = one_error(nodeyard)
    assert error["code"] == "port-taken"
    assert str(port) in error["message"]
    assert '"node-started"' not in (nodeyard.only_run() / "journal.jsonl").read_text()


def test_an_output_folder_that_cannot_be_made(nodeyard: Nodeyard) -> None:
    (nodeyard.path / "file").write_text("")
    done = nodeyard("run", nodeyard.write({"source": nodeyard.managed()}), "--output", nodeyard.path / "file" / "runs")
    assert done.status == 7
    assert "no run folder can be made" in done.err
    assert "--output" in done.err
    assert nodeyard.leftovers() == []


def test_a_state_folder_that_cannot_be_made(nodeyard: Nodeyard) -> None:
    nodeyard.state.write_text("")
    done = nodeyard("run", nodeyard.write({"source": nodeyard.managed()}))
    assert done.status == 7
    assert "cannot be written" in done.err + done.out
    assert nodeyard.processes() == []


FULL_AT = ["readiness-reached", "step-started", "check-evaluated", "evidence-saved", "cleanup-started", "node-exited"]


@pytest.mark.parametrize("event", FULL_AT)
def test_a_disk_that_is_full_ends_the_run_and_not_its_cleanup(nodeyard: Nodeyard, event: str) -> None:
    steps: list[Json] = [{"put": {"key": "a", "value": "b"}}, {"wait": {"for": "300ms"}}]
    scenario = {"source": nodeyard.managed(), "steps": steps, "expectations": [{"use": "reachable"}]}
    runner = nodeyard.start("run", nodeyard.write(scenario), "--keep", "always", "--json")
    runner.until(event)
    fill_up(runner.process.pid, nodeyard.only_run() / "journal.jsonl")
    done = runner.wait()
    assert done.status == 7, done.err
    assert nodeyard.leftovers() == []
    assert "Traceback" not in done.err
    codes = [error["code"] for error in done.document["errors"]]
    assert "run-folder-unusable" in codes
    assert any("File too large" in error["message"] for error in done.document["errors"])


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[Path]:
    """A folder on a disk of its own."""
    if os.geteuid() != 0:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("only root can mount a small disk")
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.parametrize("size", ["16k", "64k", "300k", "4m"])
def test_a_disk_that_is_too_small_for_the_run(nodeyard: Nodeyard, size: str) -> None:
    """From the folders of the nodes over the journal to what etcd wants to have: each time it is told."""
    with small_disk(nodeyard.output, f"size={size}"):
        done = nodeyard("run", nodeyard.write({"source": nodeyard.managed()}), "--json")
        assert done.status == 7, done.err
        assert nodeyard.leftovers() == []
    assert "Traceback" not in done.err
    error = done.document["errors"][0]
    assert "no space left on device" in "\n".join((error["message"], *error.get("evidence", ()), done.err)).lower()
    assert "--output" in error["hint"]


def test_a_disk_that_is_too_small_for_locks(nodeyard: Nodeyard) -> None:
    with small_disk(nodeyard.cache, "nr_inodes=4"):
        done = nodeyard("run", nodeyard.write({"source": nodeyard.managed()}))
        assert done.status == 7, done.err
        assert "[provisioning/provisioning-failed]" in done.out
        assert "No space left on device" in done.out
        assert "NODEYARD_CACHE_DIR" in done.out
        assert nodeyard.leftovers() == []


def fill_up(pid: int, file: Path) -> None:
    """From now on the process can write nothing beyond the size that this file has: to it, every disk is full."""
    size = os.stat(file).st_size
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, size))
