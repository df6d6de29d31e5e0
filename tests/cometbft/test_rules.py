"""The pure rules of the kind: settings, keys, geneses, members, peers, the form of answers."""

from __future__ import annotations

import base64
import hashlib
import json
import tomllib

import pytest
from hypothesis import given
from hypothesis import settings as checked
from hypothesis import strategies as st

from nodeyard.domain.launch_plan import AT_RUN, NodePlan, Seed
from nodeyard.domain.policy import NetworkPins
from nodeyard.domain.run_identity import RunMark
from nodeyard.errors.provider import NodeAnswerInvalid, NodeRefused, NodeTimeout
from nodeyard.kinds.cometbft import CometbftKind, adopt, genesis, keys, launch, members, settings, wire
from nodeyard.kinds.cometbft.wire import Status
from nodeyard.ports.kind import CanAdopt, ChecksMembers, KnowsProgram, RenderRequest, same_inside
from nodeyard.ports.transport import Reply
from nodeyard.providers.deployer.local.resources import LocalPlace

KIND = CometbftKind()
MARK = RunMark("run-1", "host", "boot")
STATUS = Status("ab", "chain", "0.38.0", "tcp://0.0.0.0:26656", "block 11, p2p 8", 1, 1, "B", "S", False, 0)


def plan(name: str, index: int = 0, **more: object) -> NodePlan:
    return NodePlan(name=name, kind="cometbft", index=index, group=0, **more)  # type: ignore[arg-type]


def plans(count: int, **more: object) -> list[NodePlan]:
    return [plan(f"v{i}", i, **more) for i in range(count)]


def place(name: str, folder: str = "/run") -> LocalPlace:
    from pathlib import Path

    number = 10_000 + 2 * int(name[1:])
    return LocalPlace(Path(folder) / name, {"rpc": number, "p2p": number + 1})


def rendered(nodes: list[NodePlan], seeds: dict[str, list[Seed]] | None = None) -> dict[str, RenderRequest]:
    material = KIND.material(nodes, mark=MARK, seed=7, pins=NetworkPins())
    peers = [(node, place(node.name)) for node in nodes]
    return {
        node.name: RenderRequest(node, place(node.name), peers, (seeds or {}).get(node.name, []), material)
        for node in nodes
    }


def reply(document: object, status: int = 200) -> Reply:
    return Reply(status, json.dumps(document), "http://h/x")


# --- settings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("consensus.timeout_comit", "1s", "did you mean 'consensus.timeout_commit'?"),
        ("timeout_commit", "1s", "did you mean 'consensus.timeout_commit'?"),
        ("timeout-commit", "1s", "did you mean 'consensus.timeout_commit'?"),
        ("Consensus.Timeout_Commit", "1s", "did you mean 'consensus.timeout_commit'?"),
        ("zzz", "1s", "is no setting of CometBFT"),
        ("rpc.laddr", "tcp://x", "is set by Nodeyard"),
        ("chain_id", "x", "network: {id: ...}"),
        ("consensus.timeout_commit", 200, "is a duration"),
        ("consensus.create_empty_blocks", "no", "is true or false"),
        ("mempool.size", -1, "is a whole number"),
        ("mempool.size", True, "is a whole number"),
        ("mempool.type", "fast", "is one of flood, nop"),
        ("proxy_app", 1, "is a text"),
        ("power", 0, "is a whole number, 1 or more"),
        ("power", 2**63, "is at most"),
        ("initial_height", 0, "is a whole number, 1 or more"),
    ],
)
def test_a_wrong_setting_is_told_with_the_right_word(key: str, value: object, says: str) -> None:
    ((told, problem),) = KIND.config_problems({key: value})  # type: ignore[dict-item]
    assert told == key
    assert says in problem


def test_no_setting_is_of_two_sorts() -> None:
    sorts = (settings.NUMBERS, settings.SWITCHES, settings.DURATIONS, settings.TEXTS, settings.CHOICES.keys())
    assert sum(map(len, sorts)) + len(settings.GENESIS) == len(settings.KNOWN)
    assert not settings.KNOWN & settings.CONTROLLED.keys()
    assert settings.config_problems(settings.FAST) == []


