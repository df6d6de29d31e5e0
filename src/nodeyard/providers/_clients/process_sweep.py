"""Finding and ending every process of a run, from nothing but its mark and the leaders that were written down.

Works from another process than the one that started them. What it can't find: a process that was forked twice, left
its session, *and* lost the mark from its environment, after everything that links it to the run has ended.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

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
PACE = poll.Pace(first=0.002, most=0.05)
"""SIGKILL takes effect within milliseconds; a process in an uninterruptible call takes as long as the call."""


@dataclass(frozen=True)
class Family:
    """The processes of a run that still run, and the node of each where its environment names one."""

    members: Mapping[int, ProcessFacts]
    nodes: Mapping[int, str] = field(default_factory=dict)


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


def _protected(table: Mapping[int, ProcessFacts]) -> set[int]:
    """Ourselves and everybody above us: a sweep never ends whoever asked for it."""
    pid, seen = os.getpid(), set[int]()
    while pid in table and pid not in seen:
        seen.add(pid)
        pid = table[pid].parent
    return seen


def find(mark: RunMark, leaders: Collection[ProcessId]) -> Family:
    """Scan the machine once, until a listing shows nobody new.

    A process may start a next one and end between the listing and the look at it. Then the next one is new in the next
    listing; when nobody is, everybody who runs was looked at while it ran.
    """
    table: dict[int, ProcessFacts] = {}
    nodes: dict[int, str] = {}
    foreign: set[int] = set()
    listed: set[int] = set()
    for _ in range(LISTINGS):
        new = [pid for pid in process.pids() if pid not in listed]
        listed.update(new)
        for pid in new:
            known, raw = process.facts(pid), process.raw_environment(pid)
            if known is None:
                continue
            table[pid] = known
            if NEEDLE not in raw:
                continue  # parsing everybody's would double the time of a scan
            environment = process.parse_environment(raw)
            if environment.get(MARK_VARIABLE) == mark.text:
                nodes[pid] = environment.get(NODE_VARIABLE, "")
            elif MARK_VARIABLE in environment:
                foreign.add(pid)
        if not new:
            break
    here = [who for who in leaders if who.boot == process.boot_id()]
    found = related(table, nodes, foreign, here) - _protected(table)
    return Family({pid: table[pid] for pid in found if not table[pid].ended}, nodes)


async def end_all(
    mark: RunMark, leaders: Collection[ProcessId], *, clock: Clock, deadline: float
) -> tuple[Family, Family]:
    """Kill until a scan finds nobody, or until ``deadline``. Returns who was there at first and who is left."""
    first = find(mark, leaders)
    left = first
    _kill(first)

    async def sweep() -> poll.Done[None] | Family:
        nonlocal left
        left = find(mark, leaders)
        if not left.members:
            return poll.Done(None)
        _kill(left)
        return left

    if first.members:
        try:
            await poll.until(sweep, clock=clock, deadline=deadline, pace=PACE)
        except poll.Timeout:
            return first, left
    return first, Family({})


def _kill(family: Family) -> None:
    for pid, known in family.members.items():
        try:
            process.send(ProcessId(pid, known.start, process.boot_id()), signal.SIGKILL)
        except PermissionError:
            continue  # it stays in the next scan, and so in what is reported as left
