"""Chains that somebody else runs, and nodes of ours in them: what fits is one network, the rest is never started."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cometbft.chain_processes import Chain, binary, started_chain
from cometbft.relay import relay
from nodeyard.domain.history import Outcome, joined
from nodeyard.observability.history_file import read_history

from .support import REPOSITORY, Json, Nodeyard, gone_soon, wait_for

pytestmark = pytest.mark.real
EXAMPLES = REPOSITORY / "examples"


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """Somebody else's four validators."""
    with started_chain(tmp_path_factory.mktemp("chain")) as chain:
        yield chain


@pytest.fixture
def yard(nodeyard: Nodeyard) -> Nodeyard:
    nodeyard.extra = {"NODEYARD_COMETBFT": binary()}
    return nodeyard


@pytest.fixture
def untouched(chain: Chain) -> Iterator[None]:
    """The borrowed nodes are the same processes with the same keys and files afterwards, and still make blocks."""
    before = chain.portrait()
    yield
    assert chain.portrait() == before
    height = chain.nodes[0].height()
    assert height > 0


def journal(yard: Nodeyard) -> list[Json]:
    return [json.loads(line) for line in (yard.only_run() / "journal.jsonl").read_text().splitlines()]


def inventory(yard: Nodeyard) -> Json:
    found: Json = json.loads((yard.only_run() / "inventory.json").read_text())
    return found


def joining(yard: Nodeyard, external: list[Json], **more: Any) -> Path:
    source = {**yard.managed(count=1, name="n{index}", config={}), "external": external}
    return yard.write({"kind": "cometbft", "name": "joining", "source": source, **more}, "joining.yaml")


def refused(yard: Nodeyard, path: Path) -> str:
    """What a run says that must be refused before anything of it starts."""
    done = yard("run", path)
    assert done.status == 7, done.err
    assert not [record for record in journal(yard) if record["event"] == "node-started"]
    assert yard.leftovers() == []
    return done.out + done.err


def test_the_example_of_a_chain_of_our_own_passes(yard: Nodeyard) -> None:
    done = yard("run", EXAMPLES / "cometbft.yaml")
    assert done.status == 0, done.out + done.err
    assert done.out.startswith("PASS  cometbft: 8 of 8 checks passed")
    assert yard.leftovers() == []
    kept = [path for path in yard.only_run().rglob("*") if path.is_file() and b"PrivKey" in path.read_bytes()]
    assert kept == [], "secret keys outlive the run"


def test_transactions_are_followed_to_their_block_on_every_node(yard: Nodeyard) -> None:
    done = yard("run", EXAMPLES / "workload-tx-flow.yaml")
    assert done.status == 0, done.out + done.err
    calls = joined(read_history(yard.only_run() / "history.jsonl"))
    submitted = {call.value for call in calls if call.op == "submit" and call.outcome is Outcome.OK}
    included = Counter(call.node for call in calls if call.op != "submit" and call.outcome is Outcome.OK)
    assert submitted
    assert included == dict.fromkeys(("v0", "v1", "v2", "v3"), len(submitted))


@pytest.mark.usefixtures("untouched")
def test_one_node_by_two_addresses_and_by_attach_is_one_handle(yard: Nodeyard, chain: Chain) -> None:
    node = chain.nodes[0]
    (yard.path / "nodes.yaml").write_text(json.dumps({"nodes": [{**node.external, "name": "found"}]}))
    with relay(node.url) as other:
        external = [{"name": "a", "endpoints": {"rpc": node.url}}, {"name": "b", "endpoints": {"rpc": other}}]
        source = {
            "mode": "attached",
            "attach": {"type": "static", "file": "nodes.yaml", "expect": 1},
            "external": external,
        }
        path = yard.write(
            {"kind": "cometbft", "name": "twice", "source": source, "expectations": [{"use": "reachable"}]}
        )
        done = yard("run", path)
    assert done.status == 0, done.err
    (handle,) = inventory(yard)["nodes"]
    assert handle["identity"]["peer_id"] == node.peer_id
    assert sorted((o["origin"], o["locator"]) for o in handle["origins"])[1:] == [
        ("external", "source.external.0"),
        ("external", "source.external.1"),
    ]
    assert sorted(o["origin"] for o in handle["origins"]) == ["attached", "external", "external"]
    assert any(other.removeprefix("http://") in alias for alias in handle["identity"]["aliases"]) or other in str(
        handle
    )


def change_status(old: str, new: str) -> Callable[[str, bytes], bytes]:
    def change(path: str, answer: bytes) -> bytes:
        return re.sub(old.encode(), new.encode(), answer) if path.startswith("/status") else answer

    return change


