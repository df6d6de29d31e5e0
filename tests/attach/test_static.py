"""Static attach over real files of each format, and everything that can be wrong with one."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeyard.domain.document import parse
from nodeyard.domain.identity import NetworkFacts
from nodeyard.errors.base import ExitStatus
from nodeyard.errors.provider import DiscoveryFailed, NodeUnreachable
from nodeyard.errors.validation import SpecInvalid
from nodeyard.ports.attach import Discovered, Discovery
from nodeyard.ports.node_control import NoControl
from nodeyard.providers.attach.static import StaticOptions, StaticPlugin
from nodeyard.providers.attach.static.loading import load

from .support import KvKind, context

FILES = Path(__file__).parent / "files"


def discover(base: Path, file: str, *, kind: str = "kv", known: bool = True, **options: Any) -> Discovery:
    made = StaticOptions.model_validate({"type": "static", "file": file, **options})
    return asyncio.run(StaticPlugin().create(made, context(base, kind=kind, known=known)).discover())


def urls(found: Discovery) -> dict[str, dict[str, str]]:
    return {node.name: {port: end.url for port, end in node.endpoints.items()} for node in found.nodes}


def problems(tmp_path: Path, text: str, **options: Any) -> list[str]:
    """What is said about a file, without the folder."""
    (tmp_path / "nodes.yaml").write_text(text)
    with pytest.raises(SpecInvalid) as caught:
        discover(tmp_path, "nodes.yaml", **options)
    return [str(p).removeprefix(f"{tmp_path}/") for p in caught.value.problems]


# ── each format ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_nodes_file() -> None:
    found = discover(FILES, "nodes.yaml")
    assert urls(found) == {
        "a": {"client": "http://127.0.0.1:2379"},
        "b": {"rpc": "https://b.example:26657", "p2p": "tcp://b.example:26656"},
        "c": {"client": "http://[::1]:2381"},
    }
    _, b, _ = found.nodes
    assert (b.kind, b.role, b.locator, b.exclusive) == ("chain", "validator", "nodes.1", False)
    end = b.endpoints["rpc"]
    assert end.auth is not None
    assert end.auth.kind == "basic"
    assert end.tls is not None
    assert end.tls.ca == "certs/ca.pem"


def test_a_nodes_file_in_json_with_tabs() -> None:
    found = discover(FILES, "nodes.json", auth={"header": {"name": "X-Key", "value": "env:KEY"}})
    assert list(urls(found)) == ["a", "b"]
    kinds = [end.auth.kind for node in found.nodes for end in node.endpoints.values() if end.auth]
    assert kinds == ["header", "bearer"], "a node's own authentication wins over the default of the source"


def test_the_inventory_of_another_run() -> None:
    found = discover(FILES, "inventory.json")
    assert urls(found) == {
        "n0": {"client": "http://127.0.0.1:20001", "peer": "tcp://127.0.0.1:20002"},
        "n0-external": {"client": "http://127.0.0.1:20003"},
    }
    first, second = found.nodes
    assert first.peer_id == "8e9e05c52164694d"
    assert first.network == NetworkFacts(id="cdf818194e3a8c32", protocol="3.5")
    assert (second.peer_id, second.network) == (None, NetworkFacts())
    assert found.problems == ("spare was never started: it has no endpoints",)


def test_ids_of_an_inventory_that_make_one_name_stay_two_nodes(tmp_path: Path) -> None:
    given = zip(("n0@x", "n0-x", "N0.x"), "abc", strict=True)
    nodes = [{"id": i, "kind": "kv", "endpoints": {"client": f"http://{host}:1"}} for i, host in given]
    (tmp_path / "inventory.json").write_text(json.dumps({"run": "r", "revision": 1, "nodes": nodes}))
    assert urls(discover(tmp_path, "inventory.json")) == {
        "n0-x": {"client": "http://a:1"},
        "n0-x-2": {"client": "http://b:1"},
        "n0-x-3": {"client": "http://c:1"},
    }


def test_an_inventory_gives_no_control_even_over_local_processes() -> None:
    provider = StaticPlugin().create(StaticOptions(type="static", file="inventory.json"), context(FILES))
    asyncio.run(provider.discover())
    assert isinstance(provider.control("n0"), NoControl)


def test_file_sd_in_json() -> None:
    found = discover(FILES, "file_sd.json")
    assert urls(found) == {
        "10-0-0-5-2379": {"client": "http://10.0.0.5:2379"},
        "10-0-0-6-2379": {"client": "http://10.0.0.6:2379"},
        "kv-example-443": {"client": "https://kv.example"},
    }
    assert [node.locator for node in found.nodes] == ["0.targets.0", "0.targets.1", "1.targets.0"]


def test_file_sd_in_yaml() -> None:
    found = discover(FILES, "file_sd.yml", port="peer", tls={"ca": "ca.pem"})
    assert urls(found) == {
        "fd00-1-2379": {"peer": "https://[fd00::1]:2379"},
        "127-0-0-1-2379": {"peer": "https://localhost:2379"},
    }


def test_file_sd_names_from_a_label_and_nodes_by_label() -> None:
    found = discover(FILES, "file_sd.json", name_label="instance", select={"env": "dev"})
    assert list(urls(found)) == ["web-node", "web-node-2"]


def test_a_list_may_mix_nodes_and_targets_and_written_names_win() -> None:
    found = discover(FILES, "mixed.yaml")
    assert urls(found) == {
        "127-0-0-1-2379": {"client": "http://10.0.0.1:2379"},
        "127-0-0-1-2379-2": {"client": "http://127.0.0.1:2379"},
    }


@pytest.mark.parametrize(
    ("file", "form"),
    [("nodes.yaml", "nodes"), ("inventory.json", "inventory"), ("file_sd.json", "file-sd"), ("file_sd.yml", "file-sd")],
)
def test_a_forced_format_reads_the_same_as_a_detected_one(file: str, form: str) -> None:
    assert discover(FILES, file, format=form) == discover(FILES, file)


def test_a_forced_format_refuses_another_one(tmp_path: Path) -> None:
    assert problems(tmp_path, "[{name: a, url: 'http://h:1'}]", format="file-sd") == [
        "nodes.yaml:1:2: 0: 'targets' is missing",
        "nodes.yaml:1:3: 0.name: unknown key 'name' (known here: labels, targets)",
        "nodes.yaml:1:12: 0.url: unknown key 'url' (known here: labels, targets)",
    ]


def test_the_source_is_the_name_of_the_file() -> None:
    made = StaticPlugin().create(StaticOptions(type="static", file="files/nodes.yaml"), context(FILES.parent))
    assert made.source == "static:nodes.yaml"
    assert len(asyncio.run(made.discover()).nodes) == 3


def test_a_file_is_read_at_each_discovery(tmp_path: Path) -> None:
    shutil.copy(FILES / "nodes.json", tmp_path / "nodes.json")
    provider = StaticPlugin().create(StaticOptions(type="static", file="nodes.json"), context(tmp_path))
    assert len(asyncio.run(provider.discover()).nodes) == 2
    (tmp_path / "nodes.json").write_text('[{"name": "z", "url": "http://h:1"}]')
    assert [n.name for n in asyncio.run(provider.discover()).nodes] == ["z"]
    with pytest.raises(KeyError):
        provider.endpoint("a", "client")


def test_a_port_that_is_not_in_the_file_says_how_to_add_it() -> None:
    provider = StaticPlugin().create(StaticOptions(type="static", file="nodes.yaml"), context(FILES))
    asyncio.run(provider.discover())
    with pytest.raises(NodeUnreachable) as caught:
        provider.endpoint("a", "peer")
    assert caught.value.node == "a"
    assert caught.value.evidence == ("nodes.0 gives client",)


# ── nothing there ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("text", ["", "# only a comment\n", "null", "nodes: []", "[]", "[{targets: []}]"])
def test_a_file_without_nodes_is_an_empty_discovery(tmp_path: Path, text: str) -> None:
    (tmp_path / "nodes.yaml").write_text(text)
    assert discover(tmp_path, "nodes.yaml").nodes == ()


def test_an_empty_file_is_called_empty(tmp_path: Path) -> None:
    (tmp_path / "nodes.yaml").write_text("")
    assert discover(tmp_path, "nodes.yaml").problems == (f"{tmp_path}/nodes.yaml is empty",)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DiscoveryFailed, match=r"missing\.yaml cannot be read: No such file") as caught:
        discover(tmp_path, "missing.yaml")
    assert caught.value.exit_status is ExitStatus.INFRASTRUCTURE
    assert caught.value.hint == "the path of 'file' is relative to the folder of the scenario"


def test_a_folder_instead_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(DiscoveryFailed, match="is not a regular file"):
        discover(tmp_path, ".")


def test_a_path_with_a_nul_byte(tmp_path: Path) -> None:
    with pytest.raises(DiscoveryFailed):
        discover(tmp_path, "a\0b")


def test_a_binary_file(tmp_path: Path) -> None:
    (tmp_path / "nodes.yaml").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(DiscoveryFailed, match="is not UTF-8 text"):
        discover(tmp_path, "nodes.yaml")


# ── everything that is wrong, at once and with its place ─────────────────────────────────────────────────────────


def test_every_problem_comes_at_once_with_its_place(tmp_path: Path) -> None:
    text = """\
