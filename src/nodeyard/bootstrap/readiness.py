"""The readiness barrier: probes side by side, ended by events, by proof, or by a deadline.

Whether the barrier is open is decided by ``domain.policy.evaluate``; here is only the watching.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from nodeyard._aio import poll
from nodeyard._aio.clock import Clock
from nodeyard.bootstrap.last_words import LOOKED_AT, last_words
from nodeyard.domain import events, policy
from nodeyard.domain.node_client import NodeClient, Probe, Rung
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.bootstrap import NodeExited, NotReady
from nodeyard.errors.provider import ProviderError
from nodeyard.ports.node_control import HasLogs, NodeControl, NodeState, ReportsExit
from nodeyard.ports.observer import Emit
from nodeyard.ports.protocols import implements

PROBE_TIMEOUT = 2.0
"""Seconds that one probe may take: a paused node accepts connections and never answers."""
LOG_LINES = 10
PROBES_PER_SECOND = 2000.0
"""How many probes all nodes together may cause in a second, so that watching many does not slow their start."""


@dataclass(frozen=True)
class Watched:
    """One node at the barrier. ``managed`` nodes are lost when their process ends; ``lost`` ones are not watched."""

    id: str
    client: NodeClient
    control: NodeControl
    managed: bool = False
    lost: str | None = None


@dataclass
class Progress:
    """What is known of one node so far."""

    probe: Probe = Probe(False, Rung.NOTHING, "not asked yet")
    good: int = 0
    attempts: int = 0
    ready: bool = False
    lost: str | None = None
    exit: NodeState | None = None
    unknown: str = ""
    """Why a node that answers could not be identified."""


@dataclass
class Barrier:
    """Waits until a policy is met by the declared members. One instance per wait.

    ``on_answer`` is called once per node, at its first answer of the API; what it raises ends the wait.
    """

    nodes: Collection[Watched]
    demands: Collection[policy.Need]
    spec: policy.ReadinessSpec
    clock: Clock
    emit: Emit
    deadline: float
    exit_is_fatal: bool = True
    on_answer: Callable[[str], object] | None = None
    progress: dict[str, Progress] = field(default_factory=dict)

    async def wait(self) -> tuple[str, ...]:
        """The ready nodes, once the policy is met.

        Raises ``NodeExited`` for a managed node that ended, ``NotReady`` at the deadline or as soon as the policy
        cannot be met any more, and what ``on_answer`` raises.
        """
        self.progress = {n.id: Progress(lost=n.lost) for n in self.nodes}
        started = self.clock.now()
        changed = asyncio.Event()
        changed.set()
        try:
            async with asyncio.TaskGroup() as group:
                watchers = [
                    group.create_task(self._watch(node, changed, started)) for node in self.nodes if node.lost is None
                ]
                try:
                    await self._until_open(changed)
                finally:
                    for task in watchers:
                        task.cancel()
        except BaseExceptionGroup as several:
            raise _first(several) from None
        return tuple(sorted(name for name, seen in self.progress.items() if seen.ready))

    async def _until_open(self, changed: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(max(0.0, self.deadline - self.clock.now())) as limit:
                while not await self._decide(changed):
                    await changed.wait()
        except TimeoutError:
            if not limit.expired():
                raise
            raise await self._not_ready("the time is up") from None

    async def _decide(self, changed: asyncio.Event) -> bool:
        changed.clear()
        ready = {name for name, seen in self.progress.items() if seen.ready}
        lost = {name for name, seen in self.progress.items() if seen.lost is not None}
        dead = [n for n in self.nodes if n.managed and self.progress[n.id].exit is not None]
        if dead and self.exit_is_fatal:
            raise await self._exited(dead[0])
        barrier = policy.evaluate(self.demands, ready, lost)
        if isinstance(barrier, policy.Impossible):
            fatal = next((self.progress[n.id].probe.fatal for n in self.nodes if self.progress[n.id].probe.fatal), None)
            raise await self._not_ready(fatal or barrier.reason, barrier.laggards)
        return isinstance(barrier, policy.Satisfied)

    async def _watch(self, node: Watched, changed: asyncio.Event, started: float) -> None:
        seen = self.progress[node.id]
        wake = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            exit_watch = None
            if implements(node.control, ReportsExit) and node.managed:
                exit_watch = group.create_task(self._watch_exit(node.control, seen, changed))
            pace = poll.Pace(first=0.01, factor=1.4, most=max(0.05, len(self.nodes) / PROBES_PER_SECOND))
            answered = False

            async def probe() -> poll.Done[None] | poll.Moved | Probe:
                nonlocal answered
                before = seen.probe
                seen.probe = await self._probe(node)
                seen.attempts += 1
                if (before.rung, before.detail) != (seen.probe.rung, seen.probe.detail):
                    self._tell_probe(node.id, seen)
                if seen.probe.rung >= Rung.API_ANSWERS and not answered and self.on_answer is not None:
                    answered = await self._answered(node.id, seen)
                seen.good = seen.good + 1 if seen.probe.ready else 0
                if seen.probe.fatal is not None:
                    seen.lost = seen.probe.fatal
                known = answered or self.on_answer is None
                if seen.lost is not None or (seen.good >= self.spec.consecutive and known):
                    return poll.Done(None)
                return poll.Moved(seen.probe) if seen.good else seen.probe

            try:
                await poll.until(probe, clock=self.clock, deadline=self.deadline, pace=pace, wake=wake)
            except poll.Timeout:
                return
            if seen.lost is None:
                seen.ready = True
                self.emit(events.NodeReady(node=node.id, after=self.clock.now() - started, detail=seen.probe.detail))
            changed.set()
            if exit_watch is not None and seen.lost is not None:
                exit_watch.cancel()

    async def _probe(self, node: Watched) -> Probe:
        try:
            return await node.client.probe(timeout=PROBE_TIMEOUT)
        except NodeyardError as error:
            return Probe(False, Rung.ALIVE, error.message)

    async def _answered(self, node: str, seen: Progress) -> bool:
        """Whether the node could be identified at this answer; conflicts are raised, silence is tried again."""
        assert self.on_answer is not None
        try:
            outcome = self.on_answer(node)
            if asyncio.iscoroutine(outcome):
                await outcome
        except ProviderError as error:
            seen.unknown = error.message
            return False
        seen.unknown = ""
        return True

    async def _watch_exit(self, control: ReportsExit, seen: Progress, changed: asyncio.Event) -> None:
        state = await control.exited()
        seen.exit, seen.ready = state, False
        seen.lost = state.status or "it ended"
        changed.set()

    def _tell_probe(self, node: str, seen: Progress) -> None:
        self.emit(
            events.NodeProbed(node=node, rung=seen.probe.rung.label, detail=seen.probe.detail, attempt=seen.attempts)
        )

    async def _exited(self, node: Watched) -> NodeExited:
        state = self.progress[node.id].exit
        status = state.status if state is not None else "unknown status"
        words, hint = last_words(await last_lines(node.control, LOOKED_AT), LOG_LINES)
        return NodeExited(
            f"it ended before it was ready: {status}",
            node=node.id,
            operation="readiness",
            evidence=words,
            hint=hint,
        )

    async def _not_ready(self, reason: str, laggards: Collection[str] = ()) -> NotReady:
        waiting = [n for n in self.nodes if not self.progress[n.id].ready]
        evidence: list[str] = []
        for node in waiting[:20]:
            seen = self.progress[node.id]
            state = f" ({seen.lost})" if seen.lost else ""
            evidence.append(f"{node.id}: reached '{seen.probe.rung.label}'{state}; last answer: {seen.probe.detail}")
            if seen.unknown:
                evidence.append(f"{node.id}: who it is could not be found out: {seen.unknown}")
            evidence += [f"{node.id} log: {line}" for line in await last_lines(node.control)]
        evidence += [f"{name}: never found" for name in laggards if name not in self.progress]
        if len(waiting) > 20:
            evidence.append(f"and {len(waiting) - 20} more")
        return NotReady(
            f"readiness '{self.spec.policy}' was not reached: {reason}"
            f" ({sum(s.ready for s in self.progress.values())} of {len(self.progress)} nodes ready)",
            node=waiting[0].id if len(waiting) == 1 else None,
            operation="readiness",
            evidence=evidence,
            hint="the rung that a node reached says what it waits for; 'readiness: {timeout: ...}' gives it longer",
        )


async def last_lines(control: NodeControl, count: int = LOG_LINES) -> tuple[str, ...]:
    """The last log lines of a node, or why there are none."""
    if not isinstance(control, HasLogs):
        return ()
    try:
        return tuple(await control.logs(tail=count))
    except NodeyardError as error:
        return (f"(its log cannot be read: {error.message})",)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one error that counts of several raised at once: our own before foreign ones."""
    flat = [_first(error) if isinstance(error, BaseExceptionGroup) else error for error in group.exceptions]
    return next((e for e in flat if isinstance(e, NodeyardError)), flat[0])
