"""Driving operations at a rate or by clients, and recording what comes of each.

Two models. *Open* (``rate``): operation ``i`` is due at ``i / rate`` whatever the system does; its latency counts from
then, so that a stall is seen by all that it kept waiting. *Closed* (no ``rate``): each client begins its next operation
when the last one has ended. Either way at most ``clients`` operations are under way. Must not live here: what an
operation is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Annotated, Any, Protocol

from pydantic import Field

from nodeyard._aio.clock import Clock
from nodeyard._aio.tasks import give_way
from nodeyard.domain.history import Outcome
from nodeyard.domain.quantity import PositiveDuration, Rate, format_duration
from nodeyard.domain.scenario_spec import WorkloadOptions
from nodeyard.domain.selectors import ALL, SelectorField
from nodeyard.errors.base import InternalError
from nodeyard.runtime.context import StepContext
from nodeyard.runtime.history import WorkloadHistory
from nodeyard.runtime.node import Node
from nodeyard.workloads._outcome import outcome_of, said

LATE = 0.01
"""Seconds after which an operation that begins after it was due counts as late; timers alone are within 2 ms."""
BACK_OFF = (0.01, 0.5)
"""Seconds that a closed-model client waits after a refusal: at first, doubled each time, and at most. Without it,
clients of a node that is down would do nothing else than be refused."""
GIVE_WAY = 64
"""Dropped operations in a row after which others get a turn."""


class LoadOptions(WorkloadOptions):
    """How much traffic there is, and to which nodes it goes."""

    rate: Rate | None = Field(
        default=None, description="how many operations are due, whatever the system does; absent: as fast as clients go"
    )
    clients: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=8, description="how many operations may be under way at once"
    )
    operations: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="how many operations there are in all; absent: until the phase ends"
    )
    timeout: PositiveDuration = Field(
        default=1.0, description="how long one operation may take; also how late it may begin before it is dropped"
    )
    target: SelectorField = Field(default=ALL, description="the nodes that clients talk to, each to one of them")

    @property
    def ends_itself(self) -> bool:
        return self.operations is not None


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation before it is sent, as the history has it; ``send`` does it and returns the result."""

    op: str
    send: Callable[[], Awaitable[Any]]
    key: str | None = None
    value: Any = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an operation; ``result`` is what was answered, or the text of the error."""

    outcome: Outcome
    result: Any

    @property
    def ok(self) -> bool:
        return self.outcome is Outcome.OK


@dataclass(frozen=True, slots=True)
class Client:
    """One client: its name in the history, the node that it talks to, and its own randomness."""

    name: str
    node: Node
    random: Random
    history: WorkloadHistory

    async def do(self, operation: Operation, due: float) -> Answer:
        """Do an operation that was due at a time of the clock, and record both its ends.

        An error of a node is an answer. Raises every other one, and cancellation; the operation is ``info`` then.
        """
        history = self.history
        index = self._begin(operation, due)
        try:
            result = await operation.send()
        except asyncio.CancelledError:
            history.complete(index, Outcome.INFO, "the phase was ended")
            raise
        except Exception as error:
            outcome = outcome_of(error)
            history.complete(index, outcome or Outcome.INFO, said(error))
            if outcome is None:
                raise
            return Answer(outcome, said(error))
        history.complete(index, Outcome.OK, result)
        return Answer(Outcome.OK, result)

    def drop(self, operation: Operation, due: float, patience: float) -> None:
        """Record an operation that nobody was free to send for too long: a request that was never taken."""
        index = self._begin(operation, due)
        why = f"dropped: every client was busy for {format_duration(round(patience, 3))} after it was due"
        self.history.complete(index, Outcome.FAIL, why)
        self.history.dropped += 1

    def _begin(self, operation: Operation, due: float) -> int:
        history = self.history
        return history.invoke(
            client=self.name,
            op=operation.op,
            node=self.node.id,
            key=operation.key,
            value=operation.value,
            intended=history.since_start(due),
        )


Choose = Callable[[Client], Operation]
"""Decides on a client's next operation. Pure but for the client's randomness."""


async def drive(options: LoadOptions, context: StepContext, nodes: Sequence[Node], choose: Choose) -> None:
    """All operations of a workload. Raises the first error that is not about a node, after the others were ended."""

    async def turn(client: Client, due: float) -> Outcome:
        return (await client.do(choose(client), due)).outcome

    await take_turns(options, context, nodes, turn, choose)


async def take_turns(
    options: LoadOptions,
    context: StepContext,
    nodes: Sequence[Node],
    turn: Callable[[Client, float], Awaitable[Outcome]],
    name_dropped: Choose,
) -> None:
    """Each client does one ``turn`` after the other, when they are due.

    One that nobody was free for in time is dropped, and recorded as the operation that ``name_dropped`` says.
    """
    pace, history = pace_of(options, context), own_history(context)
    try:
        async with asyncio.TaskGroup() as group:
            for number in range(options.clients):
                random = Random(f"{context.place}/{number}")
                client = Client(history.client(), nodes[number % len(nodes)], random, history)
                group.create_task(_Loop(client, pace, context.clock, options.timeout).run(turn, name_dropped))
    except BaseExceptionGroup as errors:
        raise first_of(errors) from None


def own_history(context: StepContext) -> WorkloadHistory:
    """The history of a workload's context."""
    if not isinstance(context.history, WorkloadHistory):
        raise InternalError("a workload was run outside a phase")
    return context.history