VALUES = st.one_of(st.booleans(), st.integers(-(2**62), 2**62), st.text())


@given(st.dictionaries(st.sampled_from(sorted(settings.KNOWN - settings.GENESIS)), VALUES))
def test_what_is_written_is_what_toml_reads(values: dict[str, bool | int | str]) -> None:
    read = tomllib.loads(settings.as_toml(values))
    flat = {f"{k}.{leaf}": v for k, inner in read.items() if isinstance(inner, dict) for leaf, v in inner.items()}
    flat |= {key: value for key, value in read.items() if not isinstance(value, dict)}
    assert flat == values


# --- keys and genesis -----------------------------------------------------------------------------------------------


def test_keys_follow_from_run_seed_node_and_purpose_alone() -> None:
    one = keys.derive("run/7", "v0", keys.NODE)
    assert one == keys.derive("run/7", "v0", keys.NODE)
    others = [keys.derive("run/8", "v0", keys.NODE), keys.derive("run/7", "v1", keys.NODE)]
    assert one.address not in [key.address for key in (*others, keys.derive("run/7", "v0", keys.VALIDATOR))]
    assert one.address == hashlib.sha256(one.public).hexdigest()[:40]
    written = json.loads(keys.node_key_file(one))["priv_key"]
    assert base64.b64decode(written["value"]) == one.secret + one.public
    assert one.secret.hex() not in repr(one)


def test_the_same_run_makes_the_same_material_and_another_run_another() -> None:
    nodes = plans(3)
    made = KIND.material(nodes, mark=MARK, seed=7, pins=NetworkPins())
    assert made == KIND.material(nodes, mark=MARK, seed=7, pins=NetworkPins())
    other = KIND.material(nodes, mark=RunMark("run-2", "host", "boot"), seed=7, pins=NetworkPins())
    assert made.id != other.id
    assert made.per_node["v0"] != other.per_node["v0"]
    assert KIND.material(nodes, mark=MARK, seed=7, pins=NetworkPins(id="mine")).id == "mine"


def test_no_secret_is_in_the_material() -> None:
    made = KIND.material(plans(2), mark=MARK, seed=7, pins=NetworkPins())
    text = repr(made)
    for node in ("v0", "v1"):
        for purpose in (keys.NODE, keys.VALIDATOR):
            key = keys.derive(made.facts[launch.ORIGIN], node, purpose)
            assert base64.b64encode(key.secret + key.public).decode() not in text


@given(st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True))
def test_a_chain_id_fits_and_is_the_runs_own(run: str) -> None:
    assert len(genesis.chain_id(run)) <= genesis.LONGEST_CHAIN_ID
    assert genesis.chain_id(run) != genesis.chain_id(run + "x")


def test_the_genesis_has_powers_and_parameters() -> None:
    nodes = [plan("v0", 0, config={"power": 5, "consensus_params.block.max_bytes": 1000}), plan("v1", 1)]
    nodes.append(plan("f2", 2, role="full"))
    made = json.loads(KIND.material(nodes, mark=MARK, seed=1, pins=NetworkPins()).facts[launch.GENESIS])
    assert [(v["name"], v["power"]) for v in made["validators"]] == [("v0", "5"), ("v1", "10")]
    assert made["consensus_params"]["block"] == {"max_bytes": "1000", "max_gas": "-1"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.text(), JSON))
def test_a_digest_does_not_depend_on_order_or_blanks(document: dict[str, object]) -> None:
    turned = json.loads(json.dumps(dict(reversed(document.items())), indent=3))
    assert genesis.digest(turned) == genesis.digest(document)
    assert genesis.digest({**document, "app_state": [len(document)]}) != genesis.digest({**document, "app_state": 0})


# --- members --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nodes", "says"),
    [
        ([plan("a", role="full")], "at least one node with role 'validator'"),
        ([plan("a"), plan("b", 1, role="full", config={"power": 3})], "b: a full node has no 'power'"),
        ([*plans(2), plan("c", 2, role="validator", on_demand=True)], "have 20 of 30 voting power"),
        (
            [plan("a", config={"initial_height": 3}), plan("b", 1, config={"initial_height": 4})],
            "b: 'initial_height' is 4 here and 3 on another node",
        ),
    ],
)
def test_a_network_that_could_not_live_is_refused(nodes: list[NodePlan], says: str) -> None:
    (problem,) = KIND.member_problems(nodes, borrowed=0)
    assert says in problem


