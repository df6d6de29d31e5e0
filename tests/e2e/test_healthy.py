"""No false alarm: seeded runs against healthy etcd, with nodes that are killed, restarted and frozen.

``NODEYARD_HEALTHY_RUNS`` says how many seeds are tried; the few that are the default belong to every run of the tests.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from .support import Nodeyard

pytestmark = pytest.mark.real
RUNS = int(os.environ.get("NODEYARD_HEALTHY_RUNS", "2"))
TARGETS = ("any", "leader")


def phase(fault: dict[str, str]) -> dict[str, Any]:
    """Traffic, and one fault that must be over before the next phase begins."""
    traffic = {"use": "kv-register", "rate": "150/s", "clients": 8, "keys": 4}
    return {"run": {"for": "3s", "workloads": [traffic], "faults": [{"at": "500ms", "keep": "quorum", **fault}]}}


@pytest.mark.parametrize("seed", range(1, RUNS + 1))
def test_a_healthy_cluster_under_faults_raises_no_alarm(nodeyard: Nodeyard, seed: int) -> None:
    target = TARGETS[seed % len(TARGETS)]
    scenario = nodeyard.write(
        {
            "name": f"healthy-{seed}",
            "seed": seed,
            "source": nodeyard.managed(count=3),
            "deadline": "3m",
            "steps": [
                phase({"use": "kill", "target": target, "for": "1s"}),
                phase({"use": "restart", "target": "any"}),
                phase({"use": "pause", "target": target, "for": "1s"}),
            ],
            "expectations": [
                {"use": "linearizable"},
                {"use": "no-lost-writes"},
                {"use": "converged", "within": "20s"},
                {"use": "availability", "min": 0.5},
                {"use": "peers"},
                {"use": "no-crash"},
                {"use": "log-absent", "pattern": "panic:"},
            ],
        }
    )
    done = nodeyard("run", scenario, patience=200)
    verdict = json.loads((nodeyard.only_run() / "verdict.json").read_text())
    checks = {check["name"]: check["verdict"] for check in verdict["checks"]}
    assert set(checks.values()) == {"pass"}, verdict["checks"]
    assert done.status == 0, done.err
    (found,) = (check for check in verdict["checks"] if check["name"] == "linearizable")
    assert int(found["reason"].split()[0]) > 100
