"""The workload ``tx-flow``: unique transactions handed in to a chain, each followed until every node has it in a block.

In the history, ``submit`` is a client's operation; its result is the transaction's id. For every transaction that was
accepted and every watched node there is one ``include``, with the id as key and the height as result, begun when the
transaction was accepted and due when it was due: its latency is what a person waits. Its client is the node's watcher.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from secrets import token_hex
from typing import Annotated, ClassVar

from pydantic import Field

from nodeyard._aio.clock import Clock
from nodeyard._aio.tasks import side_by_side
from nodeyard.domain.capability import Capability
from nodeyard.domain.history import Outcome
from nodeyard.domain.node_client import ChainReader, ListsTx, TxSubmit
from nodeyard.domain.quantity import PositiveDuration, format_duration
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import WorkloadOptions
from nodeyard.domain.selectors import ALL, SelectorField
from nodeyard.domain.verdict import Check, Verdict
from nodeyard.errors.provider import ProviderError
from nodeyard.runtime.context import StepContext
from nodeyard.runtime.history import WorkloadHistory
from nodeyard.runtime.node import Node
from nodeyard.workloads._load import Client, LoadOptions, Operation, first_of, own_history, take_turns
from nodeyard.workloads._nodes import present

SUBMIT, INCLUDE = "submit", "include"
SOONEST = 0.01
"""Seconds between two looks at a node's height, at the least. No chain tells of a new block over plain requests."""
LOOKS_PER_SECOND = 400.0
"""How many looks all nodes together may cause in a second, so that watching many does not slow them down."""
AT_ONCE = 16
"""Questions to one node at once."""
ID = "{id}"


class TxFlowOptions(LoadOptions):
    """Traffic of transactions."""

    tx: Annotated[str, Field(pattern=r"\{id\}")] = Field(
        default="{id}={id}", description="the text of a transaction; '{id}' is what makes each a different one"
    )
    watch: SelectorField = Field(default=ALL, description="the nodes that each transaction is followed on")
    within: PositiveDuration = Field(default=30.0, description="how long a transaction is followed")


class TxFlow:
    """Hands in transactions and follows them."""

    word: ClassVar[str] = "tx-flow"
    summary: ClassVar[str] = "unique transactions, each followed until every node has it in a block"
    options: ClassVar[type[WorkloadOptions]] = TxFlowOptions

    def requires(self, options: TxFlowOptions) -> tuple[Requirement, ...]:
        return (
            Requirement(options.target, Capability.SUBMIT, TxSubmit),
            Requirement(options.watch, Capability.QUERY, TxSubmit),
            Requirement(options.watch, Capability.QUERY, ChainReader),
        )

    async def run(self, options: TxFlowOptions, context: StepContext) -> None:
        nodes = await present(options.target, Capability.SUBMIT, context)
        watched = await present(options.watch, Capability.QUERY, context)
        flow = _Flow(options, context, watched)
        try:
            async with asyncio.TaskGroup() as group:
                for watcher in flow.watchers:
                    group.create_task(watcher.run())
                await take_turns(options, context, nodes, flow.turn, flow.operation)
                flow.close()
        except BaseExceptionGroup as errors:
            raise first_of(errors) from None
        flow.judge()


class _Flow:
    """What the clients and watchers of one workload share."""

    def __init__(self, options: TxFlowOptions, context: StepContext, watched: Sequence[Node]) -> None:
        self._options = options
        self._context = context
        self._history = own_history(context)
        self._prefix = f"{self._history.label}-{token_hex(4)}-"
        self._made = 0
        pause = max(SOONEST, len(watched) / LOOKS_PER_SECOND)
        self.watchers = [_Watcher(node, self._history, context.clock, options, pause) for node in watched]

    def operation(self, client: Client) -> Operation:
        """The next transaction."""
        text = self._options.tx.replace(ID, f"{self._prefix}{self._made}")
        self._made += 1
        submit = client.node.client(TxSubmit).submit
        return Operation(SUBMIT, partial(submit, text.encode(), timeout=self._options.timeout), value=text)

    async def turn(self, client: Client, due: float) -> Outcome:
        """Hand one in; what was accepted is followed on every node from now on."""
        operation = self.operation(client)
        answer = await client.do(operation, due)
        if answer.ok:
            for watcher in self.watchers:
                watcher.follow(answer.result, operation.value, due)
        return answer.outcome

    def close(self) -> None:
        """No more transactions come."""
        for watcher in self.watchers:
            watcher.close()

    def judge(self) -> None:
        """Transactions that were accepted and that nobody ever saw in a block have shown nothing."""
        followed, seen = (sum(getattr(w, name) for w in self.watchers) for name in ("followed", "seen"))
        if followed and not seen:
            said = f"{followed // len(self.watchers)} transactions were accepted, and none of them was seen in a block"
            self._context.report(Check(self._history.label, Verdict.VACUOUS, said))