def test_networks_that_can_live_are_not_refused() -> None:
    assert KIND.member_problems([*plans(3), plan("c", 3, on_demand=True)], borrowed=0) == ()
    assert KIND.member_problems([*plans(3), plan("c", 3, role="validator", on_demand=True)], borrowed=0) == ()
    assert KIND.member_problems([plan("a"), plan("b", 1, role="full")], borrowed=2) == ()


def test_who_joins_brings_no_power_and_no_parameters() -> None:
    validator, setting = KIND.member_problems(
        [plan("a", role="validator"), plan("b", 1, config={"initial_height": 3})], borrowed=1
    )
    assert validator.startswith("a: the validators of a borrowed")
    assert setting.startswith("b: 'initial_height' belongs to the genesis")


def test_the_kind_is_what_the_core_asks_for() -> None:
    assert isinstance(KIND, CanAdopt)
    assert isinstance(KIND, ChecksMembers)
    assert isinstance(KIND, KnowsProgram)


# --- launch ---------------------------------------------------------------------------------------------------------


def test_a_validator_and_a_full_node_are_launched_as_such() -> None:
    requests = rendered([plan("v0"), plan("v1", 1, role="full")])
    validator, full = (KIND.render(requests[name]) for name in ("v0", "v1"))
    assert [file.path for file in validator.initial] == ["priv_validator_state.json"]
    assert full.initial == ()
    secret = {file.path for file in validator.files if file.secret}
    assert secret == {"node_key.json", "priv_validator_key.json"}
    assert validator.env["CMTHOME"] == "/run/v0/data"
    config = tomllib.loads(next(f.content for f in validator.files if f.path == "config.toml").decode())
    assert config["rpc"]["laddr"] == "tcp://127.0.0.1:10000"
    assert config["priv_validator_key_file"] == "/run/v0/config/priv_validator_key.json"
    assert config["consensus"]["timeout_commit"] == "200ms"
    assert tomllib.loads(full.files[0].content.decode())["priv_validator_key_file"].startswith("/run/v1/data/")


@pytest.mark.parametrize(
    ("address", "told"), [("127.0.0.1:1", True), ("[fd00::1]:1", True), ("v0.nodes:1", False), (":1", False)]
)
def test_a_name_is_not_told_as_a_nodes_own_address(address: str, told: bool) -> None:
    assert launch.is_ip(address) == told


def test_a_nodes_own_setting_wins_over_the_default() -> None:
    request = rendered([plan("v0", config={"consensus.timeout_commit": "3s", "power": 2, "proxy_app": "noop"})])["v0"]
    config = tomllib.loads(KIND.render(request).files[0].content.decode())
    assert config["consensus"]["timeout_commit"] == "3s"
    assert config["proxy_app"] == "noop"
    assert "power" not in config


@checked(deadline=None)  # it makes up to sixty keys for each example
@given(st.integers(1, 30), st.data())
def test_every_network_of_ours_is_one_piece_whatever_its_seeds(count: int, data: st.DataObject) -> None:
    nodes = plans(count)
    names = [node.name for node in nodes]
    chosen = {
        name: [
            Seed(other, None, {"p2p": place(other).advertise("p2p")})
            for other in data.draw(st.lists(st.sampled_from(names), max_size=3))
            if other != name
        ]
        for name in names
    }
    requests = rendered(nodes, chosen)
    by_id = {requests[name].material.per_node[name]["peer_id"]: name for name in names}
    told = {
        name: {by_id[peer.partition("@")[0]] for peer in launch.peers_of(request)} for name, request in requests.items()
    }
    assert all(name not in peers for name, peers in told.items())
    reached, fresh = {names[0]}, [names[0]]
    while fresh:
        here = fresh.pop()
        near = told[here] | {name for name, peers in told.items() if here in peers}
        fresh += sorted(near - reached)
        reached |= near
    assert reached == set(names)


