"""Rules as text, what takes them away again, and what belongs to others: pure, and in namespaces of the test's own."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeyard._aio.clock import SystemClock
from nodeyard.domain.network_rules import Effect, NetworkRule, Way
from nodeyard.errors.provider import OperationFailed
from nodeyard.ports.ledger import Removed
from nodeyard.providers._clients.netns import firewall, queueing, wiring
from nodeyard.providers._clients.netns.firewall import Chains
from nodeyard.providers._clients.netns.means import Means
from nodeyard.providers._clients.netns.namespace import Commands, Namespace, environment_of
from nodeyard.providers._clients.netns.shaper import Shaper, undo
from nodeyard.testing import MemoryLedger

from .support import needs_root, sh

OURS = Chains.of("run@host@boot", "partition-1")
CUT = NetworkRule(Effect.CUT, ("198.18.0.11", "198.18.0.12"))


def listing(chains: Chains, *more: str) -> str:
    """What ``iptables -S`` shows after the rules were added."""
    lines = ["-P INPUT ACCEPT", "-P OUTPUT ACCEPT"]
    lines += [f"-N {chains.chain(way)}" for way in Way]
    lines += [
        f'-A {firewall.BUILT_IN[way]} -m comment --comment "{chains.comment}" -j {chains.chain(way)}' for way in Way
    ]
    lines += [f"-A {chains.chain(Way.IN)} -s 198.18.0.11/32 -j DROP"]
    return "\n".join((*lines, *more))


def test_rules_are_put_in_force_at_once() -> None:
    text = firewall.added(OURS, [CUT, NetworkRule(Effect.LOSS, ("198.18.0.13",), 0.25)], queued=False)
    assert text.startswith("*filter\n")
    assert text.endswith("COMMIT\n")
    assert f"-A {OURS.chain(Way.OUT)} -d 198.18.0.12 -j DROP" in text
    assert f"-A {OURS.chain(Way.IN)} -s 198.18.0.13 -m statistic --mode random --probability 0.250000 -j DROP" in text
    assert text.index("-I INPUT") > text.index("DROP"), "packets are sent to the chain once it is complete"


def test_only_our_chains_are_taken_away() -> None:
    text = firewall.removed(OURS, listing(OURS, "-N THEIRS", "-A INPUT -j THEIRS", "-A THEIRS -s 1.2.3.4/32 -j DROP"))
    assert "THEIRS" not in text
    assert text.splitlines()[1].startswith("-D INPUT -m comment --comment ")
    assert text.count("-X ") == 2


@pytest.mark.parametrize(
    "shown",
    [
        "-P INPUT ACCEPT",
        listing(OURS).replace("run@host@boot", "another@host@boot"),
        listing(Chains.of("another@host@boot", "partition-1")),
    ],
    ids=["nothing", "another comment", "another chain"],
)
def test_a_look_alike_is_left_alone(shown: str) -> None:
    assert firewall.removed(OURS, shown) == ""


@given(mark=st.text(min_size=1, max_size=300), name=st.text(max_size=50))
def test_names_of_chains_fit_and_differ(mark: str, name: str) -> None:
    chains = Chains.of(mark, name)
    assert all(len(chains.chain(way)) <= 28 for way in Way)
    assert len(chains.comment) <= 255
    assert chains.key != Chains.of(mark + "x", name).key
    assert 0 < chains.queue < 65536


def test_rules_count_as_in_force_only_while_packets_are_sent_to_them() -> None:
    assert firewall.in_force(OURS, listing(OURS)) == ("-s 198.18.0.11/32 -j DROP",)
    loose = "\n".join(line for line in listing(OURS).splitlines() if not line.startswith("-A INPUT"))
    assert firewall.in_force(OURS, loose) == ()


def test_a_delay_is_made_by_netem_where_there_is_one() -> None:
    rule = NetworkRule(Effect.DELAY, ("198.18.0.11",), 0.05)
    assert "netem delay 50ms" in queueing.added("eth0", rule)
    assert "match ip dst 198.18.0.11/32" in queueing.added("eth0", rule)
    assert firewall.added(OURS, [rule], queued=False).count("-A ") == 0
    assert "NFQUEUE" in firewall.added(OURS, [rule], queued=True)
    everything = frozenset({"drop", "comment", "statistic", "nfqueue", "netem", "htb"})
    assert Means(everything, {}).way_to(Effect.DELAY) == ("htb", "netem")
    assert Means(everything - {"netem"}, {}).way_to(Effect.DELAY) == ("comment", "nfqueue")


def test_what_is_missing_is_said_with_its_reason() -> None:
    found = Means(frozenset({"drop", "comment"}), {"htb": "no such qdisc", "netem": "unknown", "nfqueue": "no target"})
    assert found.problems([Effect.CUT]) == ()
    (problem,) = found.problems([Effect.BANDWIDTH])
    assert problem == "this machine cannot do 'bandwidth' to a network (htb: no such qdisc)"
    assert "nfqueue: no target" in found.problems([Effect.DELAY])[0]


@pytest.mark.parametrize(
    ("shown", "root"),
    [
        ("qdisc noqueue 0: root refcnt 2", None),
        ("qdisc htb 4e59: root refcnt 2 r2q 10 default 0x1", "ours"),
        ("qdisc tbf 8001: root refcnt 2 rate 1Mbit", "other"),
        ("", None),
    ],
)
def test_somebody_elses_tree_is_told_from_ours(shown: str, root: str | None) -> None:
    assert queueing.root_of(shown) == root


# --- in namespaces ---------------------------------------------------------------------------------------------------


class Pair:
    """Two namespaces and a cable between them, made without Nodeyard."""

    def __init__(self) -> None:
        self.name = f"t{uuid.uuid4().hex[:8]}"
        self.namespace = Namespace(wiring.path_of(f"{self.name}a"))
        self.ledger = MemoryLedger()
        self.commands = Commands(environment_of(os.environ))
        for side, address in (("a", "198.51.100.1"), ("b", "198.51.100.2")):
            sh("ip", "netns", "add", self.name + side)
            if side == "b":
                sh("ip", "link", "add", "eth0", "netns", f"{self.name}a", "type", "veth", "peer", "name", "eth0",
                   "netns", f"{self.name}b")  # fmt: skip
                self._up("a", "198.51.100.1")
                self._up("b", address)

    def _up(self, side: str, address: str) -> None:
        sh("ip", "-n", self.name + side, "addr", "add", f"{address}/24", "dev", "eth0")
        sh("ip", "-n", self.name + side, "link", "set", "eth0", "up")

    def inside(self, *argv: str) -> str:
        return sh("ip", "netns", "exec", f"{self.name}a", *argv)

    def shaper(self) -> Shaper:
        async def here() -> Namespace:
            return self.namespace

        return Shaper("a", "deployer:test", self.ledger, SystemClock(), here, os.environ)

    def close(self) -> None:
        for side in "ab":
            sh("ip", "netns", "del", self.name + side, check=False)


@pytest.fixture
def pair() -> Iterator[Pair]:
    needs_root()
    made = Pair()
    yield made
    made.close()


RULES = {
    "cut": NetworkRule(Effect.CUT, ("198.51.100.2",)),
    "loss": NetworkRule(Effect.LOSS, ("198.51.100.2",), 0.3),
    "delay": NetworkRule(Effect.DELAY, ("198.51.100.2",), 0.04),
    "bandwidth": NetworkRule(Effect.BANDWIDTH, ("198.51.100.2",), 1e6),
}
FOREIGN = ("iptables", "-A", "INPUT", "-s", "203.0.113.9", "-m", "comment", "--comment", "nodeyard", "-j", "DROP")


@pytest.mark.real
@pytest.mark.parametrize("word", sorted(RULES))
def test_an_entry_alone_undoes_each_effect_and_nothing_else(word: str, pair: Pair) -> None:
    """As the reaper does it: from the ledger's data, by another process than the one that made the rules."""
    pair.inside(*FOREIGN)

    def state() -> tuple[str, str]:
        return pair.inside("iptables", "-S"), pair.inside("tc", "qdisc", "show", "dev", "eth0")

    before = state()

    async def story() -> None:
        shaper = pair.shaper()
        await shaper.shape("x", [RULES[word]])
        await shaper.shape("x", [RULES[word]])
        assert await shaper.shaped("x")
        assert state() != before
        (entry,) = pair.ledger.open_entries()
        assert entry.inverse
        first, second = await undo(entry, pair.commands), await undo(entry, pair.commands)
        assert isinstance(first, Removed)
        assert not first.absent
        assert isinstance(second, Removed)
        assert second.absent
        assert state() == before
        assert not await shaper.shaped("x")
        await shaper.unshape("x")
        assert not pair.ledger.open_entries()

    asyncio.run(story())


