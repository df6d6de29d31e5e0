"""Kinds that a file describes, on real software, and against software that behaves as none should."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest

from declarative import recorded

from .declared import StandIn, anvils, example, needs
from .support import Nodeyard, found, gone_soon

pytestmark = pytest.mark.real
DECLARED = Path(__file__).parents[1] / "declarative"


def kind_file(home: Nodeyard, text: str) -> str:
    """A kind file beside the scenario, by its path."""
    (home.path / "toy.yaml").write_text("nodeyard-kind: 1\nname: toy\nsummary: a toy\nports: {api: 8080}\n" + text)
    return "./toy.yaml"


def external(url: str, port: str, **more: Any) -> dict[str, Any]:
    node = {"name": "a", "endpoints": {port: url}, **more}
    return {"source": {"mode": "external-only", "external": [node]}, "expectations": [{"use": "reachable"}]}


def everything_in(folder: Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


# ── the examples ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_redis_passes_and_leaves_only_its_folder(nodeyard: Nodeyard) -> None:
    needs("redis-server", "redis-server")
    done = nodeyard("run", example(nodeyard, "redis"))
    assert done.status == 0, done.err
    assert done.out.startswith("PASS  redis: 7 of 7 checks passed")
    assert nodeyard.leftovers() == []
    inventory = json.loads((nodeyard.only_run() / "inventory.json").read_text())
    assert {node["kind"] for node in inventory["nodes"]} == {"redis"}
    assert all(len(node["identity"]["peer_id"]) == 40 for node in inventory["nodes"])


def test_a_killed_runner_leaves_no_redis(nodeyard: Nodeyard) -> None:
    needs("redis-server", "redis-server")
    runner = nodeyard.start("run", example(nodeyard, "redis"))
    runner.until("readiness-reached")
    runner.kill()
    gone_soon(nodeyard)


def test_nats_servers_find_each_other_by_their_seeds(nodeyard: Nodeyard) -> None:
    needs("nats-server", "nats-server")
    done = nodeyard("run", example(nodeyard, "nats"))
    assert done.status == 0, done.err
    inventory = json.loads((nodeyard.only_run() / "inventory.json").read_text())
    assert {node["network"]["id"] for node in inventory["nodes"]} == {f"nats-{inventory['run']}"}


def test_a_borrowed_nats_is_entered_only_by_its_grant(nodeyard: Nodeyard) -> None:
    """Whoever is told of its nodes becomes known to them, which is a change of somebody else's network."""
    needs("nats-server", "nats-server")
    first = example(nodeyard, "nats")
    first.write_text(
        first.read_text().replace("count: 3", 'count: 1, name: "theirs"').replace("target: n1", "target: all")
    )
    assert nodeyard("up", first).status == 0
    run = nodeyard.only_run().name
    (theirs,) = json.loads((nodeyard.only_run() / "inventory.json").read_text())["nodes"]

    def second(**more: Any) -> Path:
        borrowed = {"name": "theirs", "endpoints": theirs["endpoints"], **more}
        local = {"type": "local", "port_range": [nodeyard.ports[0], nodeyard.ports[-1]]}
        source = {"mode": "managed", "deployer": local, "nodes": {"count": 1, "name": "ours"}, "external": [borrowed]}
        content = {"kind": "./kinds/nats.yaml", "name": "entering", "network": {"id": theirs["network"]["id"]}}
        return nodeyard.write(
            {**content, "source": source, "expectations": [{"use": "peers", "min": 1}]}, "second.yaml"
        )

    refused = nodeyard("run", second())
    assert refused.status == 7, refused.err
    assert "ours: entering the borrowed nats network makes its nodes know them" in refused.err
    assert "theirs does not grant 'join'" in refused.err
    assert "starting" not in refused.err
    entered = nodeyard("run", second(allow=["join"]))
    assert entered.status == 0, entered.err + entered.out
    assert nodeyard("down", run).status == 0
    assert nodeyard.leftovers() == []


def test_a_service_of_ones_own_is_read_and_written_by_templates(nodeyard: Nodeyard) -> None:
    done = nodeyard("run", example(nodeyard, "notes"))
    assert done.status == 0, done.err
    assert done.out.startswith("PASS  notes: 4 of 4 checks passed")


def test_init_begins_with_a_kind_file(nodeyard: Nodeyard) -> None:
    needs("redis-server", "redis-server")
    example(nodeyard, "redis")
    assert nodeyard("init", "mine.yaml", "--kind", "./kinds/redis.yaml").status == 0
    text = (nodeyard.path / "mine.yaml").read_text()
    ports = f"{{type: local, port_range: [{nodeyard.ports[0]}, {nodeyard.ports[-1]}]}}"
    (nodeyard.path / "mine.yaml").write_text(text.replace("{type: local}", ports))
    done = nodeyard("run", "mine.yaml")
    assert done.status == 0, done.err


