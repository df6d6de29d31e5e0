"""The steps ``put`` and ``get``: one write, one read, on any kind whose client is a ``KeyValue``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, TypeVar

from pydantic import Field

from nodeyard._aio import poll
from nodeyard.domain.capability import Capability
from nodeyard.domain.node_client import KeyValue
from nodeyard.domain.quantity import PositiveDuration, Switch, format_duration
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import StepOptions
from nodeyard.domain.selectors import Selector, SelectorField, SelectorKind
from nodeyard.domain.verdict import Check, Verdict
from nodeyard.errors.provider import AuthenticationFailed, NodeRefused, NodeTimeout, NodeUnreachable, ProviderError
from nodeyard.errors.runtime import ExpectationFailed
from nodeyard.runtime.steps.lifecycle import RUNNING

if TYPE_CHECKING:
    from nodeyard.runtime.context import StepContext
    from nodeyard.runtime.node import Node

T = TypeVar("T")

ANY = Selector(SelectorKind.ANY)
REQUEST_TIMEOUT = 3.0
"""Seconds for one request. A frozen node never answers, and another may be picked then; etcd answers a write without
a leader after 5-7 s, which counts as not answering."""


class PutOptions(StepOptions):
    """One write."""

    key: Annotated[str, Field(min_length=1)] = Field(description="the key")
    value: str = Field(description="the value to write")
    target: SelectorField = ANY
    within: PositiveDuration = Field(default=10.0, description="tried again until then")


class GetOptions(StepOptions):
    """One read; with ``expect`` also a check: the value, or ``null`` for a key that is not there."""

    key: Annotated[str, Field(min_length=1)] = Field(description="the key")
    expect: str | None = Field(default=None, description="what must be there; null: nothing")
    target: SelectorField = ANY
    local: Switch = Field(default=False, description="ask the node alone, without agreement")
    within: PositiveDuration = Field(default=10.0, description="tried again until then")

    @property
    def expects(self) -> bool:
        return "expect" in self.model_fields_set


class Put:
    """Write one value."""

    word: ClassVar[str] = "put"
    summary: ClassVar[str] = "write one value"
    options: ClassVar[type[StepOptions]] = PutOptions

    def requires(self, options: PutOptions) -> tuple[Requirement, ...]:
        return (Requirement(options.target, Capability.SUBMIT, KeyValue),)

    async def run(self, options: PutOptions, context: StepContext) -> None:
        async def write(node: Node) -> None:
            await node.client(KeyValue).put(options.key, options.value, timeout=REQUEST_TIMEOUT)

        async def attempt() -> poll.Done[int] | int:
            return poll.Done(len(await _on_each(options.target, Capability.SUBMIT, write, context)))

        await _again(attempt, options.within, context)


class Get:
    """Read one value, and check it where the step says what it should be."""

    word: ClassVar[str] = "get"
    summary: ClassVar[str] = "read one value, and check it"
    options: ClassVar[type[StepOptions]] = GetOptions

    def requires(self, options: GetOptions) -> tuple[Requirement, ...]:
        return (Requirement(options.target, Capability.QUERY, KeyValue),)

    async def run(self, options: GetOptions, context: StepContext) -> None:
        async def read(node: Node) -> tuple[str, str | None]:
            client = node.client(KeyValue)
            found = await client.get(options.key, timeout=REQUEST_TIMEOUT, local=options.local)
            return node.id, found.value

        async def attempt() -> poll.Done[Check] | Check:
            values = await _on_each(options.target, Capability.QUERY, read, context)
            check = judged(options, values)
            return check if check.verdict is Verdict.FAIL else poll.Done(check)

        check = await _again(attempt, options.within, context)
        if not options.expects:
            return
        context.report(check)
        if check.verdict is Verdict.FAIL:
            raise ExpectationFailed(f"{check.name}: {check.reason}", operation="get", evidence=check.evidence)


def judged(options: GetOptions, values: Sequence[tuple[str, str | None]]) -> Check:
    """What values read from nodes say of the expectation; without one, every answer will do. Pure."""
    name = options.name or f"get {options.key}"
    wrong = [f"{node}: {shown(value)}" for node, value in values if options.expects and value != options.expect]
    if wrong:
        return Check(name, Verdict.FAIL, f"expected {shown(options.expect)}, read {wrong[0]}", tuple(wrong))
    evidence = tuple(f"{node}: {shown(value)}" for node, value in values)
    return Check(name, Verdict.PASS, f"read {shown(values[0][1])} from {', '.join(n for n, _ in values)}", evidence)


def shown(value: str | None) -> str:
    """A value as messages show it."""
    return "nothing" if value is None else repr(value if len(value) <= 200 else f"{value[:200]}...")


async def _on_each(
    target: Selector, capability: Capability, act: Callable[[Node], Awaitable[T]], context: StepContext
) -> list[T]:
    nodes = await context.select(target, capability, states=RUNNING)
    return await context.side_by_side(act, nodes)


async def _again(attempt: Callable[[], Awaitable[poll.Done[T] | T]], within: float, context: StepContext) -> T:
    """Attempt until it is done; each attempt selects nodes anew. Silence and refusals are reasons to try again.

    Writing the same value twice does no harm, so an attempt whose outcome is not known is repeated too. Returns the
    last attempt's result, or raises its error.
    """
    last: list[T | ProviderError] = []

    async def once() -> poll.Done[T] | None:
        try:
            seen = await attempt()
        except AuthenticationFailed:
            raise
        except (NodeUnreachable, NodeRefused) as error:
            last[:] = [error]
            return None
        if isinstance(seen, poll.Done):
            return seen
        last[:] = [seen]
        return None

    begun = context.clock.now()
    try:
        return await poll.until(once, clock=context.clock, deadline=begun + within)
    except poll.Timeout:
        pass
    if not last:
        raise NodeTimeout(
            f"no attempt was finished within {format_duration(within)}",
            hint="raise 'within:', or see if the node hangs",
        )
    outcome = last[0]
    if isinstance(outcome, ProviderError):
        raise outcome
    return outcome
