"""Targets that are known to be bad: each is caught by the check that is there for it, with evidence that shows it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from etcd.etcd_processes import started_cluster

from .lying_proxy import lying_proxy
from .support import Json, Nodeyard

pytestmark = pytest.mark.real
HANDS = """
import os, select, shutil, signal
from pathlib import Path

def send(turn, pid, number):
    os.kill(pid, number)

def abort(turn):
    pid = int(next(o for o in turn.node.handle.origins).locator.removeprefix("pid:"))
    watch = os.pidfd_open(pid)
    os.kill(pid, signal.SIGABRT)
    select.select([watch], [], [], 30)  # it writes its trace before it ends

def wipe(turn, runs):
    (data,) = Path(runs).glob("*/nodes/n0/data")
    for entry in data.iterdir():
        shutil.rmtree(entry)
"""


def verdicts(home: Nodeyard) -> dict[str, Json]:
    """The checks of the only run, by name."""
    document = json.loads((home.only_run() / "verdict.json").read_text())
    return {check["name"]: check for check in document["checks"]}


def judged(home: Nodeyard, content: Json, *, status: int = 1) -> dict[str, Json]:
    (home.path / "hands.py").write_text(HANDS)
    done = home("run", home.write({"deadline": "2m", **content}), patience=150)
    assert done.status == status, done.out + done.err
    return verdicts(home)


def hand(function: str, **args: Any) -> Json:
    """Somebody's hand from outside: a function that is called once."""
    return {"use": "python", "call": f"hands.py:{function}", "args": args, "op": function, "operations": 1}


def external(*urls: str) -> Json:
    listed = [{"name": f"e{n}", "endpoints": {"client": url}} for n, url in enumerate(urls)]
    return {"mode": "external-only", "external": listed}


def traffic(**more: Any) -> Json:
    return {"use": "kv-register", "rate": "200/s", "clients": 8, "keys": 2, **more}


def test_stale_reads_of_a_node_that_lags_are_not_linearizable(nodeyard: Nodeyard) -> None:
    found = judged(
        nodeyard,
        {
            "source": nodeyard.managed(count=3),
            "steps": [
                {
                    "run": {
                        "for": "8s",
                        "workloads": [
                            traffic(rate="400/s", local=True, keys=1, timeout="5s", mix={"read": 2, "write": 1})
                        ],
                        "faults": [{"use": "pause", "target": "any", "at": "500ms", "every": "3s", "for": "1s"}],
                    }
                }
            ],
            "expectations": [{"use": "linearizable"}, {"use": "no-lost-writes"}],
        },
    )
    check = found["linearizable"]
    assert check["verdict"] == "fail"
    assert "when the value could only be" in check["evidence"][0]
    assert any("read" in line and "client" in line for line in check["evidence"][1:])
    assert found["no-lost-writes"]["verdict"] == "pass"
    journal = [json.loads(line) for line in (nodeyard.only_run() / "journal.jsonl").read_text().splitlines()]
    assert [event["check"] for event in journal if event["event"] == "counterexample-found"] == ["linearizable"]


@pytest.mark.parametrize(
    ("lie", "culprits"),
    [
        ("loses", {"linearizable", "no-lost-writes"}),
        ("duplicates", {"linearizable"}),
        ("reorders", {"linearizable"}),
        ("rewrites", {"linearizable"}),
    ],
)
def test_a_proxy_that_lies_is_found_out(nodeyard: Nodeyard, tmp_path: Path, lie: str, culprits: set[str]) -> None:
    with (
        started_cluster(tmp_path / "cluster", 1) as cluster,
        lying_proxy(f"http://127.0.0.1:{cluster.nodes[0].client}", lie) as proxy,
    ):
        expectations = [{"use": name} for name in ("linearizable", *sorted(culprits - {"linearizable"}))]
        found = judged(
            nodeyard,
            {
                "source": external(proxy.url),
                "steps": [
                    {"run": {"for": "3s", "workloads": [traffic(rate="100/s", keys=10, mix={"read": 1, "write": 1})]}}
                ],
                "expectations": expectations,
            },
        )
        assert proxy.lies > 10
    assert {name for name, check in found.items() if check["verdict"] == "fail"} == culprits