# ── shipped kinds ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_anvil_is_an_ethereum_node(nodeyard: Nodeyard) -> None:
    with anvils(nodeyard, 1_700_000_000) as (url,):
        content = external(url, "rpc")
        content["steps"] = [{"expect": {"use": "height-advances", "within": "10s"}}]
        done = nodeyard("run", nodeyard.write({"kind": "ethereum", "network": {"id": "31337"}, **content}))
        assert done.status == 0, done.err
        (node,) = json.loads((nodeyard.only_run() / "inventory.json").read_text())["nodes"]
        assert node["network"]["id"] == "31337"
        assert node["network"]["genesis"].startswith("0x")
        assert node["ownership"] == "borrowed"
        wrong = nodeyard("preflight", nodeyard.write({"kind": "ethereum", "network": {"id": "1"}, **content}))
        assert wrong.status == 7
        assert "network id  1 (pinned by the scenario)  31337" in wrong.err


def test_another_genesis_with_the_same_chain_id_is_caught(nodeyard: Nodeyard) -> None:
    with anvils(nodeyard, 1_700_000_000, 1_700_000_000, 1_600_000_000) as urls:
        nodes = [{"name": f"e{i}", "endpoints": {"rpc": url}} for i, url in enumerate(urls)]
        source = {"mode": "external-only", "external": nodes}
        done = nodeyard("attach", nodeyard.write({"kind": "ethereum", "source": source}))
    assert done.status == 7
    assert "1 node does not belong to the network" in done.err
    assert "e2" in done.err
    assert "genesis" in done.err


def test_a_beacon_node_is_attached(nodeyard: Nodeyard) -> None:
    with StandIn(recorded.BEACON).serving() as node:
        done = nodeyard("run", nodeyard.write({"kind": "ethereum-beacon", **external(node.url, "rest")}))
        assert done.status == 0, done.err


@pytest.mark.parametrize(
    "info",
    [recorded.LOGOS_STATE_AND_PHASE, recorded.LOGOS_MODE, recorded.LOGOS_FLAT],
    ids=["state-and-phase", "mode", "flat"],
)
def test_a_logos_node_behind_http_basic_is_attached_and_its_password_stays_secret(
    nodeyard: Nodeyard, info: Any
) -> None:
    header = f"Basic {base64.b64encode(b'tester:hunter2').decode()}"
    auth = {"basic": {"username": "env:LOGOS_USER", "password": "env:LOGOS_PASSWORD"}}
    nodeyard.extra = {"LOGOS_USER": "tester", "LOGOS_PASSWORD": "hunter2"}
    with StandIn({**recorded.LOGOS, "/cryptarchia/info": info}, header).serving() as node:
        path = nodeyard.write({"kind": "logos", **external(node.url, "api", auth=auth)})
        done = nodeyard("run", path, "--keep", "always")
        assert done.status == 0, done.err
        nodeyard.extra = {"LOGOS_USER": "tester", "LOGOS_PASSWORD": "swordfish"}
        wrong = nodeyard("attach", path)
    assert wrong.status == 7
    assert "refused our basic credentials" in wrong.err
    written = everything_in(nodeyard.output) + done.out.encode() + done.err.encode() + wrong.err.encode()
    for secret in (b"hunter2", b"swordfish", header.encode()):
        assert secret not in written


# ── software that behaves as none should ─────────────────────────────────────────────────────────────────────────────


def test_software_that_never_answers_is_told_with_its_rung(nodeyard: Nodeyard) -> None:
    kind = kind_file(nodeyard, "launch: {program: sleep, args: ['1000']}\nready: [{get: /health}]\n")
    path = nodeyard.write({"kind": kind, "source": nodeyard.managed(config={}), "readiness": {"timeout": "1s"}})
    done = nodeyard("run", path)
    assert done.status == 7
    assert "n0: reached 'nothing'; last answer: no connection to" in done.err + done.out
    assert nodeyard.leftovers() == []


def test_software_that_answers_a_web_page_is_not_taken_for_the_node(nodeyard: Nodeyard) -> None:
    server = "launch: {program: python3, args: [-m, http.server, --bind, 127.0.0.1, '{{ listen.api.port }}']}\n"
    kind = kind_file(nodeyard, server + "ready: [{get: /, find: ready}]\nversion: {get: /, find: version}\n")
    path = nodeyard.write({"kind": kind, "source": nodeyard.managed(config={}), "readiness": {"timeout": "2s"}})
    done = nodeyard("run", path)
    assert done.status == 7
    said = done.err + done.out
    assert "n0: reached 'port open'" in said
    assert "answered something that is not JSON" in said
    assert nodeyard.leftovers() == []


