"""Clients of declared kinds: what they ask, what they make of answers, and of answers that nobody expects."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from nodeyard.domain import node_client
from nodeyard.domain.launch_plan import Endpoint
from nodeyard.domain.node_client import Block, Rung, Value
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import NodeAnswerInvalid, NodeRefused, NodeTimeout, NodeUnreachable
from nodeyard.kinds.declarative.asking import NotPermitted
from nodeyard.kinds.declarative.kind import DeclarativeKind
from nodeyard.ports.kind import Beside
from nodeyard.ports.node_control import ExecResult
from nodeyard.ports.transport import Transport
from nodeyard.testing import FakeTransport, run_virtual
from nodeyard.testing.conformance_kind import CLIENT_PROTOCOLS, WebPage

from . import recorded
from .support import example, kind_of, shipped, toy

URL = "http://toy:8080"


def client(kind: DeclarativeKind, transport: Transport, beside: Beside | None = None, url: str = URL) -> Any:
    return kind.client_beside(lambda port: Endpoint(url), transport, beside or Beside())


def answer(
    path: str, *, text: str | None = None, json: Any = None, status: int = 200, method: str = "GET"
) -> FakeTransport:
    return FakeTransport().reply(method, URL + path, text=text, json=json, status=status)


class Log:
    def __init__(self, *lines: str) -> None:
        self.lines = lines

    async def logs(self, *, tail: int | None = None) -> Sequence[str]:
        return self.lines


class Commands:
    """Answers every command with what was given; ``asked`` are those that came."""

    def __init__(self, out: str = "", status: int = 0, err: str = "") -> None:
        self.result = ExecResult(status, out, err)
        self.asked: list[Sequence[str]] = []

    async def exec(self, argv: Sequence[str], *, timeout: float) -> ExecResult:
        self.asked.append(argv)
        return self.result


# ── what a client has ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "protocols"),
    [
        ("", set()),
        ("height: {get: /h}", {"ReportsHeight"}),
        ("height: {get: /h}\nblock: {get: /b, hash: h}", {"ReportsHeight", "ChainReader"}),
        ("role: {get: /r}", {"ReportsRole"}),
        ("peers: {get: /p}", {"PeerView"}),
        ("peer_count: {get: /p}", {"CountsPeers"}),
        ("metrics: {get: /m}", {"ReportsMetrics"}),
        ("digest: {state: {get: /d}}", {"StateDigest"}),
        ("key_value: {get: {get: /k}, put: {put: /k}}", {"KeyValue"}),
        (
            "key_value: {get: {get: /k}, put: {put: /k}, "
            "compare_and_set: {put: /k, written: {status: 200}, not_written: {status: 409}}}",
            {"KeyValue", "CompareAndSet"},
        ),
        ("submit: {send: {post: /t}}", {"AcceptsTx"}),
        ("submit: {send: {post: /t}, included: {get: /t}}", {"AcceptsTx", "TxSubmit"}),
    ],
)
def test_a_client_has_what_its_file_declares_and_nothing_else(text: str, protocols: set[str]) -> None:
    kind = toy(text)
    made = client(kind, FakeTransport())
    assert {name for name, protocol in CLIENT_PROTOCOLS.items() if isinstance(made, protocol)} == protocols
    assert {protocol.__name__ for protocol in kind.protocols} <= protocols


# ── calls ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_keys_and_values_reach_a_node_unharmed() -> None:
    url = f"{URL}/notes/a%2Fb%3F%20%C3%BC"
    transport = FakeTransport().reply("GET", url, json={"text": "50 %"}).reply("PUT", url, json={"changes": 1})
    notes = client(example("notes"), transport)

    async def go() -> Value:
        await notes.put("a/b? ü", '{{ not }} "a" template\r\n', timeout=1)
        found: Value = await notes.get("a/b? ü", timeout=1)
        return found

    assert run_virtual(go()) == Value("50 %")
    assert transport.requests[0].text == '{{ not }} "a" template\r\n'


def test_an_absent_key_is_not_an_error_and_an_unexpected_answer_is() -> None:
    notes = example("notes")
    get = run_virtual(client(notes, answer("/notes/k", json={}, status=404)).get("k", timeout=1))
    assert get == Value(None)
    with pytest.raises(NodeRefused, match="answered HTTP 500"):
        run_virtual(client(notes, answer("/notes/k", text="oops", status=500)).get("k", timeout=1))
    with pytest.raises(NodeAnswerInvalid, match="not JSON"):
        run_virtual(client(notes, WebPage()).get("k", timeout=1))


@pytest.mark.parametrize(
    ("status", "outcome"), [(200, True), (409, False), (421, NodeRefused), (503, NodeTimeout), (204, NodeAnswerInvalid)]
)
def test_a_conditional_write_is_written_or_not_or_unknown(status: int, outcome: Any) -> None:
    transport = answer("/notes/k?expected=old", json={}, status=status, method="PUT")
    call = client(example("notes"), transport).compare_and_set("k", "old", "new", timeout=1)
    if isinstance(outcome, bool):
        assert run_virtual(call) is outcome
    else:
        with pytest.raises(outcome) as caught:
            run_virtual(call)
        assert caught.type is outcome


def test_an_absent_value_is_expected_in_another_way() -> None:
    transport = answer("/notes/k?absent", json={}, method="PUT")
    assert run_virtual(client(example("notes"), transport).compare_and_set("k", None, "new", timeout=1)) is True


def test_a_write_that_a_server_failed_at_may_have_happened() -> None:
    for status, error in ((500, NodeTimeout), (400, NodeRefused)):
        transport = answer("/notes/k", text="no", status=status, method="PUT")
        with pytest.raises(error) as caught:
            run_virtual(client(example("notes"), transport).put("k", "v", timeout=1))
        assert caught.type is error


def redis(*said: tuple[str, str]) -> Any:
    transport = FakeTransport()
    for sent, got in said:
        transport.says("tcp://toy:6379", sent, got)
    return client(example("redis"), transport, url="tcp://toy:6379")


def test_redis_is_spoken_to_in_its_own_protocol() -> None:
    get, put = "*2\r\n$3\r\nGET\r\n$3\r\nkü\r\n", "*3\r\n$3\r\nSET\r\n$3\r\nkü\r\n$4\r\na\r\nb\r\n"
    assert run_virtual(redis((get, "$4\r\na\r\nb\r\n")).get("kü", timeout=1)) == Value("a\r\nb")
    assert run_virtual(redis((get, "$0\r\n\r\n")).get("kü", timeout=1)) == Value("")
    tricky = "x\r\n-ERR no\r\n$-1\r\n+OK"
    assert run_virtual(redis((get, f"${len(tricky)}\r\n{tricky}\r\n")).get("kü", timeout=1)) == Value(tricky)
    assert run_virtual(redis((get, "$-1\r\n")).get("kü", timeout=1)) == Value(None)
    assert run_virtual(redis((put, "+OK\r\n")).put("kü", "a\r\nb", timeout=1)) is None
    with pytest.raises(NodeRefused, match="refused"):
        run_virtual(
            redis((put, "-READONLY You can't write against a read only replica.\r\n")).put("kü", "a\r\nb", timeout=1)
        )
    with pytest.raises(NodeAnswerInvalid):
        run_virtual(redis((put, "HTTP/1.1 400 Bad Request\r\n")).put("kü", "a\r\nb", timeout=1))


def test_an_ethereum_node_is_a_chain_that_takes_transactions() -> None:
    node = recorded.RpcNode(URL, recorded.ETHEREUM)
    ethereum = client(shipped("ethereum"), node)

    async def go() -> None:
        assert await ethereum.height(timeout=1) == 436
        assert await ethereum.block(20, timeout=1) == Block(20, recorded.GENESIS, "0x56e81f17")
        assert node.requests[-1].json["params"] == ["0x14", False]
        assert await ethereum.peer_count(timeout=1) == 2
        assert await ethereum.peers(timeout=1) == ("aa", "bb")
        assert await ethereum.submit(b"\x02\xf8", timeout=1) == "0xabc1"
        assert node.requests[-1].json["params"] == ["0x02f8"]
        assert await ethereum.included("0xabc1", timeout=1) is None
        said = await ethereum.identify(timeout=1)
        assert (said.network.id, said.network.genesis, said.network.api) == ("31337", recorded.GENESIS, "anvil/v1.7.1")

    run_virtual(go())


def test_metrics_are_the_whole_text_and_a_refusal_is_no_metrics() -> None:
    kind = toy("metrics: {get: /metrics}\n")
    text = "# TYPE up gauge\nup 1\n"
    assert run_virtual(client(kind, answer("/metrics", text=text)).metrics(timeout=1)) == text
    with pytest.raises(NodeRefused):
        run_virtual(client(kind, answer("/metrics", text="off", status=404)).metrics(timeout=1))


def test_a_node_is_not_a_peer_of_its_own() -> None:
    """Software whose nodes gossip lists all members, itself as well."""
    kind = toy("peer_id: {get: /p, find: me}\npeers: {get: /p, find: all}\n")
    node = answer("/p", json={"me": "b", "all": ["a", "b", "c"]})
    assert run_virtual(client(kind, node).peers(timeout=1)) == ("a", "c")


def test_a_method_that_a_node_lacks_is_refused_and_an_optional_fact_stays_unsaid() -> None:
    few = {
        name: value for name, value in recorded.ETHEREUM.items() if name not in ("admin_peers", "web3_clientVersion")
    }
    ethereum = client(shipped("ethereum"), recorded.RpcNode(URL, few))
    with pytest.raises(NodeRefused, match=r"admin_peers of .* was refused: Method not found"):
        run_virtual(ethereum.peers(timeout=1))
    assert run_virtual(ethereum.identify(timeout=1)).network.api is None
    del few["eth_chainId"]
    with pytest.raises(NodeRefused, match="eth_chainId"):
        run_virtual(client(shipped("ethereum"), recorded.RpcNode(URL, few)).identify(timeout=1))


def test_a_syncing_ethereum_node_is_not_ready() -> None:
    syncing = {**recorded.ETHEREUM, "eth_syncing": {"currentBlock": "0x1", "highestBlock": "0x9"}}
    probe = run_virtual(client(shipped("ethereum"), recorded.RpcNode(URL, syncing)).probe(timeout=1))
    assert (probe.ready, probe.rung) == (False, Rung.API_ANSWERS)
    assert "'@ == `false`' gives false" in probe.detail


def test_a_beacon_node_tells_identity_head_and_finality() -> None:
    beacon = client(shipped("ethereum-beacon"), recorded.answering(URL, recorded.BEACON))

    async def go() -> None:
        said = await beacon.identify(timeout=1)
        assert (said.peer_id, said.height) == ("16Uiu2HAm8KC", 1234)
        facts = said.network
        assert (facts.id, facts.genesis, facts.protocol) == ("1", recorded.ROOT, "0x05000000")
        assert await beacon.digest(timeout=1) == {"finalized": "0xf1na1"}
        assert await beacon.peers(timeout=1) == ("16Uiu2HAm1",)
        assert (await beacon.probe(timeout=1)).rung is Rung.HEIGHT

    run_virtual(go())


SHAPES = [recorded.LOGOS_STATE_AND_PHASE, recorded.LOGOS_MODE, recorded.LOGOS_FLAT]


def logos(info: Any, **more: Any) -> Any:
    answers = {**recorded.LOGOS, "/cryptarchia/info": info, **more}
    return client(shipped("logos"), recorded.answering(URL, answers))


@pytest.mark.parametrize("info", SHAPES, ids=["state-and-phase", "mode", "flat"])
def test_each_shape_that_logos_has_had_is_read_alike(info: Any) -> None:
    async def go() -> None:
        node = logos(info)
        probe = await node.probe(timeout=1)
        assert (probe.ready, probe.rung) == (True, Rung.HEIGHT), probe.detail
        said = await node.identify(timeout=1)
        assert (said.peer_id, said.height, said.network.genesis) == ("12D3KooWJN", 5333, "1790758800000")
        assert (said.network.id, said.network.api) == ("0.3.0", "0.3.0")
        assert await node.digest(timeout=1) == {"irreversible": "ac13"}
        assert await node.peer_count(timeout=1) == 8

    run_virtual(go())


@pytest.mark.parametrize("info", SHAPES, ids=["state-and-phase", "mode", "flat"])
def test_a_logos_node_that_bootstraps_is_not_ready(info: dict[str, Any]) -> None:
    text = str(info).replace("Online", "Bootstrapping")
    probe = run_virtual(logos(eval(text)).probe(timeout=1))
    assert (probe.ready, probe.rung) == (False, Rung.PEERS)


def test_a_logos_node_of_today_lists_its_peers_and_one_of_old_only_counts_them() -> None:
    today = {"peer_id": "12D3", "connected_peers": ["b", "a"]}
    node = logos(recorded.LOGOS_FLAT, **{"/network/info": today})
    assert run_virtual(node.peers(timeout=1)) == ("a", "b")
    assert run_virtual(node.peer_count(timeout=1)) == 2
    with pytest.raises(NodeAnswerInvalid, match="gives nothing as peers"):
        run_virtual(logos(recorded.LOGOS_FLAT).peers(timeout=1))


def test_a_logos_transaction_is_handed_in_as_json() -> None:
    transport = FakeTransport().reply("POST", f"{URL}/mempool/add/tx", text="")
    tx = b'{"ops": [], "ops_proofs": []}'
    assert run_virtual(client(shipped("logos"), transport).submit(tx, timeout=1)) == f"0x{tx.hex()}"
    assert transport.requests[0].json == {"ops": [], "ops_proofs": []}
    with pytest.raises(NodeAnswerInvalid, match="cannot be asked"):
        run_virtual(client(shipped("logos"), transport).submit(b"\xff", timeout=1))


# ── beside a node ────────────────────────────────────────────────────────────────────────────────────────────────────

BESIDE = """\
ready:
  - {log: 'listening on \\d+'}
  - {command: [toyctl, "--at={{ endpoint.api.host }}:{{ endpoint.api.port }}", ping], match: PONG}
