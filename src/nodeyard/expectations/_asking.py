"""Asking several nodes the same thing, and combining what they said. Shared by the expectations; decides nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from nodeyard._aio.tasks import side_by_side
from nodeyard.domain.verdict import Check, Verdict
from nodeyard.errors.base import NodeyardError
from nodeyard.runtime.node import Node

T = TypeVar("T")

MOST_EVIDENCE = 30
"""Lines of evidence in one check; the reason gives the full count."""


@dataclass(frozen=True)
class Answers(Generic[T]):
    """What each node said, and why the others said nothing; both by node id, in the order of the nodes."""

    said: Mapping[str, T]
    silent: Mapping[str, str]

    @property
    def silence(self) -> tuple[str, ...]:
        return tuple(f"{node}: {why}" for node, why in self.silent.items())


async def ask_all(nodes: Sequence[Node], ask: Callable[[Node], Awaitable[T]]) -> Answers[T]:
    """Ask side by side. A typed error of a node is its silence; any other error is a defect and is raised."""
    outcomes = await side_by_side(ask, nodes)
    said: dict[str, T] = {}
    silent: dict[str, str] = {}
    for node, outcome in zip(nodes, outcomes, strict=True):
        if isinstance(outcome, NodeyardError):
            silent[node.id] = outcome.message
        elif isinstance(outcome, Exception):
            raise outcome
        else:
            said[node.id] = outcome
    return Answers(said, silent)


def request_timeout(within: float) -> float:
    """How long one request may take, so that at least one look at the nodes is finished within the check's time.

    2 s is ample for a node that answers at all; a frozen one never does.
    """
    return min(2.0, within * 0.4)


def nothing_selected(name: str, target: object) -> Check:
    """The verdict on no node at all: nothing was shown."""
    return Check(name, Verdict.VACUOUS, f"'{target}' finds no node")


def cut(lines: Sequence[str]) -> tuple[str, ...]:
    """At most ``MOST_EVIDENCE`` lines, the last of which counts the ones left out."""
    if len(lines) <= MOST_EVIDENCE:
        return tuple(lines)
    return (*lines[: MOST_EVIDENCE - 1], f"... and {len(lines) - MOST_EVIDENCE + 1} more")


def names(nodes: Sequence[str]) -> str:
    """Node ids for a sentence; many are counted."""
    return ", ".join(nodes) if len(nodes) <= 5 else f"{', '.join(nodes[:4])} and {len(nodes) - 4} more"