@pytest.mark.usefixtures("untouched")
def test_another_genesis_under_the_same_chain_id_is_caught(
    yard: Nodeyard, chain: Chain, tmp_path_factory: pytest.TempPathFactory
) -> None:
    same = chain.nodes[0].ask("/status")["node_info"]["network"]
    with started_chain(tmp_path_factory.mktemp("other"), 1, names="x", chain_id=same) as other:
        said = refused(yard, joining(yard, [*chain.external, *other.external]))
    assert re.search(r"x0 +genesis +\w{64} \(as h0, h1, h2 and 1 more\) +\w{64} +external:external", said), said


@pytest.mark.usefixtures("untouched")
def test_the_pinned_network_is_another_one(yard: Nodeyard, chain: Chain) -> None:
    said = refused(yard, joining(yard, chain.external, network={"id": "mainnet"}))
    assert len(re.findall(r"h\d +network id +mainnet \(pinned by the scenario\)", said)) >= 4, said


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(("old", "found"), [('"p2p":"8"', "block 11, p2p 9"), ('"block":"11"', "block 10, p2p 8")])
def test_a_protocol_that_our_own_program_does_not_speak(yard: Nodeyard, chain: Chain, old: str, found: str) -> None:
    block, p2p = re.findall(r" (\d+)", found)
    new = f'"p2p":"{p2p}"' if "p2p" in old else f'"block":"{block}"'
    with relay(chain.nodes[0].url, change_status(old.replace('":"', r'": ?"'), new)) as strange:
        said = refused(yard, joining(yard, [{"name": "h0", "endpoints": {"rpc": strange}}]))
    assert "protocol" in said
    assert found in said
    assert "block 11, p2p 8" in said


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("true", "false", "shown"),
    [
        (rb'("block_id": ?\{"hash": ?")[0-9A-F]{8}', rb"\g<1>00000000", "block 00000000"),
        (rb'("proposer_address": ?")[0-9A-F]{8}', rb"\g<1>00000000", "block "),
    ],
    ids=["hash", "content"],
)
def test_a_node_that_serves_another_block_at_one_height_is_named(
    yard: Nodeyard, chain: Chain, true: bytes, false: bytes, shown: str
) -> None:
    def change(path: str, answer: bytes) -> bytes:
        return re.sub(true, false, answer) if re.search(r"/block\?height=3$", path) else answer

    with relay(chain.nodes[3].url, change) as liar:
        external = [*chain.external[:3], {"name": "h3", "endpoints": {"rpc": liar}}]
        path = joining(yard, external, expectations=[{"use": "agreement"}])
        done = yard("run", path)
    assert done.status == 1, done.out + done.err
    assert "FAIL" in done.out
    verdict = json.loads((yard.only_run() / "verdict.json").read_text())
    (check,) = verdict["checks"]
    assert check["reason"].startswith("h3 differs from the others at height 3")
    assert f"height 3: h3 has {shown}" in check["evidence"][0]


@pytest.mark.usefixtures("untouched")
def test_who_joins_brings_no_validators(yard: Nodeyard, chain: Chain) -> None:
    source = {**yard.managed(count=1, name="n{index}", config={}, role="validator"), "external": chain.external}
    path = yard.write({"kind": "cometbft", "name": "power", "source": source})
    said = refused(yard, path)
    assert "n0: the validators of a borrowed cometbft network stand in its own genesis" in said


def test_a_network_that_is_up_serves_a_second_scenario(yard: Nodeyard, tmp_path: Path) -> None:
    source = yard.managed(count=3, name="v{index}", config={})
    first = yard.write({"kind": "cometbft", "name": "first", "source": source}, "first.yaml")
    up = yard("up", first, "--ttl", "10m")
    assert up.status == 0, up.err
    try:
        standing = inventory(yard)
        run = yard.only_run()
        second = Nodeyard(tmp_path / "second", yard.ports, yard.extra)
        second.path.mkdir()
        steps = [
            {"put": {"key": "colour", "value": "green", "target": "v0"}},
            {"get": {"key": "colour", "expect": "green", "target": "v2"}},
        ]
        attached = {"mode": "attached", "attach": {"type": "static", "file": str(run / "inventory.json"), "expect": 3}}
        path = second.write({"kind": "cometbft", "name": "attached", "source": attached, "steps": steps})
        done = second("run", path)
        assert done.status == 0, done.err
        assert {node["ownership"] for node in inventory(second)["nodes"]} == {"borrowed"}

        third = Nodeyard(tmp_path / "third", range(yard.ports[50], yard.ports[-1] + 1), yard.extra)
        third.path.mkdir()
        external = [{"name": node["id"], "endpoints": {"rpc": node["endpoints"]["rpc"]}} for node in standing["nodes"]]
        done = third("run", joining(third, external, expectations=[{"use": "agreement"}]))
        assert done.status == 0, done.err
        assert {r["check"]: r["verdict"] for r in journal(third) if r["event"] == "check-evaluated"} == {
            "agreement": "pass"
        }
    finally:
        assert yard("down", yard.only_run().name).status == 0
    assert yard.leftovers() == []