def test_a_node_that_tells_other_values_of_a_revision_is_named(nodeyard: Nodeyard, tmp_path: Path) -> None:
    with (
        started_cluster(tmp_path / "cluster", 3) as cluster,
        lying_proxy(f"http://127.0.0.1:{cluster.nodes[2].client}", "rewrites", share=1.0) as proxy,
    ):
        honest = [f"http://127.0.0.1:{node.client}" for node in cluster.nodes[:2]]
        puts = [{"put": {"key": f"k{index}", "value": "true", "target": "e0"}} for index in range(10)]
        found = judged(
            nodeyard, {"source": external(*honest, proxy.url), "steps": puts, "expectations": [{"use": "agreement"}]}
        )
    assert found["agreement"]["verdict"] == "fail"
    assert found["agreement"]["reason"].startswith("e2 differs from the others at ")


def test_a_node_of_another_cluster_is_refused_before_anything_runs(nodeyard: Nodeyard, tmp_path: Path) -> None:
    with (
        started_cluster(tmp_path / "ours", 1, token="ours") as ours,
        started_cluster(tmp_path / "theirs", 1, token="theirs", names="t") as theirs,
    ):
        urls = [f"http://127.0.0.1:{cluster.nodes[0].client}" for cluster in (ours, theirs)]
        found = judged(nodeyard, {"source": external(*urls), "expectations": [{"use": "converged"}]}, status=7)
    assert found["converged"]["verdict"] == "unknown"
    document = json.loads((nodeyard.only_run() / "verdict.json").read_text())
    assert (document["verdict"], document["errors"][0]["code"]) == ("unknown", "incompatible")


def test_a_node_that_somebody_freezes_is_found_out(nodeyard: Nodeyard, tmp_path: Path) -> None:
    with started_cluster(tmp_path / "cluster", 3) as cluster:
        urls = [f"http://127.0.0.1:{node.client}" for node in cluster.nodes]
        frozen = hand("send", pid=cluster.nodes[1].pid, number=19)
        found = judged(
            nodeyard,
            {
                "source": external(*urls),
                "steps": [{"run": {"for": "4s", "workloads": [traffic(timeout="500ms"), frozen]}}],
                "expectations": [
                    {"use": "reachable", "within": "2s"},
                    {"use": "availability", "min": 0.99, "window": "1s"},
                    {"use": "latency", "max": "400ms"},
                    {"use": "throughput", "min": "199/s"},
                    {"use": "linearizable"},
                ],
            },
        )
    assert {name for name, check in found.items() if check["verdict"] == "fail"} == {
        "reachable", "availability", "latency", "throughput",
    }  # fmt: skip
    assert "e1" in found["reachable"]["reason"]
    assert any("at e1" in line for line in found["availability"]["evidence"])
    assert found["linearizable"]["verdict"] == "pass"


def test_a_wiped_node_has_lost_what_it_acknowledged(nodeyard: Nodeyard) -> None:
    found = judged(
        nodeyard,
        {
            "source": nodeyard.managed(count=1),
            "steps": [
                {"run": {"for": "2s", "workloads": [traffic()]}},
                {"stop": {"target": "n0"}},
                {"run": {"for": "2s", "workloads": [hand("wipe", runs=str(nodeyard.output))]}},
                {"start": {"target": "n0"}},
            ],
            "expectations": [{"use": "no-lost-writes"}, {"use": "no-crash"}],
        },
    )
    check = found["no-lost-writes"]
    assert check["verdict"] == "fail"
    assert "holds nothing at n0; acknowledged and lost:" in check["evidence"][0]
    assert found["no-crash"]["verdict"] == "pass"


def test_a_crash_with_a_trace_in_the_log_is_found_out(nodeyard: Nodeyard) -> None:
    found = judged(
        nodeyard,
        {
            "source": nodeyard.managed(count=3),
            "steps": [
                {"run": {"for": "30s", "workloads": [{**hand("abort"), "target": "n2"}]}},
                {"get": {"key": "greeting", "target": "n0"}},
            ],
            "expectations": [
                {"use": "no-crash"},
                {"use": "log-absent", "pattern": "^(panic:|SIGABRT: abort)"},
                {"use": "linearizable"},
            ],
        },
    )
    assert found["no-crash"]["verdict"] == "fail"
    assert "n2" in found["no-crash"]["reason"]
    assert found["log-absent"]["verdict"] == "fail"
    assert "SIGABRT: abort" in found["log-absent"]["evidence"][0]
    assert found["linearizable"]["verdict"] == "vacuous"
