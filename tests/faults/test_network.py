"""Network faults on fake nodes: who is cut off from whom, what counts as proof, and rules of the options."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from nodeyard.domain.capability import Capability
from nodeyard.domain.network_rules import Effect, Way
from nodeyard.faults.impairing import Losing, LossOptions, parse_rate
from nodeyard.faults.partitioning import PartitionOptions
from nodeyard.ports.node_control import Echo
from nodeyard.testing import run_virtual
from nodeyard.testing.fake_links import FakeLinks

from .world import PASS, UNKNOWN, VACUOUS, Network, network


def played(tmp_path: Path, body: Callable[[Network], Awaitable[None]], count: int = 5, **more: Any) -> None:
    async def whole() -> None:
        await body(await network(tmp_path, count, **more))

    run_virtual(whole())


def watched(monkeypatch: pytest.MonkeyPatch, net: Network) -> dict[str, tuple[frozenset[str], tuple[Way, ...]]]:
    """Who was cut off from whom, by node."""
    found: dict[str, tuple[frozenset[str], tuple[Way, ...]]] = {}
    shape = FakeLinks.shape

    async def noted(self: FakeLinks, name: str, rules: Any) -> None:
        await shape(self, name, rules)
        (rule,) = rules
        peers = frozenset(node.name for a in rule.peers if (node := net.world.by_address(a)) is not None)
        found[self._node.name] = (peers, rule.ways)

    monkeypatch.setattr(FakeLinks, "shape", noted)
    return found


def test_one_node_is_cut_off_from_all_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(net: Network) -> None:
        cut = watched(monkeypatch, net)
        (check,) = await net.phase(10, {"word": "partition", "target": "leader", "for": "2s"})
        assert check.verdict is PASS, check
        assert cut == {"n0": (frozenset({"n1", "n2", "n3", "n4"}), (Way.IN, Way.OUT))}

    played(tmp_path, body)


@pytest.mark.parametrize(("side", "size"), [("minority", 2), ("majority", 3)])
def test_a_side_is_filled_up(side: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(net: Network) -> None:
        cut = watched(monkeypatch, net)
        (check,) = await net.phase(10, {"word": "partition", "target": "leader", "side": side, "for": "2s"})
        assert check.verdict is PASS, check
        assert len(cut) == size
        assert "n0" in cut
        assert {peers for peers, _ in cut.values()} == {frozenset(f"n{i}" for i in range(5)) - set(cut)}

    played(tmp_path, body)


def test_groups_hear_only_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(net: Network) -> None:
        cut = watched(monkeypatch, net)
        groups = [["n0"], ["n1", "n2", "n3"], ["n4"]]
        (check,) = await net.phase(10, {"word": "partition", "groups": groups, "for": "2s"})
        assert check.verdict is PASS, check
        assert {node: peers for node, (peers, _) in cut.items()} == {
            "n0": {"n1", "n2", "n3", "n4"},
            "n4": {"n0", "n1", "n2", "n3"},
        }

    played(tmp_path, body)


@pytest.mark.parametrize(("direction", "ways"), [("in", (Way.IN,)), ("out", (Way.OUT,))])
def test_a_partition_may_go_one_way(
    direction: str, ways: tuple[Way, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(net: Network) -> None:
        cut = watched(monkeypatch, net)
        await net.phase(10, {"word": "partition", "target": "n1", "direction": direction, "for": "2s"})
        assert cut["n1"][1] == ways

    played(tmp_path, body)


def test_only_one_side_needs_the_permission(tmp_path: Path) -> None:
    """Rules stand at the side that is cut off; the others may be anybody's."""

    async def body(net: Network) -> None:
        (check,) = await net.phase(10, {"word": "partition", "target": "n0", "for": "2s"})
        assert check.verdict is PASS, check
        net.checks.clear()
        (check,) = await net.phase(10, {"word": "partition", "target": "n1", "for": "2s"})
        assert check.verdict is VACUOUS
        assert "'network' is not granted" in check.reason

    played(tmp_path, body, granted={"n1": [Capability.QUERY]})


