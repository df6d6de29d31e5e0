"""The workload ``python``: a function that somebody wrote for the scenario, called by clients at a rate.

It gets a ``Turn``, and the options under ``args`` as keyword arguments. A coroutine function tells its operations with
``await turn.do(...)``; with ``op``, or a plain function, each call is one operation.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Annotated, Any, ClassVar

from pydantic import Field

from nodeyard._aio.clock import Clock
from nodeyard.domain.capability import Capability
from nodeyard.domain.history import Outcome
from nodeyard.domain.quantity import format_duration
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import WorkloadOptions
from nodeyard.domain.user_code import FunctionField
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.runtime import WorkloadFailed
from nodeyard.runtime.context import StepContext
from nodeyard.runtime.node import Node
from nodeyard.runtime.user_code import in_thread, load, raised_at
from nodeyard.workloads._load import Answer, Client, LoadOptions, Operation, drive, take_turns
from nodeyard.workloads._nodes import present

Function = Callable[..., Any]


class PythonOptions(LoadOptions):
    """Which function, and how often it is called."""

    call: FunctionField = Field(description="the function: file.py:function or package.module:function")
    args: dict[str, Any] = Field(default_factory=dict, description="keyword arguments of each call")
    op: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, description="record each call as one operation of this name"
    )
    clients: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=1, description="how many calls may be under way at once"
    )


@dataclass
class Turn:
    """One call of a function: the node that it talks to, and how it tells what it does.

    ``deadline`` is the end of the phase, a time of ``clock``. ``timeout`` is that of the options, in seconds.
    """

    node: Node
    nodes: tuple[Node, ...]
    client: str
    random: Random
    clock: Clock
    deadline: float
    timeout: float
    _client: Client
    _due: float | None
    _refused: bool = False

    @property
    def over(self) -> bool:
        """Whether the phase is over: no operation should begin any more."""
        return self.clock.now() >= self.deadline

    async def do(self, op: str, work: Awaitable[Any], *, key: str | None = None, value: Any = None) -> Answer:
        """Await ``work`` as one operation of the history. An error of a node is an answer and not raised.

        The first operation of a turn counts from when the turn was due. Raises every other error.
        """
        due, self._due = self._due, None
        send = partial(_within, work, self.timeout)
        answer = await self._client.do(Operation(op, send, key, value), self.clock.now() if due is None else due)
        self._refused |= answer.outcome is Outcome.FAIL
        return answer


async def _within(work: Awaitable[Any], timeout: float) -> Any:
    try:
        async with asyncio.timeout(timeout) as limit:
            return await work
    except TimeoutError as error:
        if limit.expired():
            raise TimeoutError(f"it took longer than {format_duration(timeout)}") from error
        raise


class PythonWorkload:
    """Calls a function."""

    word: ClassVar[str] = "python"
    summary: ClassVar[str] = "calls a function that somebody wrote for the scenario"
    options: ClassVar[type[WorkloadOptions]] = PythonOptions

    def requires(self, options: PythonOptions) -> tuple[Requirement, ...]:
        return (Requirement(options.target, Capability.QUERY),)

    async def run(self, options: PythonOptions, context: StepContext) -> None:
        function = load(options.call, context.base)
        nodes = await present(options.target, Capability.QUERY, context)
        calls = _Calls(options, context, nodes, function)
        try:
            if options.op is None and inspect.iscoroutinefunction(function):
                await take_turns(options, context, nodes, calls.turn, calls.operation)
            else:
                await drive(options, context, nodes, calls.operation)
        except (AssertionError, NodeyardError):
            raise
        except Exception as error:
            raise WorkloadFailed(
                f"{options.call} raised {type(error).__name__}: {error}",
                operation=context.label,
                evidence=raised_at(error),
                hint="an error of a node is an answer inside 'await turn.do(...)'",
            ) from error


class _Calls:
    """Calls of one function by the clients of one workload."""

    def __init__(
        self, options: PythonOptions, context: StepContext, nodes: tuple[Node, ...], function: Function
    ) -> None:
        self._options = options
        self._context = context
        self._nodes = nodes
        self._function = function
        self._op = options.op or options.call.function

    async def turn(self, client: Client, due: float) -> Outcome:
        """One call that tells its operations itself; one that goes on long after the phase is cut off."""
        turn = self._of(client, due)
        left = self._context.deadline + self._options.timeout - self._context.clock.now()
        try:
            async with asyncio.timeout(max(0.0, left)) as limit:
                await self._function(turn, **self._options.args)
        except TimeoutError:
            if not limit.expired():
                raise
        return Outcome.FAIL if turn._refused else Outcome.OK

    def operation(self, client: Client) -> Operation:
        """One call as one operation."""
        return Operation(self._op, partial(self._call, client))

    async def _call(self, client: Client) -> Any:
        call = partial(self._function, self._of(client, None), **self._options.args)
        work = call() if inspect.iscoroutinefunction(self._function) else in_thread(call)
        return await _within(work, self._options.timeout)

    def _of(self, client: Client, due: float | None) -> Turn:
        context = self._context
        return Turn(
            client.node, self._nodes, client.name, client.random, context.clock, context.deadline,
            self._options.timeout, client, due,
        )  # fmt: skip


__all__ = ["PythonWorkload", "Turn"]