def first_of(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error in a group, however deep."""
    first = errors.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first


class Pace(Protocol):
    """When operations are due; shared by the clients of one workload."""

    backs_off: bool

    async def next(self) -> float | None:
        """Wait until one more operation is due and return when it was, or ``None`` when there is none any more."""


def pace_of(options: LoadOptions, context: StepContext) -> Pace:
    limit = options.operations
    if options.rate is None:
        return ClosedPace(context.clock, context.deadline, limit)
    return OpenPace(context.clock, context.deadline, options.rate, limit)


class OpenPace:
    """Operation ``i`` is due ``i / rate`` seconds after the beginning. Whoever asks gets the next one, in order."""

    backs_off = False

    def __init__(self, clock: Clock, deadline: float, rate: float, limit: int | None) -> None:
        self._clock = clock
        self._begun = clock.now()
        self._deadline = deadline
        self._rate = rate
        self._limit = limit
        self._given = 0

    async def next(self) -> float | None:
        number = self._given
        due = self._begun + number / self._rate
        if due >= self._deadline or (self._limit is not None and number >= self._limit):
            return None
        self._given += 1
        wait = due - self._clock.now()
        if wait > 0:
            await self._clock.sleep(wait)
        return due


class ClosedPace:
    """Each operation is due when it is asked for."""

    backs_off = True

    def __init__(self, clock: Clock, deadline: float, limit: int | None) -> None:
        self._clock = clock
        self._deadline = deadline
        self._limit = limit
        self._given = 0

    async def next(self) -> float | None:
        now = self._clock.now()
        if now >= self._deadline or (self._limit is not None and self._given >= self._limit):
            return None
        self._given += 1
        return now


class _Loop:
    """The work of one client: one turn after the other."""

    def __init__(self, client: Client, pace: Pace, clock: Clock, patience: float) -> None:
        self._client = client
        self._pace = pace
        self._clock = clock
        self._patience = patience

    async def run(self, turn: Callable[[Client, float], Awaitable[Outcome]], name_dropped: Choose) -> None:
        delay, dropped = BACK_OFF[0], 0
        while (due := await self._pace.next()) is not None:
            behind = self._clock.now() - due
            if behind > self._patience:
                self._client.drop(name_dropped(self._client), due, self._patience)
                dropped += 1
                if dropped % GIVE_WAY == 0:
                    await give_way()
                continue
            self._client.history.late += behind > LATE
            if await turn(self._client, due) is Outcome.FAIL and self._pace.backs_off:
                await self._clock.sleep(delay)
                delay = min(2 * delay, BACK_OFF[1])
            else:
                delay = BACK_OFF[0]
