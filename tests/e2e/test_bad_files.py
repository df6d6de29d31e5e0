"""Files that cannot be used as they stand: each is told with its name and what to do, and nothing is begun or left."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from .support import Done, Json, Nodeyard

pytestmark = pytest.mark.real
SCENARIO = "s.yaml"


def refused(nodeyard: Nodeyard, done: Done, *says: str, status: int = 4) -> None:
    assert done.status == status, done.out + done.err
    told = done.out + done.err
    for text in says:
        assert text in told
    assert "Traceback" not in told
    assert nodeyard.leftovers() == []


def obeying_permissions(nodeyard: Nodeyard) -> Nodeyard:
    """The same command line as a user who may not read everything, which root may."""
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            (pytest.fail if os.environ.get("CI") else pytest.skip)("root needs setpriv (package util-linux) for this")
        nodeyard.command = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", *nodeyard.command)
    return nodeyard


@pytest.mark.parametrize("verb", ["validate", "plan", "preflight", "run", "up"])
def test_an_empty_scenario(nodeyard: Nodeyard, verb: str) -> None:
    path = nodeyard.path / SCENARIO
    path.write_text("# nothing yet\n")
    refused(nodeyard, nodeyard(verb, path), f"{SCENARIO}: the file is empty ('nodeyard init' writes")
    assert not nodeyard.output.exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "is a folder, not a scenario file"),
        (b"\xff\xfe\x00", "1:1: not UTF-8 text"),
        (b"nodeyard: 1\nsource: [", "2:"),
        (b"<html>\n<body>404</body>\n</html>\n", "a scenario is a mapping of keys to values"),
    ],
)
def test_a_scenario_that_is_none(nodeyard: Nodeyard, content: bytes | None, says: str) -> None:
    path = nodeyard.path / SCENARIO
    path.mkdir() if content is None else path.write_bytes(content)
    refused(nodeyard, nodeyard("run", path), SCENARIO, says)
    assert not nodeyard.output.exists()


def test_files_that_may_not_be_read(nodeyard: Nodeyard) -> None:
    """The scenario, and what it names."""
    obeying_permissions(nodeyard)
    for name in ("token", "k.yaml", "nodes.json"):
        (nodeyard.path / name).write_text("x")
        (nodeyard.path / name).chmod(0)
    closed = nodeyard.write({"source": nodeyard.managed()}, "closed.yaml")
    closed.chmod(0)
    refused(nodeyard, nodeyard("run", closed), "closed.yaml: cannot be read: Permission denied")
    one = {"name": "a", "endpoints": {"client": "http://127.0.0.1:1"}, "auth": {"bearer": "file:token"}}
    secret = nodeyard.write({"source": {"mode": "external-only", "external": [one]}})
    refused(nodeyard, nodeyard("run", secret), "auth.bearer: the secret file token cannot be read: Permission denied")
    kind = nodeyard.write({"kind": "./k.yaml", "source": nodeyard.managed()})
    refused(nodeyard, nodeyard("run", kind), "k.yaml", "Permission denied")
    static = nodeyard.write({"source": {"mode": "attached", "attach": {"type": "static", "file": "nodes.json"}}})
    refused(nodeyard, nodeyard("run", static), "nodes.json cannot be read: Permission denied", "hint:", status=7)


@pytest.mark.parametrize("content", ["", "[]", '{"run": "r", "revision": 1, "nodes": []}'])
def test_a_file_of_no_nodes(nodeyard: Nodeyard, content: str) -> None:
    (nodeyard.path / "nodes.json").write_text(content)
    source = {"mode": "attached", "attach": {"type": "static", "file": "nodes.json"}}
    done = nodeyard("run", nodeyard.write({"source": source}))
    refused(nodeyard, done, "[discovery/discovery-empty]", "nodes.json", "hint:", status=7)


def test_empty_files_that_a_scenario_names(nodeyard: Nodeyard) -> None:
    for name in ("token", "k.yaml", "checks.py"):
        (nodeyard.path / name).touch()
    one = {"name": "a", "endpoints": {"client": "http://127.0.0.1:1"}, "auth": {"bearer": "file:token"}}
    check = {"use": "python", "call": "checks.py:f"}
    scenario = nodeyard.write({"source": {"mode": "external-only", "external": [one]}, "expectations": [check]})
    says = "the secret file token is empty", "checks.py has no function 'f'"
    refused(nodeyard, nodeyard("run", scenario), *says)
    kind = nodeyard.write({"kind": "./k.yaml", "source": nodeyard.managed()})
    refused(nodeyard, nodeyard("run", kind), "k.yaml: the file is empty")


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ({"readiness": {"policy": "quorum", "min": 4}}, "readiness.min: wants 4 of the declared nodes, but there are"),
        ({"readiness": {"policy": "source-aware", "external": 1}}, "readiness.external: wants 1 of external nodes"),
        ({"readiness": {"policy": "required", "nodes": "n7"}}, "readiness.nodes: there is no node 'n7'"),
        ({"steps": [{"restart": {"target": {"any": 9}}}]}, "steps.0.restart.target: wants 9 nodes"),
    ],
)
def test_a_policy_that_no_run_can_meet(nodeyard: Nodeyard, part: Json, says: str) -> None:
    done = nodeyard("run", nodeyard.write({"source": nodeyard.managed(count=3), **part}))
    refused(nodeyard, done, "scenario.yaml:", says)
    assert not nodeyard.output.exists()


def test_every_mistake_of_a_file_comes_at_once_with_its_place(nodeyard: Nodeyard) -> None:
    path = nodeyard.path / SCENARIO
    source = json.dumps(nodeyard.managed())
    path.write_text(f"nodeyard: 1\nkind: etcd\nsource: {source}\nkind: etcd\nsead: 3\nsteps: 7\n")
    done = nodeyard("run", path)
    refused(nodeyard, done, f"{SCENARIO}:4:1: kind: the key 'kind' stands twice (the first one is on line 2)")
    assert f"{SCENARIO}:5:1: sead: unknown key 'sead' (did you mean 'seed'?)" in done.err
    assert f"{SCENARIO}:6:1: steps: Input should be a list" in done.err
    assert not nodeyard.output.exists()


def test_a_port_range_without_room(nodeyard: Nodeyard) -> None:
    first = nodeyard.ports[0]
    source = nodeyard.managed(count=3, deployer={"port_range": [first, first + 1]})
    done = nodeyard("run", nodeyard.write({"source": source}))
    refused(nodeyard, done, "[provisioning/ports-exhausted]", "widen deployer.port_range", status=7)
    assert '"node-started"' not in (nodeyard.only_run() / "journal.jsonl").read_text()
