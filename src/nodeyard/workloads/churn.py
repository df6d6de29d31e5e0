"""The workload ``churn``: nodes that come and go, one act at a time.

Each act is one operation of the history. At the end every node is again as it was at the beginning: what was stopped is
started, and an on-demand node that was started is stopped. Must not live here: proving that an act took effect, which
is what faults do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nodeyard._aio.tasks import shielded
from nodeyard.domain.capability import Capability
from nodeyard.domain.fault_schedule import left_alone
from nodeyard.domain.history import Outcome
from nodeyard.domain.quantity import PositiveDuration
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import WorkloadOptions
from nodeyard.domain.selectors import ALL, SelectorField
from nodeyard.domain.verdict import Check, Verdict
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.runtime import OperationDenied
from nodeyard.runtime.context import StepContext
from nodeyard.runtime.node import Node
from nodeyard.runtime.steps.lifecycle import DOWN, RUNNING
from nodeyard.workloads._load import own_history
from nodeyard.workloads._outcome import said

RESTORE_TIME = 10.0
"""Seconds for putting everything back when the phase is cut off: later steps may need the nodes, cleanup does not."""
CAPABILITIES = {"start": Capability.START, "stop": Capability.STOP, "restart": Capability.RESTART}
Action = Literal["start", "stop", "restart"]


class ChurnOptions(WorkloadOptions):
    """Which nodes come and go, and how often."""

    target: SelectorField = Field(default=ALL, description="the nodes that come and go")
    every: PositiveDuration = Field(default=5.0, description="how long after one act began the next one may begin")
    actions: Annotated[tuple[Action, ...], Field(min_length=1)] = Field(
        default=("start", "stop", "restart"), description="what is done; each time one of those that are possible"
    )
    keep: Annotated[int, Field(ge=0)] | Literal["quorum"] = Field(
        default="quorum", description="how many nodes always run: a number, or 'quorum' of those that ran at first"
    )
    rounds: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="how many acts there are; absent: until the phase ends"
    )

    @property
    def ends_itself(self) -> bool:
        return self.rounds is not None


class Churn:
    """Starts, stops and restarts nodes."""

    word: ClassVar[str] = "churn"
    summary: ClassVar[str] = "nodes that come and go: starts, stops and restarts, one at a time"
    options: ClassVar[type[WorkloadOptions]] = ChurnOptions

    def requires(self, options: ChurnOptions) -> tuple[Requirement, ...]:
        needed = [CAPABILITIES[action] for action in options.actions]
        if "stop" in options.actions and "start" not in options.actions:
            needed.append(Capability.START)  # to put them back
        return tuple(Requirement(options.target, capability) for capability in needed)

    async def run(self, options: ChurnOptions, context: StepContext) -> None:
        first = CAPABILITIES[options.actions[0]]
        nodes = await context.select(options.target, first)
        churning = _Churning(options, context, nodes, await context.network.states([n.id for n in context.network]))
        try:
            await churning.run()
        except BaseException:
            with suppress(TimeoutError):
                await shielded(churning.restore(), within=RESTORE_TIME)
            raise
        left = await churning.restore()
        if left:
            context.report(Check(churning.label, Verdict.FAIL, left[0], tuple(left)))


@dataclass(frozen=True)
class Act:
    """One thing that can be done now."""

    action: str
    node: Node

    @property
    def do(self) -> Callable[[], Awaitable[None]]:
        found: Callable[[], Awaitable[None]] = getattr(self.node, self.action)
        return found


def possible(actions: Sequence[str], nodes: Sequence[Node], states: Mapping[str, str], least: int) -> tuple[Act, ...]:
    """Everything that may be done now, where ``least`` nodes of ``states`` must go on running. Pure."""
    running = sum(1 for state in states.values() if state in RUNNING)
    found = []
    for node in nodes:
        up = states[node.id] in RUNNING
        if up and running - 1 >= least:
            found += [Act(action, node) for action in actions if action in ("stop", "restart")]
        elif not up and states[node.id] in DOWN and "start" in actions:
            found.append(Act("start", node))
    return tuple(found)


class _Churning:
    """The acts of one workload."""

    def __init__(
        self, options: ChurnOptions, context: StepContext, nodes: Sequence[Node], states: Mapping[str, str]
    ) -> None:
        self._options = options
        self._context = context
        self._nodes = nodes
        self._first = dict(states)
        ran = [name for name, state in states.items() if state in RUNNING]
        self._least = left_alone([options.keep], len(ran))
        self._history = own_history(context)
        self.label = self._history.label
        self._client = self._history.client()
        self._touched: dict[str, Node] = {}

    async def run(self) -> None:
        """One act each ``every`` seconds, the first one at once."""
        clock, deadline = self._context.clock, self._context.deadline
        done, due = 0, clock.now()
        while due < deadline and (self._options.rounds is None or done < self._options.rounds):
            await clock.sleep(max(0.0, due - clock.now()))
            await self._act(due)
            done += 1
            due = max(due + self._options.every, clock.now())

    async def _act(self, due: float) -> None:
        states = await self._context.network.states(list(self._first))
        acts = possible(self._options.actions, self._nodes, states, self._least)
        if acts:
            act = self._context.random.choice(acts)
            self._touched[act.node.id] = act.node
            await self._do(act, due)

    async def _do(self, act: Act, due: float) -> str:
        """Carry out one act; returns what went wrong with the node, which the history has too. Raises a denial."""
        history = self._history
        since = history.since_start(due)
        index = history.invoke(client=self._client, op=act.action, node=act.node.id, intended=since)
        outcome, result = Outcome.INFO, "the phase was ended"
        try:
            await act.do()
            outcome, result = Outcome.OK, ""
        except OperationDenied as error:
            outcome, result = Outcome.FAIL, said(error)
            raise
        except NodeyardError as error:
            result = said(error)
        finally:
            history.complete(index, outcome, result or None)
        return result

    async def restore(self) -> list[str]:
        """Every node that was touched as it was at the beginning; returns why some could not be."""
        states = await self._context.network.states(list(self._touched))
        left = []
        for name, node in self._touched.items():
            ran, runs = self._first[name] in RUNNING, states[name] in RUNNING
            if ran != runs:
                act = Act("start" if ran else "stop", node)
                why = await self._do(act, self._context.clock.now())
                left += [f"{name}: could not {act.action} again at the end: {why}"] if why else []
        return left


__all__ = ["Churn"]
