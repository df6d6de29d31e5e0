"""Which nodes a managed node is told of at its start. Pure and seeded, so that ``plan`` can show the choice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from random import Random

from nodeyard.domain.node_handle import CLASS_ORDER, NodeHandle, OriginClass


@dataclass(frozen=True)
class SeedCandidate:
    """A node that may serve as a seed: running before, or started together with, the node that asks."""

    node: str
    kind: str
    origin: OriginClass
    source: str


def candidates_of(node: NodeHandle) -> tuple[SeedCandidate, ...]:
    """A node as a candidate, by the origin that precedes; a merged node is one candidate."""
    first = node.origins[0]
    return (SeedCandidate(node.id, node.kind, first.origin, first.source),)


def choose_seeds(
    node: str, kind: str, candidates: Sequence[SeedCandidate], *, count: int, seed: int
) -> tuple[SeedCandidate, ...]:
    """At least ``count`` seeds for ``node`` where there are that many, from distinct origins first.

    Classes are exhausted before sources, sources before nodes: the first seeds come from different origin classes,
    the next from different sources, and only then does an origin give a second one. The borrowed side comes first,
    because it is what a managed node has to find. The order inside an origin depends on ``seed`` and ``node`` alone.
    """
    random = Random(f"{seed}/{node}")
    by_class: defaultdict[OriginClass, defaultdict[str, list[SeedCandidate]]] = defaultdict(lambda: defaultdict(list))
    for candidate in sorted(candidates, key=lambda c: (c.source, c.node)):
        if candidate.kind == kind and candidate.node != node:
            by_class[candidate.origin][candidate.source].append(candidate)
    per_class = []
    for origin in sorted(by_class, key=lambda o: -CLASS_ORDER[o]):
        shuffled = [random.sample(nodes, len(nodes)) for _, nodes in sorted(by_class[origin].items())]
        per_class.append(_in_turn(shuffled))
    return tuple(_in_turn(per_class)[:count])


def _in_turn(lists: Sequence[Sequence[SeedCandidate]]) -> list[SeedCandidate]:
    rounds = zip_longest(*lists)
    return [candidate for each in rounds for candidate in each if candidate is not None]


def seeds_of_all(
    nodes: Mapping[str, str], candidates: Sequence[SeedCandidate], *, count: int, seed: int
) -> Mapping[str, tuple[SeedCandidate, ...]]:
    """The seeds of every managed node; ``nodes`` maps names to kinds."""
    return {name: choose_seeds(name, kind, candidates, count=count, seed=seed) for name, kind in nodes.items()}