@pytest.mark.real
def test_rules_of_two_faults_come_and_go_apart(pair: Pair) -> None:
    async def story() -> None:
        shaper = pair.shaper()
        await shaper.shape("one", [RULES["loss"]])
        await shaper.shape("two", [RULES["cut"]])
        await shaper.unshape("one")
        assert (await shaper.echo("198.51.100.2", count=3, size=56, within=0.3)).times == ()
        await shaper.unshape("two")
        assert len((await shaper.echo("198.51.100.2", count=3, size=56, within=0.3)).times) == 3

    asyncio.run(story())


@pytest.mark.real
def test_traffic_that_somebody_else_limits_is_left_alone(pair: Pair) -> None:
    pair.inside("tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", "5mbit", "burst", "32k", "latency", "50ms")

    async def story() -> None:
        shaper = pair.shaper()
        with pytest.raises(OperationFailed, match="shaped already"):
            await shaper.shape("x", [RULES["bandwidth"]])
        await shaper.unshape("x")

    before = pair.inside("tc", "qdisc", "show", "dev", "eth0")
    asyncio.run(story())
    assert pair.inside("tc", "qdisc", "show", "dev", "eth0") == before
    assert not pair.ledger.open_entries()


@pytest.mark.real
def test_a_namespace_that_is_gone_took_its_rules_along(pair: Pair) -> None:
    async def story() -> None:
        shaper = pair.shaper()
        await shaper.shape("x", [RULES["cut"]])
        (entry,) = pair.ledger.open_entries()
        gone = replace(entry, data={**entry.data, "namespace": "/run/netns/nobody"})
        assert await undo(gone, pair.commands) == Removed(absent=True)
        await shaper.unshape("x")

    asyncio.run(story())


@pytest.mark.real
@pytest.mark.parametrize("after", [0.0, 0.01, 0.03, 0.06, 0.1, 0.2])
def test_a_fault_that_is_cancelled_while_it_is_made_can_be_healed(after: float, pair: Pair) -> None:
    before = pair.inside("iptables", "-S")

    async def story() -> None:
        shaper = pair.shaper()
        making = asyncio.ensure_future(shaper.shape("x", [RULES["delay"]]))
        await asyncio.sleep(after)
        making.cancel()
        await asyncio.gather(making, return_exceptions=True)
        await shaper.unshape("x")
        assert len((await shaper.echo("198.51.100.2", count=3, size=56, within=0.5)).times) == 3

    asyncio.run(story())
    assert pair.inside("iptables", "-S") == before
    assert not pair.ledger.open_entries()