def test_a_link_that_carried_nothing_before_proves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(self: FakeLinks, address: str, *, count: int, size: int, within: float) -> Echo:
        return Echo(count, (), 0.0, size)

    monkeypatch.setattr(FakeLinks, "echo", silent)

    async def body(net: Network) -> None:
        (check,) = await net.phase(10, {"word": "partition", "target": "n0", "for": "2s"})
        assert check.verdict is not PASS
        assert "before" in " ".join(check.evidence)

    played(tmp_path, body)


def test_rules_that_do_nothing_are_not_proven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In force by the kernel's word, and packets come through all the same."""

    async def through(self: FakeLinks, address: str, *, count: int, size: int, within: float) -> Echo:
        return Echo(count, (0.001,) * count, 0.001, size)

    monkeypatch.setattr(FakeLinks, "echo", through)

    async def body(net: Network) -> None:
        for more in ({"word": "partition"}, {"word": "delay"}, {"word": "loss"}, {"word": "bandwidth"}):
            await net.phase(5, {**more, "target": "n0", "for": "2s"})
        assert not any(check.verdict is PASS for check in net.checks), net.checks
        assert all("not seen to take effect" in " ".join((c.reason, *c.evidence)) for c in net.checks[:3])

    played(tmp_path, body)


def test_rules_that_cannot_be_taken_away_leave_it_undecided(tmp_path: Path) -> None:
    async def body(net: Network) -> None:
        net.world.node("n0").fails_at("unshape", "the kernel said no")
        (check,) = await net.phase(10, {"word": "delay", "target": "n0", "for": "2s"})
        assert check.verdict is UNKNOWN
        assert "the kernel said no" in check.reason
        assert [entry.type for entry in net.ledger.open_entries() if entry.inverse] == ["shape"]

    played(tmp_path, body)


def test_loss_is_told_from_chance() -> None:
    guard = Losing(LossOptions.model_validate({"use": "loss", "target": "n0", "loss": 0.05}), [], _Nothing())
    whole = Echo(1200, (0.001,) * 1200, 0.1, 84)
    few, many = Echo(1200, (0.001,) * 1190, 0.1, 84), Echo(1200, (0.001,) * 1140, 0.1, 84)
    assert not guard.worked(whole, few).proven
    assert guard.worked(whole, many).proven
    assert guard.passed(whole, few).proven
    assert not guard.passed(whole, many).proven


class _Nothing:
    class random:  # noqa: N801
        @staticmethod
        def getrandbits(bits: int) -> int:
            return 7


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({}, "either a 'target' or 'groups'"),
        ({"target": "n0", "groups": [["n0"], ["n1"]]}, "either a 'target' or 'groups'"),
        ({"groups": [["n0"]]}, "at least two lists"),
        ({"groups": [["n0"], ["n0", "n1"]]}, "no node is in two"),
        ({"groups": [["n0"], ["n1"]], "direction": "in"}, "go with 'target'"),
    ],
)
def test_a_partition_says_who_in_one_way(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        PartitionOptions.model_validate({"use": "partition", **wrong})


def test_rates_are_texts_with_a_unit() -> None:
    assert [parse_rate(text) for text in ("500kbit", "10mbit", "1 Gbit/s", "1.5mbit", 7)] == [5e5, 1e7, 1e9, 1.5e6, 7]
    for wrong in ("fast", "10mb", "0mbit", -1, True, None):
        with pytest.raises(ValueError, match="a rate is"):
            parse_rate(wrong)


def test_each_fault_says_what_it_does_to_networks() -> None:
    from .world import FAULTS, use

    effects = {
        word: {e for need in FAULTS[word].requires(use(word, target="n0").options) for e in need.effects}
        for word in ("partition", "delay", "loss", "bandwidth", "kill")
    }
    assert effects == {
        "partition": {Effect.CUT},
        "delay": {Effect.DELAY},
        "loss": {Effect.LOSS},
        "bandwidth": {Effect.BANDWIDTH},
        "kill": set(),
    }