@dataclass
class _Followed:
    """One transaction on one node: its operation in the history, and until when it is followed."""

    index: int
    until: float


@dataclass
class _Watcher:
    """Looks at one node's height every ``pause`` seconds. A node whose blocks name their transactions is asked for each
    new block, any other for every transaction that is open whenever it has one.
    """

    node: Node
    history: WorkloadHistory
    clock: Clock
    options: TxFlowOptions
    pause: float
    followed: int = 0
    seen: int = 0
    _open: dict[str, _Followed] = field(default_factory=dict)
    _closed: bool = False
    _fresh: asyncio.Event = field(default_factory=asyncio.Event)

    def follow(self, tx: str, text: str, due: float) -> None:
        """From now on, until it is in a block or ``within`` has passed."""
        name = f"{self.history.label}@{self.node.id}"
        since = self.history.since_start(due)
        index = self.history.invoke(client=name, op=INCLUDE, node=self.node.id, key=tx, value=text, intended=since)
        self._open[tx] = _Followed(index, self.clock.now() + self.options.within)
        self.followed += 1
        self._fresh.set()

    def close(self) -> None:
        """Nothing more will be followed."""
        self._closed = True
        self._fresh.set()

    async def run(self) -> None:
        """Until everything that was followed has an end. When cancelled, what is open may have happened."""
        lists = self.node.speaks(ListsTx)
        height = await self._height() if lists else None
        try:
            while self._open or not self._closed:
                if not self._open:
                    await self._fresh.wait()
                    self._fresh.clear()
                    continue
                found = await self._height()
                if found is not None and (height is None or found > height):
                    if height is None or not lists or not await self._read(range(height + 1, found + 1)):
                        await side_by_side(self._ask, list(self._open), at_once=AT_ONCE)
                    height = found
                await self._give_up(self.clock.now())
                if self._open:
                    await self.clock.sleep(self.pause)
        finally:
            for followed in self._open.values():
                self.history.complete(followed.index, Outcome.INFO, "the phase was ended")

    async def _height(self) -> int | None:
        try:
            return await self.node.client(ChainReader).height(timeout=self.options.timeout)
        except ProviderError:
            return None

    async def _read(self, heights: range) -> bool:
        """See which of the open transactions are in these blocks; whether every block could be read."""
        for height in heights:
            try:
                ids = await self.node.client(ListsTx).transactions(height, timeout=self.options.timeout)
            except ProviderError:
                return False
            for tx in ids:
                self._included(tx, height)
        return True

    def _included(self, tx: str, height: int) -> None:
        followed = self._open.pop(tx, None)
        if followed is not None:
            self.history.complete(followed.index, Outcome.OK, height)
            self.seen += 1

    async def _ask(self, tx: str) -> None:
        """Whether a transaction is in a block; a node that does not say is asked again at the next height."""
        try:
            height = await self.node.client(TxSubmit).included(tx, timeout=self.options.timeout)
        except ProviderError:
            return
        if height is not None:
            self._included(tx, height)

    async def _give_up(self, now: float) -> None:
        """Ask once more for what was followed long enough, and let it go."""
        late = [tx for tx, followed in self._open.items() if followed.until <= now]
        await side_by_side(self._ask, late, at_once=AT_ONCE)
        for tx in late:
            if tx not in self._open:
                continue
            why = f"not in a block of {self.node.id} within {format_duration(self.options.within)}"
            self.history.complete(self._open.pop(tx).index, Outcome.INFO, why)


__all__ = ["TxFlow"]