def test_who_joins_is_told_of_its_seeds_alone() -> None:
    nodes = plans(8)
    own = KIND.own_material(nodes, mark=MARK, seed=7)
    assert own.id == AT_RUN
    borrowed = {"h0": {"peer_id": "aa", "p2p": "10.0.0.1:26656"}, "h1": {"peer_id": "bb"}}
    material = launch.adopted(own, launch.Adopted("theirs", '{"chain_id": "theirs"}', borrowed))
    seeds = [Seed("h0", "aa", {"rpc": "x"}), Seed("h1", "bb", {}), Seed("v1", None, {"p2p": "127.0.0.1:10003"})]
    peers = [(node, place(node.name)) for node in nodes]
    request = RenderRequest(nodes[0], place("v0"), peers, seeds, material)
    assert launch.peers_of(request) == ("aa@10.0.0.1:26656", f"{own.per_node['v1']['peer_id']}@127.0.0.1:10003")
    assert KIND.render(request).initial == ()


# --- joining --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listens", "rpc", "address"),
    [
        ("tcp://0.0.0.0:26656", "http://10.0.0.1:26657", "10.0.0.1:26656"),
        ("tcp://127.0.0.1:26656", "http://10.0.0.1:26657", "10.0.0.1:26656"),
        ("tcp://[::]:26656", "http://[fd00::1]:26657", "[fd00::1]:26656"),
        ("node.example:100", "http://10.0.0.1:26657", "node.example:100"),
        ("tcp://127.0.0.1:26656", "http://localhost:26657", "127.0.0.1:26656"),
        ("", "http://10.0.0.1:26657", None),
        ("tcp://host", "http://10.0.0.1:26657", None),
        ("tcp://host:x", "http://10.0.0.1:26657", None),
    ],
)
def test_where_a_running_node_takes_peers(listens: str, rpc: str, address: str | None) -> None:
    from dataclasses import replace

    assert adopt.peer_facts(replace(STATUS, listens=listens), rpc, same_inside).get("p2p") == address


def test_what_a_program_tells_of_itself() -> None:
    told = KIND.program_facts('{"cometbft": "0.38.26", "block_protocol": 11, "p2p_protocol": 8}')
    assert told.protocol == "block 11, p2p 8"
    assert KIND.program_facts("0.38.26").protocol is None
    assert KIND.program_facts("[]").protocol is None


# --- answers --------------------------------------------------------------------------------------------------------


def test_the_form_of_answers() -> None:
    found = wire.parse_block(
        reply(
            {
                "jsonrpc": "2.0",
                "result": {
                    "block_id": {"hash": "ab"},
                    "block": {"header": {"height": "7", "app_hash": "cd"}, "data": {"txs": []}},
                },
            }
        )
    )
    assert (found.height, found.hash, found.state) == (7, "AB", "CD")


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({"jsonrpc": "2.0", "error": {"code": -1, "message": "Internal error", "data": "no"}}, NodeRefused),
        ({"jsonrpc": "2.0", "error": {"data": "timed out waiting for tx to be included"}}, NodeTimeout),
        ({"jsonrpc": "2.0"}, NodeAnswerInvalid),
        ({"result": {}}, NodeAnswerInvalid),
        ([], NodeAnswerInvalid),
        ({"jsonrpc": "2.0", "result": {"node_info": {}, "sync_info": {}}}, NodeAnswerInvalid),
        ({"jsonrpc": "2.0", "result": {"node_info": {"protocol_version": {}}, "sync_info": {}}}, NodeAnswerInvalid),
    ],
)
def test_other_answers_are_typed_errors(document: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        wire.parse_status(reply(document, 500))


@given(JSON)
def test_no_answer_breaks_a_parser(document: object) -> None:
    for parse in (wire.parse_status, wire.parse_block, wire.parse_peers):
        for body in (document, {"jsonrpc": "2.0", "result": document}):
            try:
                parse(reply(body))
            except (NodeAnswerInvalid, NodeRefused, NodeTimeout):
                continue


def test_member_words() -> None:
    assert KIND.roles == members.ROLES