def test_validators_keep_what_they_signed_and_full_nodes_come_later(yard: Nodeyard) -> None:
    nodes = [{"count": 4, "name": "v{index}"}, {"count": 1, "name": "late", "on_demand": True}]
    steps: list[Json] = [
        {"patch": {"target": "v0", "config": {"consensus.timeout_commit": "300ms"}}},
        {"start": {"target": "late"}},
        {"put": {"key": "a", "value": "1", "target": "late"}},
        {"stop": {"target": "v3"}},
        {"kill": {"target": "v2"}},
        {"expect": {"use": "halts", "for": "3s"}},
        {"start": {"target": ["v2", "v3"], "wait": False}},
        {"expect": {"use": "resumes"}},
    ]
    checks: list[Json] = [
        {"use": "agreement"},
        {"use": "no-crash"},
        {"use": "log-absent", "pattern": "CONSENSUS FAILURE|conflicting"},
    ]
    source = {**yard.managed(config={}), "nodes": nodes}
    path = yard.write({"kind": "cometbft", "name": "tour", "source": source, "steps": steps, "expectations": checks})
    done = yard("run", path, patience=180)
    assert done.status == 0, done.out + done.err


@pytest.mark.slow
def test_twenty_validators_halt_without_a_third_and_resume(yard: Nodeyard) -> None:
    third = [f"v{i}" for i in range(7)]
    source = yard.managed(count=20, name="v{index}", config={"log_level": "error"})
    steps: list[Json] = [
        {"expect": {"use": "height-advances", "by": 9, "within": "90s"}},
        {"pause": {"target": third}},
        {"expect": {"use": "halts", "for": "4s", "within": "40s"}},
        {"resume": {"target": third, "wait": False}},
        {"expect": {"use": "resumes", "within": "90s"}},
        {"expect": {"use": "catches-up", "within": "90s"}},
    ]
    path = yard.write(
        {
            "kind": "cometbft",
            "name": "twenty",
            "source": source,
            "steps": steps,
            "readiness": {"timeout": "120s"},
            "expectations": [{"use": "agreement"}, {"use": "no-crash"}],
        }
    )
    done = yard("run", path, patience=300)
    assert done.status == 0, done.out + done.err
    assert yard.leftovers() == []


def test_the_program_is_built_once_by_its_go_module(nodeyard: Nodeyard) -> None:
    binary()  # so that modules and compiled packages are in Go's own caches
    nodeyard.extra = {name: os.environ[name] for name in os.environ if name.startswith(("GO", "XDG_"))}
    nodeyard.extra = {**go_caches(), **nodeyard.extra}
    path = nodeyard.write(
        {"kind": "cometbft", "name": "built", "source": nodeyard.managed(count=1, config={}), "expectations": []}
    )
    planned = nodeyard("plan", path)
    assert planned.status == 0, planned.err
    assert "go install github.com/cometbft/cometbft/cmd/cometbft@v0.38.26" in planned.out
    assert not (nodeyard.cache / "programs").exists()
    done = nodeyard("run", path, patience=300)
    assert done.status in (0, 5), done.err
    (program,) = (nodeyard.cache / "programs").glob("*/cometbft")
    made = [record["path"] for record in journal(nodeyard) if record["event"] == "program-made"]
    assert made == [str(program)]
    assert nodeyard.leftovers() == []


def go_caches() -> dict[str, str]:
    import subprocess

    names = ("GOMODCACHE", "GOCACHE", "GOPROXY")
    told = subprocess.run(["go", "env", *names], capture_output=True, text=True, check=True).stdout.splitlines()
    return dict(zip(names, told, strict=True))


def test_a_killed_runner_takes_its_build_with_it(nodeyard: Nodeyard) -> None:
    """A stand-in for Go that never ends, with a child as a compiler would be."""
    go = nodeyard.path / "bin" / "go"
    go.parent.mkdir()
    go.write_text("#!/bin/sh\nsleep 600 &\nexec sleep 601\n")
    go.chmod(0o755)
    nodeyard.extra = {"PATH": f"{go.parent}:/usr/bin:/bin"}
    source = nodeyard.managed(count=1, config={})
    runner = nodeyard.start("run", nodeyard.write({"kind": "cometbft", "name": "killed", "source": source}))
    runner.until("program-wanted")
    wait_for(lambda: len([p for p in nodeyard.processes() if b"sleep" in p.carries]) == 2, "it builds")
    runner.kill()
    gone_soon(nodeyard)