peer_id: {log: 'I am (\\w+)'}
version: {command: [toyctl, version]}
"""


def test_the_log_and_commands_are_asked_beside_the_node() -> None:
    commands = Commands("PONG 1.2\n")
    toyd = client(toy(BESIDE), FakeTransport(), Beside(commands, Log("I am a", "listening on 80", "I am b", "bye")))
    probe = run_virtual(toyd.probe(timeout=1))
    assert (probe.ready, probe.rung) == (True, Rung.API_ANSWERS)
    assert commands.asked == [["toyctl", "--at=toy:8080", "ping"]]
    said = run_virtual(toyd.identify(timeout=1))
    assert (said.peer_id, said.network.api) == ("b", "PONG 1.2")


def test_a_command_that_fails_is_told_with_what_it_said() -> None:
    toyd = client(
        toy(BESIDE), FakeTransport(), Beside(Commands(status=3, err="no such host\n"), Log("listening on 80"))
    )
    probe = run_virtual(toyd.probe(timeout=1))
    assert (probe.ready, probe.detail) == (False, "'toyctl' beside it ended with status 3")
    with pytest.raises(NodeRefused) as caught:
        run_virtual(toyd.identify(timeout=1))
    assert "it said: no such host" in str(caught.value) or "its log" in str(caught.value)


def test_what_is_not_granted_ends_the_wait_at_once() -> None:
    for beside in (Beside(), Beside(log=Log("listening on 80"))):
        probe = run_virtual(client(toy(BESIDE), FakeTransport(), beside).probe(timeout=1))
        assert not probe.ready
        assert probe.fatal is not None
        assert "does not grant" in probe.fatal
    with pytest.raises(NotPermitted):
        run_virtual(client(toy(BESIDE), FakeTransport()).identify(timeout=1))


# ── answers that nobody expects ──────────────────────────────────────────────────────────────────────────────────────

ODD = "height: {get: /h, find: a.height}\npeers: {get: /h, find: a.peers}\nversion: {get: /h, find: a.version}\n"


@pytest.mark.parametrize(
    ("method", "answered", "said"),
    [
        ("height", '{"a": {"height": "many"}}', "gives 'many' as height, where a whole number is wanted"),
        ("height", '{"a": {"height": [1]}}', "gives a list as height, where a whole number is wanted"),
        ("height", '{"a": {"height": 1.5}}', "where a whole number is wanted"),
        ("height", '{"a": {"height": true}}', "gives true or false as height"),
        ("height", '{"a": {}}', "gives nothing as height, where a whole number is wanted"),
        ("height", "[]", "gives nothing as height"),
        ("height", "5", "gives nothing as height"),
        ("height", "NaN", "gives nothing as height"),
        ("height", "", "answered something that is not JSON"),
        ("height", "<html>", "answered something that is not JSON"),
        ("height", "[" * 100000, "answered something that is not JSON"),
        ("peers", '{"a": {"peers": "b"}}', "gives a text as peers, where a list of texts is wanted"),
        ("peers", '{"a": {"peers": [{"id": "b"}]}}', "gives a list of other things as peers"),
        ("identify", '{"a": {"height": 1, "version": {"major": 1}}}', "gives a mapping as version, where a text"),
        ("identify", '{"a": {"height": 1}}', "tells no version"),
    ],
)
def test_a_wrong_answer_is_told_with_what_was_wanted(method: str, answered: str, said: str) -> None:
    node = client(toy(ODD), answer("/h", text=answered))
    with pytest.raises(NodeAnswerInvalid) as caught:
        run_virtual(getattr(node, method)(timeout=1))
    assert said in caught.value.message
    assert all(len(line) < 200 for line in caught.value.evidence)


def test_infinite_numbers_are_no_height() -> None:
    for number in ("Infinity", "1e400", f'"{"9" * 5000}"'):
        node = client(toy("height: {get: /h, find: '@'}\n"), answer("/h", text=number))
        with pytest.raises(NodeAnswerInvalid, match="whole number"):
            run_virtual(node.height(timeout=1))


def test_an_expression_that_an_answer_does_not_fit_is_the_answers_fault() -> None:
    node = client(toy("height: {get: /h, find: 'length(a)'}\n"), answer("/h", json={"a": 5}))
    with pytest.raises(NodeAnswerInvalid, match=r"'length\(a\)' does not fit"):
        run_virtual(node.height(timeout=1))


@pytest.mark.parametrize("text", ["", '{"result": ', "[]", "5", '{"id": 1}', "<html>"])
def test_what_is_no_json_rpc_is_not_taken_for_a_result(text: str) -> None:
    node = client(toy("height: {rpc: h}\n"), answer("/", text=text, method="POST"))
    with pytest.raises(NodeAnswerInvalid):
        run_virtual(node.height(timeout=1))


def test_a_look_asks_equal_questions_once_and_keeps_its_time() -> None:
    transport = answer("/h", json={"a": {"height": 1, "version": "1"}})
    run_virtual(client(toy(ODD), transport).identify(timeout=1))
    assert len(transport.requests) == 1
    slow = FakeTransport()
    for path in ("/a", "/b", "/c"):
        slow.reply("GET", URL + path, json=True, delay=0.4)

    async def go() -> float:
        clock = asyncio.get_running_loop().time
        begun = clock()
        checks = "ready: [{get: /a}, {get: /b}, {get: /c}]\n"
        probe = await client(toy(checks), slow).probe(timeout=1)
        assert not probe.ready
        return clock() - begun

    assert run_virtual(go()) == pytest.approx(1.0, abs=0.01)


def test_every_error_of_a_client_is_one_that_callers_know() -> None:
    """Whatever a node says, a client raises provider errors and nothing else."""
    odd = [None, True, 0, -1, "", "x", [], [None], {}, {"a": None}, {"a": {"b": [1, "2", None]}}, {"data": []}]
    kinds = [shipped("ethereum-beacon"), shipped("logos"), example("nats"), example("notes"), shipped("ethereum")]

    async def go() -> None:
        for kind in kinds:
            for value in odd:
                made = client(kind, recorded.Everything(value))
                for name in ("probe", "identify", "height", "peers", "peer_count", "digest", "role"):
                    if hasattr(made, name):
                        try:
                            await getattr(made, name)(timeout=1)
                        except (NodeAnswerInvalid, NodeRefused, NodeUnreachable):
                            continue
                        except NodeyardError as error:
                            raise AssertionError(f"{kind.name}.{name} of {value!r}") from error

    run_virtual(go())


def test_secrets_of_the_environment_cannot_be_reached_by_a_template(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret stands in a launch as its reference; only the deployer puts the value in, when the process starts."""
    monkeypatch.setenv("TOY_SECRET", "hunter2")
    kind = kind_of(
        "nodeyard-kind: 1\nname: toy\nsummary: a toy\nports: {api: 80}\n"
        "launch:\n  program: toyd\n  args: ['{{ listen.api }}']\n  env: {TOY_PASSWORD: 'env:TOY_SECRET'}\n"
    )
    from nodeyard.testing.conformance_kind import KindConformance

    suite = type("Suite", (KindConformance,), {"kind": kind})()
    launch = suite._launches()[0]
    assert launch.env == {"TOY_PASSWORD": "env:TOY_SECRET"}
    assert "hunter2" not in repr(launch)


def test_the_protocols_are_those_of_the_domain() -> None:
    assert {"KeyValue", "ChainReader", "TxSubmit", "PeerView"} <= set(CLIENT_PROTOCOLS)
    assert all(getattr(node_client, name) is protocol for name, protocol in CLIENT_PROTOCOLS.items())
