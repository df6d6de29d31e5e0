"""Rules of iptables as text, in chains of our own. Pure.

Each shape has two chains, for packets that come in and that go out, and one jump to each from the built-in chain. Chain
names follow from the run and the shape, and jumps carry the run's mark as a comment: both must fit before anything is
taken away.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from nodeyard.domain.network_rules import Effect, NetworkRule, Way

BUILT_IN = {Way.IN: "INPUT", Way.OUT: "OUTPUT"}
ADDRESS = {Way.IN: "-s", Way.OUT: "-d"}


@dataclass(frozen=True)
class Chains:
    """The chains of one shape of one run."""

    key: str
    comment: str

    @staticmethod
    def of(mark: str, name: str) -> Chains:
        """``mark`` is the run's mark, ``name`` that of the shape."""
        digest = hashlib.sha256(f"{mark}/{name}".encode()).hexdigest()[:12]
        return Chains(f"NODEYARD-{digest}", f"nodeyard {mark}"[:255])

    def chain(self, way: Way) -> str:
        return f"{self.key}-{way.value}"

    @property
    def queue(self) -> int:
        """The number of a queue of our own; the same in every namespace, because each has queues of its own."""
        return 20000 + int(self.key[-4:], 16) % 40000


def added(chains: Chains, rules: Sequence[NetworkRule], *, queued: bool) -> str:
    """The text for ``iptables-restore --noflush`` that puts these rules in force at once."""
    lines = ["*filter"]
    lines += [f":{chains.chain(way)} - [0:0]" for way in Way]
    for rule in rules:
        lines += _lines(chains, rule, queued=queued)
    lines += [f'-I {BUILT_IN[way]} 1 -m comment --comment "{chains.comment}" -j {chains.chain(way)}' for way in Way]
    return "\n".join((*lines, "COMMIT", ""))


def _lines(chains: Chains, rule: NetworkRule, *, queued: bool) -> list[str]:
    if rule.effect is Effect.CUT:
        return [f"-A {chains.chain(way)} {ADDRESS[way]} {peer} -j DROP" for way in rule.ways for peer in rule.peers]
    into = chains.chain(Way.IN)
    if rule.effect is Effect.LOSS:
        share = f"-m statistic --mode random --probability {rule.amount:.6f}"
        return [f"-A {into} -s {peer} {share} -j DROP" for peer in rule.peers]
    if rule.effect is Effect.DELAY and queued:
        target = f"-j NFQUEUE --queue-num {chains.queue} --queue-bypass"
        return [f"-A {into} -s {peer} {target}" for peer in rule.peers]
    return []


def removed(chains: Chains, listing: str) -> str:
    """The text that takes away what a listing (``iptables -S``) shows of these chains; empty where it shows nothing.

    A jump without our comment is somebody else's, and its chain is left.
    """
    lines = listing.splitlines()
    text: list[str] = []
    for way in Way:
        chain = chains.chain(way)
        jumps = [line for line in lines if line.startswith("-A ") and line.endswith(f"-j {chain}")]
        ours = [line for line in jumps if f'"{chains.comment}"' in line]
        if f"-N {chain}" not in lines or len(ours) != len(jumps):
            continue
        text += [f"-D {line.removeprefix('-A ')}" for line in ours]
        text += [f"-F {chain}", f"-X {chain}"]
    return "\n".join(("*filter", *text, "COMMIT", "")) if text else ""


def in_force(chains: Chains, listing: str) -> tuple[str, ...]:
    """The rules of these chains that a listing shows, if packets are sent to them."""
    lines = listing.splitlines()
    found: list[str] = []
    for way in Way:
        chain = chains.chain(way)
        if any(line.startswith(f"-A {BUILT_IN[way]} ") and line.endswith(f"-j {chain}") for line in lines):
            found += [line.removeprefix(f"-A {chain} ") for line in lines if line.startswith(f"-A {chain} ")]
    return tuple(found)
