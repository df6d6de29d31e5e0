"""Decides a register whose written values are all different, in the time that sorting takes. Pure.

After Gibbons & Korach (1997): with different values it is known which write each read saw. A write with its reads is a
*cluster*, which stands together in every order. A compare-and-set that succeeded follows the cluster of the value that
it saw at once, so clusters that it joins stand together too, as a *block*. A block must be in effect from its first
completion to its last invocation (its forward zone), or, where all of it overlaps, at one moment between the two (a
backward zone). There is an order exactly if no two forward zones overlap and none contains a backward one.

A compare-and-set that was refused demands only that another value is there at some moment. Most are satisfied in every
order; where one is not, the answer is left to the search.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf

from nodeyard.expectations._linearizability.operations import NOTHING, Op, Token


@dataclass(slots=True)
class Cluster:
    """The operations that see or write one value. ``writer`` is ``None`` for the value that was there at first."""

    value: Token
    writer: Op | None
    readers: list[Op] = field(default_factory=list)
    successor: Op | None = None
    first_done: float = inf
    last_begun: float = -inf

    def add(self, op: Op) -> None:
        self.first_done = min(self.first_done, op.completed)
        self.last_begun = max(self.last_begun, op.invoked)


@dataclass(frozen=True, slots=True)
class Zone:
    """When a block must be in effect: forward where ``first_done`` is before ``last_begun``."""

    first_done: float
    last_begun: float
    clusters: tuple[Cluster, ...]

    @property
    def forward(self) -> bool:
        return self.first_done < self.last_begun


@dataclass(frozen=True)
class Decided:
    """``conflict`` are operations that have no order, closed under who wrote what they saw; empty where all have one.

    ``doubtful`` says that an order exists unless a refused compare-and-set forbids it: the search decides.
    """

    conflict: tuple[Op, ...] = ()
    doubtful: bool = False


class _Conflict(Exception):
    def __init__(self, ops: Iterable[Op]) -> None:
        super().__init__()
        self.ops = tuple({id(op): op for op in ops}.values())


def decide(ops: Sequence[Op], initial: Token) -> Decided | None:
    """The answer, or ``None`` where a value was written twice, so that this way of deciding does not apply."""
    writers: dict[Token, Op] = {}
    for op in ops:
        if op.mutates:
            if op.writes in writers or op.writes == initial:
                return None
            writers[op.writes] = op
    try:
        clusters = _clusters(ops, initial, writers)
        blocks = _blocks(clusters, initial)
        for block in blocks:
            _in_order(block)
        _separate([_zone(block) for block in blocks])
    except _Conflict as conflict:
        return Decided(_closed(conflict.ops, ops, writers))
    refused = [op for op in ops if op.misses is not NOTHING]
    return Decided(doubtful=bool(refused) and not all(_satisfied(refused, clusters)))


def _clusters(ops: Sequence[Op], initial: Token, writers: dict[Token, Op]) -> dict[Token, Cluster]:
    """Clusters by value. What may have happened and has left no trace is taken as not having happened."""
    wanted = [op.sees for op in ops if op.sees is not NOTHING and not op.optional]
    kept = {id(op) for op in ops if not op.optional}
    while wanted:
        writer = writers.get(wanted.pop())
        if writer is not None and id(writer) not in kept:
            kept.add(id(writer))
            if writer.sees is not NOTHING:
                wanted.append(writer.sees)
    clusters = {value: Cluster(value, op) for value, op in writers.items() if id(op) in kept}
    clusters[initial] = Cluster(initial, None, first_done=-inf)
    for cluster in clusters.values():
        if cluster.writer is not None:
            cluster.add(cluster.writer)
    for op in ops:
        if op.sees is not NOTHING and id(op) in kept:
            _attach(op, clusters)
    return clusters


def _closed(conflict: Sequence[Op], ops: Sequence[Op], writers: dict[Token, Op]) -> tuple[Op, ...]:
    """The operations with whoever wrote what they see, and somebody who saw what may not have happened."""
    found = {id(op): op for op in conflict}
    open_ = list(conflict)
    while open_:
        op = open_.pop()
        near = [writers.get(op.sees)]
        if op.optional:
            seers = [other for other in ops if other.sees == op.writes]
            near.append(min(seers, key=lambda other: other.completed, default=None))
        for other in near:
            if other is not None and id(other) not in found:
                found[id(other)] = other
                open_.append(other)
    return tuple(sorted(found.values(), key=lambda op: op.invoked))


def _attach(op: Op, clusters: dict[Token, Cluster]) -> None:
    seen = clusters.get(op.sees)
    if seen is None:
        raise _Conflict([op])
    if not op.mutates:
        seen.readers.append(op)
        seen.add(op)
    elif seen.successor is None:
        seen.successor = op
    else:
        raise _Conflict([*_lineage(seen, clusters), seen.successor, op])


def _lineage(cluster: Cluster, clusters: dict[Token, Cluster]) -> list[Op]:
    """Who wrote a value, who wrote the value that this one saw, and so on."""
    found: list[Op] = []
    here: Cluster | None = cluster
    while here is not None and here.writer is not None and here.writer not in found:
        found.append(here.writer)
        here = clusters.get(here.writer.sees)
    return found


def _blocks(clusters: dict[Token, Cluster], initial: Token) -> list[list[Cluster]]:
    blocks: list[list[Cluster]] = []
    placed = 0
    for cluster in clusters.values():
        if cluster.writer is None or cluster.writer.sees is NOTHING:
            block = [cluster]
            while (successor := block[-1].successor) is not None:
                block.append(clusters[successor.writes])
            placed += len(block)
            blocks.append(block)
    if placed < len(clusters):
        known = {id(cluster) for block in blocks for cluster in block}
        circle = next(cluster for cluster in clusters.values() if id(cluster) not in known)
        raise _Conflict(_lineage(circle, clusters))
    return blocks


def _in_order(block: Sequence[Cluster]) -> None:
    """Raises when an operation of a block was over before one that stands ahead of it in the block began."""
    ahead: Op | None = None
    for position, cluster in enumerate(block):
        stages = [[cluster.writer] if cluster.writer is not None else [], cluster.readers]
        for stage in stages:
            for op in stage:
                if ahead is not None and op.completed < ahead.invoked:
                    raise _Conflict([*(c.writer for c in block[: position + 1] if c.writer is not None), ahead, op])
            latest = max(stage, key=lambda op: op.invoked, default=None)
            if latest is not None and (ahead is None or latest.invoked > ahead.invoked):
                ahead = latest


def _zone(block: Sequence[Cluster]) -> Zone:
    first = min(cluster.first_done for cluster in block)
    return Zone(first, max(cluster.last_begun for cluster in block), tuple(block))


def _separate(zones: Sequence[Zone]) -> None:
    """Raises for two blocks of which neither can stand before the other."""
    forward = sorted((zone for zone in zones if zone.forward), key=lambda zone: zone.first_done)
    for before, after in pairwise(forward):
        if after.first_done < before.last_begun:
            raise _Conflict([*_witnesses(before), *_witnesses(after)])
    starts = [zone.first_done for zone in forward]
    for zone in zones:
        if not zone.forward:
            position = bisect_left(starts, zone.last_begun) - 1
            if position >= 0 and zone.first_done < forward[position].last_begun:
                raise _Conflict([*_witnesses(forward[position]), *_witnesses(zone)])


def _witnesses(zone: Zone) -> list[Op]:
    """The operations that set the ends of a zone, and all who wrote its values."""
    writers = [cluster.writer for cluster in zone.clusters if cluster.writer is not None]
    ops = [*writers, *(op for cluster in zone.clusters for op in cluster.readers)]
    if not ops:
        return []
    return [*writers, min(ops, key=lambda op: op.completed), max(ops, key=lambda op: op.invoked)]


def _satisfied(refused: Sequence[Op], clusters: dict[Token, Cluster]) -> Iterable[bool]:
    """For each refused compare-and-set, whether the value that it must miss is away at some moment in every order."""
    by_done = sorted(clusters.values(), key=lambda cluster: cluster.first_done)
    done = [cluster.first_done for cluster in by_done]
    best: list[Cluster] = []
    second: list[Cluster | None] = []
    for cluster in by_done:
        top, next_ = (best[-1], second[-1]) if best else (cluster, None)
        if best and cluster.last_begun > top.last_begun:
            top, next_ = cluster, top
        elif best and (next_ is None or cluster.last_begun > next_.last_begun):
            next_ = cluster
        best.append(top)
        second.append(next_)
    for op in refused:
        missed = clusters.get(op.misses)
        if missed is None or (missed.writer is not None and op.completed < missed.writer.invoked):
            yield True
            continue
        yield _replaced(op, missed, done, best, second) or _elsewhere(op, missed, done, best, second)


def _replaced(
    op: Op, missed: Cluster, done: Sequence[float], best: Sequence[Cluster], second: Sequence[Cluster | None]
) -> bool:
    """Another value was there before the operation began, and after the one that it must miss."""
    other = _latest(bisect_left(done, op.invoked) - 1, missed, best, second)
    return other is not None and other.last_begun > missed.first_done


def _elsewhere(
    op: Op, missed: Cluster, done: Sequence[float], best: Sequence[Cluster], second: Sequence[Cluster | None]
) -> bool:
    """Another value must be there at a moment while the operation is under way."""
    other = _latest(bisect_left(done, op.completed) - 1, missed, best, second)
    return other is not None and other.last_begun >= op.invoked and other.last_begun > other.first_done


def _latest(
    position: int, missed: Cluster, best: Sequence[Cluster], second: Sequence[Cluster | None]
) -> Cluster | None:
    """Of the clusters up to a position, the one that was begun on last, leaving out one."""
    if position < 0:
        return None
    return best[position] if best[position] is not missed else second[position]