def test_software_that_ends_at_once_ends_the_wait(nodeyard: Nodeyard) -> None:
    kind = kind_file(nodeyard, "launch: {program: sh, args: [-c, 'echo no licence; exit 3']}\n")
    path = nodeyard.write({"kind": kind, "source": nodeyard.managed(config={}), "readiness": {"timeout": "60s"}})
    begun = time.monotonic()
    done = nodeyard("run", path)
    assert done.status == 7
    assert "it ended before it was ready: exit status 3" in done.out + done.err
    assert "no licence" in done.out + done.err
    assert time.monotonic() - begun < 30


def test_what_a_borrowed_node_does_not_grant_ends_the_wait_at_once(nodeyard: Nodeyard) -> None:
    kind = kind_file(nodeyard, "ready: [{command: [toyctl, ping]}]\n")
    with StandIn({}).serving() as node:
        path = nodeyard.write({"kind": kind, "readiness": {"timeout": "60s"}, **external(node.url, "api")})
        begun = time.monotonic()
        done = nodeyard("run", path)
    assert done.status == 7
    assert "'toyctl' cannot be run beside it: its source does not grant 'exec'" in done.out + done.err
    assert time.monotonic() - begun < 30


BESIDE = """\
launch:
  program: sh
  args: [-c, "echo serving as $TOY_NAME; exec sleep 1000"]
  env: {TOY_NAME: "x-{{ name }}"}
ready:
  - {log: serving as}
  - {command: [sh, -c, "echo at $PWD"], match: data}
peer_id: {log: 'serving as (\\S+)'}
version: {command: [echo, "7.1"]}
"""


def test_commands_and_the_log_are_asked_beside_an_owned_node(nodeyard: Nodeyard) -> None:
    path = nodeyard.write({"kind": kind_file(nodeyard, BESIDE), "source": nodeyard.managed(count=2, config={})})
    done = nodeyard("run", path)
    assert done.status == 5, done.err  # it was brought up, and nothing was checked
    events = [json.loads(line) for line in (nodeyard.only_run() / "journal.jsonl").read_text().splitlines()]
    assert found(events, "node-identified", node="n1", peer_id="x-n1", api="7.1")


SECRET = """\
launch:
  program: sh
  args: [-c, 'case $PASSWORD in hunter?-and-more) echo welcome; exec sleep 1000;; esac']
  env: {PASSWORD: "env:TOY_SECRET"}
ready:
  - {log: welcome}
"""


def test_a_secret_reaches_the_node_and_nothing_else(nodeyard: Nodeyard) -> None:
    nodeyard.extra = {"TOY_SECRET": "hunter2-and-more"}
    path = nodeyard.write({"kind": kind_file(nodeyard, SECRET), "source": nodeyard.managed(config={})})
    shown = nodeyard("plan", path, "--json")
    done = nodeyard("run", path, "--keep", "always")
    assert done.status == 5, done.err
    assert b"hunter2" not in everything_in(nodeyard.output) + (done.out + done.err + shown.out + shown.err).encode()
    nodeyard.extra = {}
    missing = nodeyard("run", path)
    assert missing.status == 4
    assert "TOY_SECRET" in missing.err


# ── a newcomer's ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_kind_that_was_written_from_the_docs_alone_works(nodeyard: Nodeyard) -> None:
    needs("memcached", "memcached")
    (nodeyard.path / "memcached.yaml").write_text((DECLARED / "memcached.yaml").read_text())
    value = "END\r\nVALUE x 0 3\r\nü"
    steps = [
        {"put": {"key": "a", "value": value, "target": "n1"}},
        {"get": {"key": "a", "expect": value, "target": "n1"}},
        {"get": {"key": "a", "expect": None, "target": "n0"}},
        {"restart": {"target": "n1"}},
        {"get": {"key": "a", "expect": None, "target": "n1"}},
    ]
    source = nodeyard.managed(count=2, config={"megabytes": 8})
    content = {"kind": "memcached.yaml", "source": source, "steps": steps, "expectations": [{"use": "reachable"}]}
    done = nodeyard("run", nodeyard.write(content))
    assert done.status == 0, done.err
    too_large = {"put": {"key": "a", "value": "x" * 1_100_000, "target": "n0", "within": "1s"}}
    refused = nodeyard("run", nodeyard.write({**content, "steps": [too_large]}))
    assert refused.status != 0
    assert "SERVER_ERROR object too large for cache" in refused.out + refused.err