nodes:
  - name: A_1
    url: http://127.0.0.1:2379
  - name: b
    url: http://user:secret@127.0.0.1:2379
  - name: c
    endpoint: {client: "http://127.0.0.1:1"}
  - name: d
    endpoints: {cleint: "http://127.0.0.1:1", peer: "tcp://127.0.0.1"}
  - name: e
    url: http://127.0.0.1:2379
    allow: [restart]
    tls: {cert: a.pem}
  - name: e
    kind: kw
    endpoints: {client: "http://127.0.0.1:2379"}
  - just a text
version: 1
"""
    assert problems(tmp_path, text) == [
        "nodes.yaml:2:5: nodes.0.name: a name is 1 to 63 of a-z, 0-9 and '-', and neither starts nor ends with '-'",
        "nodes.yaml:5:5: nodes.1.url: a URL must not contain credentials; use 'auth:' instead",
        "nodes.yaml:7:5: nodes.2.endpoint: unknown key 'endpoint' (did you mean 'endpoints'?)",
        "nodes.yaml:9:47: nodes.3.endpoints.peer: a URL needs a port, as in http://127.0.0.1:2379",
        "nodes.yaml:12:5: nodes.4.allow: unknown key 'allow' (grants are the scenario's to give: source.attach.allow)",
        "nodes.yaml:13:5: nodes.4.tls: cert and key belong together",
        "nodes.yaml:15:5: nodes.5.kind: no kind 'kw' is installed (known here: chain, kv)",
        "nodes.yaml:17:5: nodes.6: this is not a mapping",
        "nodes.yaml:18:1: version: unknown key 'version' (a nodes file has 'nodes' and nothing else)",
    ]


def test_ports_that_a_kind_does_not_have(tmp_path: Path) -> None:
    text = '[{name: a, endpoints: {cleint: "http://h:1"}}, {name: b, endpoints: {peer: "http://h:1"}}]'
    assert problems(tmp_path, text) == [
        "nodes.yaml:1:24: 0.endpoints.cleint: kind 'kv' has no port 'cleint' (did you mean 'client'?)",
        "nodes.yaml:1:58: 1.endpoints: 'client', the API port of kind 'kv', is missing",
    ]


def test_two_nodes_of_one_name(tmp_path: Path) -> None:
    text = "- {name: a, url: 'http://h:1'}\n- {name: a, url: 'http://h:2'}\n"
    assert problems(tmp_path, text) == ["nodes.yaml:2:4: 1.name: two nodes are called 'a' (the first one is on line 1)"]


def test_neither_and_both_ways_to_give_an_address(tmp_path: Path) -> None:
    text = "- {name: a}\n- {name: b, url: 'http://h:1', endpoints: {client: 'http://h:1'}}\n"
    assert problems(tmp_path, text) == [
        "nodes.yaml:1:3: 0: a node needs either endpoints or url",
        "nodes.yaml:2:3: 1: a node needs either endpoints or url",
    ]


def test_bare_addresses_without_a_known_port_are_one_problem(tmp_path: Path) -> None:
    text = "- {name: a, url: 'http://h:1'}\n- {name: b, url: 'http://h:2'}\n"
    assert problems(tmp_path, text, known=False) == [
        "nodes.yaml:1:13: 0.url: it is not known which port this address is (add 'port:' to the attach source)"
    ]
    assert len(discover(tmp_path, "nodes.yaml", known=False, port="client").nodes) == 2


def test_bad_targets(tmp_path: Path) -> None:
    text = '- targets: ["h:x", 7]\n- {targets: [], label: {}}\n- {targets: ["h:1"], labels: {a: 1}}'
    assert problems(tmp_path, text) == [
        "nodes.yaml:1:20: 0.targets.1: Input should be a valid string",
        "nodes.yaml:2:17: 1.label: unknown key 'label' (did you mean 'labels'?)",
        "nodes.yaml:3:31: 2.labels.a: Input should be a valid string",
    ]
    assert problems(tmp_path, '[{targets: ["h:x", "h:99999", "", "u:p@h:1"], labels: {__scheme__: http}}]') == [
        "nodes.yaml:1:13: 0.targets.0: a port is a number from 1 to 65535",
        "nodes.yaml:1:20: 0.targets.1: a port is a number from 1 to 65535",
        "nodes.yaml:1:31: 0.targets.2: a URL needs a host, as in http://127.0.0.1:2379",
        "nodes.yaml:1:35: 0.targets.3: a URL must not contain credentials; use 'auth:' instead",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1, 2", "nodes.yaml:1:9: not valid YAML: "),
        ("nodes: []\nnodes: []", "nodes.yaml:2:1: not valid YAML: found duplicate key"),
        ('{"nodes": [], "nodes": []}', 'nodes.yaml:1:15: not valid YAML: found duplicate key "nodes"'),
        ("--- 1\n--- 2\n", "nodes.yaml:2:1: not valid YAML: "),
        ("just a text", "nodes.yaml:1:1: this is not a list of nodes, or 'nodes:' with one"),
        ("nodes: 7", "nodes.yaml:1:1: nodes: this is not a list of nodes"),
        (
            "node: [{name: a}]",
            "nodes.yaml:1:1: this is not a list of nodes, or 'nodes:' with one (did you mean 'nodes'?)",
        ),
        ("{run: x, nodes: {}}", "nodes.yaml:1:10: nodes: this is not the inventory.json of a run"),
        (
            "{run: x, nodes: [{id: a, kind: kv, endpoints: {client: nowhere}}]}",
            "nodes.yaml:1:48: nodes.0.endpoints.client",
        ),
    ],
)
def test_documents_of_a_wrong_shape(tmp_path: Path, text: str, said: str) -> None:
    [only] = problems(tmp_path, text)
    assert only.startswith(said)


def test_broken_json_is_reported_as_json(tmp_path: Path) -> None:
    (tmp_path / "inventory.json").write_text('{"run": "x",\n "nodes": [}')
    with pytest.raises(SpecInvalid) as caught:
        discover(tmp_path, "inventory.json")
    assert str(caught.value.problems[0]) == f"{tmp_path}/inventory.json:2:12: not valid JSON: Expecting value"


def test_a_problem_in_json_with_tabs_has_its_place(tmp_path: Path) -> None:
    assert problems(tmp_path, '[\n\t{"name": "a",\n\t "ulr": "http://h:1", "url": "http://h:1"}\n]\n\t\n') == [
        "nodes.yaml:3:3: 0.ulr: unknown key 'ulr' (did you mean 'url'?)"
    ]


def test_a_secret_in_a_wrong_place_is_not_repeated(tmp_path: Path) -> None:
    text = "[{name: a, url: 'http://h:1', auth: {basic: {username: hunter1, password: hunter2}, bearer: hunter3}}]"
    assert "hunter" not in " ".join(problems(tmp_path, text))


# ── any inventory that a run can write loads again ───────────────────────────────────────────────────────────────

WORDS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
IDS = st.one_of(WORDS, st.builds("{}@static:{}.yaml".format, WORDS, WORDS))
FACTS = st.none() | st.text(max_size=20)
HOSTS = st.sampled_from(["127.0.0.1", "[fd00::1]", "node.example"])
PORTS = st.integers(1, 65535)


@st.composite
def recorded_nodes(draw: st.DrawFn, node_id: str) -> dict[str, Any]:
    host, port = draw(HOSTS), draw(PORTS)
    endpoints = {"client": f"http://{host}:{port}"}
    if draw(st.booleans()):
        endpoints["peer"] = f"tcp://{host}:{draw(PORTS)}"
    started = draw(st.booleans())
    return {
        "id": node_id,
        "kind": "kv",
        "role": draw(st.sampled_from([None, "voter"])),
        "ownership": draw(st.sampled_from(["owned", "borrowed"])),
        "origins": [{"origin": "managed", "source": "local", "locator": draw(st.text(max_size=8))}],
        "identity": {
            "peer_id": draw(FACTS),
            "endpoint": f"{host}:{port}",
            "aliases": draw(st.lists(WORDS, max_size=2)),
        },
        "supported": ["query", "submit"],
        "capabilities": ["query"],
        "endpoints": endpoints if started else {},
        "network": {"id": draw(FACTS), "genesis": draw(FACTS), "protocol": draw(FACTS), "api": "later versions add"},
    }


@st.composite
def inventories(draw: st.DrawFn) -> dict[str, Any]:
    ids = draw(st.lists(IDS, max_size=6, unique=True))
    return {"run": draw(WORDS), "revision": draw(st.integers(0, 9)), "nodes": [draw(recorded_nodes(i)) for i in ids]}


@given(inventories(), st.booleans(), st.sampled_from([None, 2]))
def test_any_inventory_of_a_run_loads_again(document: dict[str, Any], escaped: bool, indent: int | None) -> None:
    text = json.dumps(document, ensure_ascii=escaped, indent=indent)
    kinds: Any = {"kv": KvKind()}
    found = load(parse(text, "inventory.json"), StaticOptions(type="static", file="inventory.json"), "kv", kinds)
    started = [node for node in document["nodes"] if node["endpoints"]]
    assert [_as_recorded(node) for node in found.nodes] == [
        (n["endpoints"], n["kind"], n["role"], n["identity"]["peer_id"], n["network"]["id"]) for n in started
    ]
    assert len({node.name for node in found.nodes}) == len(started)
    assert len(found.problems) == len(document["nodes"]) - len(started)


def _as_recorded(node: Discovered) -> tuple[Any, ...]:
    urls_of = {port: end.url for port, end in node.endpoints.items()}
    return urls_of, node.kind, node.role, node.peer_id, node.network.id
