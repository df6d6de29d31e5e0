"""Network faults on real etcd, the same scenario text on plain processes and on containers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from e2e.conftest import nodeyard, ports
from e2e.support import Json, Nodeyard, gone_soon

from .support import DEPLOYERS, cables, checks, disabled, example, namespaces, needs, needs_root, sh

pytestmark = pytest.mark.real
__all__ = ["nodeyard", "ports"]
WRITES = {"write", "cas", "put"}
NOTHING = """
from nodeyard.providers._clients.netns.shaper import Shaper
async def nothing(self, *words, **more):
    pass
Shaper.shape = nothing
"""


def lines(path: Path) -> list[Json]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("deployer", DEPLOYERS)
def test_a_leader_that_is_cut_off(deployer: str, nodeyard: Nodeyard) -> None:
    """The majority goes on, the minority refuses writes; afterwards all agree, and every answer was right."""
    needs(deployer)
    done = nodeyard(*example(nodeyard, "partition", deployer))
    assert done.status == 0, done.out + done.err
    folder = nodeyard.only_run()
    events = lines(folder / "journal.jsonl")
    assert checks(events)["linearizable"] == "pass"
    proven = next(e for e in events if e["event"] == "fault-proven")
    leader, since = proven["node"], proven["elapsed"]
    until = next(
        e["elapsed"] for e in events if e["event"] == "operation-started" and e["operation"] == "unshape network"
    )
    history = lines(folder / "history.jsonl")
    begun = {call["index"]: call for call in history if call["type"] == "invoke"}
    during = [
        (begun[call["index"]], call)
        for call in history
        if call["type"] != "invoke" and begun[call["index"]]["at"] > since and call["at"] < until
    ]
    ours = [call["type"] for first, call in during if first["node"] == leader and first["op"] != "read"]
    others = [call["type"] for first, call in during if first["node"] != leader and first["op"] != "read"]
    assert others.count("ok") > 20, "the majority did not go on"
    assert "ok" not in ours, "the minority accepted a write"
    assert any(first["node"] == leader for first in begun.values() if since < first["at"] < until), "nobody asked it"
    assert nodeyard.leftovers() == []
    assert namespaces(folder.name) == []


@pytest.mark.parametrize("deployer", DEPLOYERS)
def test_a_partition_that_is_not_made_is_vacuous(deployer: str, nodeyard: Nodeyard) -> None:
    needs(deployer)
    disabled(nodeyard, NOTHING)
    done = nodeyard(*example(nodeyard, "partition", deployer))
    assert done.status == 5, done.out + done.err
    verdicts = checks(lines(nodeyard.only_run() / "journal.jsonl"))
    assert verdicts["fault partition leader"] == "vacuous"
    assert verdicts["linearizable"] == "pass"


@pytest.mark.parametrize("word", ["delay", "loss", "bandwidth"])
@pytest.mark.parametrize("deployer", DEPLOYERS)
def test_a_network_that_works_badly(deployer: str, word: str, nodeyard: Nodeyard) -> None:
    needs(deployer)
    done = nodeyard(*example(nodeyard, word, deployer))
    assert done.status == 0, done.out + done.err
    assert nodeyard.leftovers() == []


def test_a_runner_that_is_killed_leaves_no_network_and_touches_no_other(nodeyard: Nodeyard) -> None:
    needs_root()
    before = cables()
    runner = nodeyard.start(*example(nodeyard, "delay", "local"))
    runner.until("fault-proven")
    run = runner.run
    assert len(namespaces(run)) == 4, "three nodes and the bridge"
    foreign = f"nodeyard-{run}x..n0"
    sh("ip", "netns", "add", foreign)
    try:
        sh("ip", "netns", "exec", foreign, "iptables", "-A", "INPUT", "-s", "192.0.2.7", "-j", "DROP")
        rules = sh("ip", "netns", "exec", foreign, "iptables", "-S")
        runner.kill()
        gone_soon(nodeyard, within=15.0)
        assert namespaces(run) == [foreign]
        assert sh("ip", "netns", "exec", foreign, "iptables", "-S") == rules
    finally:
        sh("ip", "netns", "del", foreign)
    assert cables() <= before | cables_of_others(run)


def cables_of_others(run: str) -> set[str]:
    """Runs of other tests come and go meanwhile; ours is told by its address, which is gone with its namespaces."""
    shown = json.loads(sh("ip", "-j", "link", "show"))
    return {link["ifname"] for link in shown if f"nodeyard {run}@" not in str(link.get("ifalias", ""))}


def test_an_interrupt_in_a_partition_heals_before_it_cleans_up(nodeyard: Nodeyard) -> None:
    needs_root()
    runner = nodeyard.start(*example(nodeyard, "partition", "local"))
    runner.until("fault-proven")
    runner.signal(2)
    assert runner.wait().status == 2
    told = [event["event"] for event in runner.events()]
    unshaped = next(
        i for i, e in enumerate(runner.events())
        if e["event"] == "operation-ended" and e["operation"] == "unshape network"
    )  # fmt: skip
    assert unshaped < told.index("cleanup-started")
    assert nodeyard.leftovers() == []


def test_what_a_machine_cannot_do_is_refused_before_anything_is_made(nodeyard: Nodeyard) -> None:
    scenario = nodeyard.write(
        {
            "source": nodeyard.managed(count=3),
            "steps": [{"run": {"for": "5s", "faults": [{"use": "partition", "target": "leader"}]}}],
        }
    )
    done = nodeyard("run", scenario)
    assert done.status == 4, done.out + done.err
    assert "isolation: netns" in done.err
    assert "steps.0" in done.err
    assert nodeyard.leftovers() == []


def test_isolation_without_root_is_refused(nodeyard: Nodeyard) -> None:
    needs_root()
    nodeyard.path.chmod(0o777)
    disabled(nodeyard, "import os\nos.geteuid = lambda: 1000\n")
    done = nodeyard("validate", example(nodeyard, "delay", "local")[1])
    assert done.status == 0, "the text is right whatever the machine"
    done = nodeyard(*example(nodeyard, "delay", "local"))
    assert done.status == 4
    assert "network namespaces take root" in done.err


def test_a_node_is_reached_by_the_tester_and_alone(nodeyard: Nodeyard) -> None:
    """Commands beside a node run in its network, also from another process."""
    needs_root()
    scenario = nodeyard.write({"source": nodeyard.managed(deployer={"isolation": "netns"})})
    done = nodeyard("up", scenario, "--json")
    assert done.status == 0, done.err
    run = nodeyard.only_run().name
    inventory = json.loads((nodeyard.only_run() / "inventory.json").read_text())
    (node,) = inventory["nodes"]
    host = node["endpoints"]["client"].split("//")[1].split(":")[0]
    assert host.startswith(("198.18.", "198.19."))
    seen = nodeyard("exec", run, "n0", "--", "ip", "-4", "-o", "addr", "show")
    assert host in seen.out
    assert nodeyard("down", run).status == 0
    assert nodeyard.leftovers() == []
    assert namespaces(run) == []
