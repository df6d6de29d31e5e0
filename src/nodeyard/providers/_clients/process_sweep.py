"""Finding and ending every process of a run, from nothing but its mark and the leaders that were written down.

Works from another process than the one that started them. What it can't find: a process that was forked twice, left
its session, *and* lost the mark from its environment, after everything that links it to the run has ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial

from nodeyard._aio import poll
from nodeyard._aio.clock import Clock
from nodeyard.domain.run_identity import MARK_VARIABLE, RunMark
from nodeyard.providers._clients import process
from nodeyard.providers._clients.process import ProcessFacts, ProcessId

NODE_VARIABLE = "NODEYARD_NODE"
"""The environment variable that names the node a process belongs to."""
NEEDLE = f"{MARK_VARIABLE}=".encode()
LISTINGS = 50
"""At most: on a machine where somebody else starts processes all the time, no listing would ever be the last."""
EXECVE = 2.0
"""Seconds that a process may take to become another program before it counts as nobody's."""
PACE = poll.Pace(first=0.002, most=0.05)
"""SIGKILL takes effect within milliseconds; a process in an uninterruptible call takes as long as the call."""


@dataclass(frozen=True)
class Family:
    """The processes of a run that still run, and the node of each where its environment names one.

    ``unknown`` are inside of ``execve``: whose they are can be told in a moment.
    """

    members: Mapping[int, ProcessFacts]
    nodes: Mapping[int, str] = field(default_factory=dict)
    unknown: frozenset[int] = frozenset()


def related(
    table: Mapping[int, ProcessFacts],
    marked: Collection[int],
    foreign: Collection[int],
    leaders: Collection[ProcessId],
) -> set[int]:
    """Pids that belong to a run: the marked ones, leaders with their recorded start time, everybody in a session or
    group that one of these made, and all their descendants; never one that carries a ``foreign`` mark. Pure.

    Whoever leads a session made it, so its members come from that leader. A marked process that merely sits in a
    session proves nothing about the others there.
    """
    candidates = {pid: known for pid, known in table.items() if pid not in foreign}
    roots = {pid for pid in marked if pid in candidates}
    roots |= {who.pid for who in leaders if who.pid in candidates and candidates[who.pid].start == who.start}
    sessions = {pid for pid in roots if candidates[pid].session == pid}
    groups = {pid for pid in roots if candidates[pid].group == pid}
    found = roots | {p for p, known in candidates.items() if known.session in sessions or known.group in groups}
    children: dict[int, list[int]] = {}
    for pid, known in candidates.items():
        children.setdefault(known.parent, []).append(pid)
    frontier = list(found)
    while frontier:
        new = [child for child in children.get(frontier.pop(), ()) if child not in found]
        found.update(new)
        frontier += new
    return found


def _protected() -> set[int]:
    """Ourselves and everybody above us: a sweep never ends whoever asked for it."""
    seen: set[int] = set()
    known = process.facts(os.getpid())
    while known is not None and known.pid not in seen:
        seen.add(known.pid)
        known = process.facts(known.parent)
    return seen


def find(mark: RunMark, leaders: Collection[ProcessId], *, freeze: bool = False, of_node: str | None = None) -> Family:
    """Scan the machine once, until a listing shows nobody new.

    A process may start a next one and end between the listing and the look at it. Then the next one is new in the next
    listing; when nobody is, everybody who runs was looked at while it ran. ``freeze`` stops whoever carries the mark at
    the moment it is seen, so that it starts no other one while the scan goes on, and stays the parent of those it has.
    ``of_node`` looks for the processes of one node only.
    """
    table: dict[int, ProcessFacts] = {}
    nodes: dict[int, str] = {}
    foreign: set[int] = set()
    listed: set[int] = set()
    unknown: set[int] = set()
    us = _protected()
    for _ in range(LISTINGS):
        new = [pid for pid in process.pids() if pid not in listed]
        listed.update(new)
        unknown.clear()
        for pid in new:
            known, raw = process.facts(pid), process.raw_environment(pid)
            if not raw and process.inside_execve(pid):
                unknown.add(pid)
            raw = raw or process.raw_environment(pid)
            if known is None:
                continue
            table[pid] = known
            if NEEDLE not in raw:
                continue  # parsing everybody's would double the time of a scan
            environment = process.parse_environment(raw)
            if environment.get(MARK_VARIABLE) == mark.text:
                node = environment.get(NODE_VARIABLE, "")
                if of_node not in (None, node):
                    continue
                nodes[pid] = node
                if freeze and pid not in us:
                    _send(known, signal.SIGSTOP)
            elif MARK_VARIABLE in environment:
                foreign.add(pid)
        if not new:
            break
        listed -= unknown
    here = [who for who in leaders if who.boot == process.boot_id()]
    found = related(table, nodes, foreign, here) - us
    return Family({pid: table[pid] for pid in found if not table[pid].ended}, nodes, frozenset(unknown))


async def end_all(
    mark: RunMark, leaders: Collection[ProcessId], *, clock: Clock, deadline: float, of_node: str | None = None
) -> tuple[Family, Family]:
    """Kill until a scan finds nobody, or until ``deadline``. Returns who was there at first and who is left."""
    look = partial(find, mark, leaders, freeze=True, of_node=of_node)
    first = look()
    left = first
    patience = min(deadline, clock.now() + EXECVE)

    async def sweep() -> poll.Done[None] | Family:
        nonlocal first, left
        _kill(left)
        left = look()
        if first.unknown:
            first = Family({**left.members, **first.members}, {**left.nodes, **first.nodes}, left.unknown)
        return left if left.members or (left.unknown and clock.now() < patience) else poll.Done(None)

    if first.members or first.unknown:
        try:
            await poll.until(sweep, clock=clock, deadline=deadline, pace=PACE)
        except poll.Timeout:
            return first, left
    return first, Family({})


def _kill(family: Family) -> None:
    for known in family.members.values():
        _send(known, signal.SIGKILL)


def _send(known: ProcessFacts, number: int) -> None:
    with contextlib.suppress(PermissionError):  # it stays in the next scan, and so in what is reported as left
        process.send(ProcessId(known.pid, known.start, process.boot_id()), number)
