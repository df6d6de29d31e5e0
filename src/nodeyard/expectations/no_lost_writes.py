"""The expectation ``no-lost-writes``: whatever was acknowledged is still there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal
from zlib import crc32

from pydantic import Field

from nodeyard._aio.tasks import side_by_side
from nodeyard.domain.capability import Capability
from nodeyard.domain.history import Call, Outcome
from nodeyard.domain.node_client import KeyValue, TxSubmit
from nodeyard.domain.quantity import PositiveDuration
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import CheckOptions
from nodeyard.domain.selectors import ALL, SelectorField
from nodeyard.domain.verdict import Check, Verdict
from nodeyard.errors.base import NodeyardError
from nodeyard.expectations._asking import cut, names, nothing_selected, request_timeout
from nodeyard.expectations._history import shown, written
from nodeyard.runtime.context import StepContext
from nodeyard.runtime.node import Node

AT_ONCE = 32
"""Questions under way at once."""
WRITE, CAS, SUBMIT = "write", "cas", "submit"


class NoLostWritesOptions(CheckOptions):
    """Whom to ask, and how long they may take to answer."""

    use: Literal["no-lost-writes"]
    target: SelectorField = Field(
        default=ALL, description="the nodes that are asked, one after the other until one answers"
    )
    within: PositiveDuration = Field(default=30.0, description="how long it may take to come true")


class NoLostWrites:
    """Whatever was acknowledged is still there."""

    word: ClassVar[str] = "no-lost-writes"
    summary: ClassVar[str] = "every write and transaction that was acknowledged is still there"
    options: ClassVar[type[CheckOptions]] = NoLostWritesOptions
    from_record: ClassVar[bool] = False

    def requires(self, options: NoLostWritesOptions) -> tuple[Requirement, ...]:
        return (Requirement(options.target, Capability.QUERY, (KeyValue, TxSubmit)),)

    async def check(self, options: NoLostWritesOptions, context: StepContext) -> Check:
        calls = context.history.calls()
        keys, submitted = by_key(calls), accepted(calls)
        if not keys and not submitted:
            return Check(options.label, Verdict.VACUOUS, "the history holds no write that was acknowledged")
        held: dict[str, Held] = {}

        async def look() -> Check:
            nodes = (await context.find(options.target)).nodes
            if not nodes:
                return nothing_selected(options.label, options.target)
            asking = _Asking(nodes, request_timeout(options.within))
            # What was settled stays so; a key that nobody answered for, a transaction not seen yet, are asked anew.
            open_ = [item for item in (*keys, *submitted) if not held.get(item, UNASKED).settled]
            for found in await side_by_side(
                asking.read, [(item, item in submitted) for item in open_], at_once=AT_ONCE
            ):
                if isinstance(found, Exception):
                    raise found
                held[found.item] = found
            return judged(options.label, keys, submitted, held)

        return await context.poll_check(options.label, look, within=options.within)


@dataclass(frozen=True)
class Held:
    """What the nodes hold for a key, or whether they hold a transaction. ``why`` when nobody could say."""

    item: str
    node: str | None = None
    value: str | None = None
    why: str = ""
    settled: bool = False


UNASKED = Held("")


@dataclass(frozen=True)
class _Asking:
    nodes: Sequence[Node]
    timeout: float

    async def read(self, asked: tuple[str, bool]) -> Held:
        """Ask one node after the other; of a transaction, until one has it."""
        item, is_tx = asked
        last = Held(item, why="no node speaks the protocol for it")
        start = crc32(item.encode()) % len(self.nodes)
        for node in (*self.nodes[start:], *self.nodes[:start]):
            if not node.speaks(TxSubmit if is_tx else KeyValue):
                continue
            try:
                found = await (self._included(item, node) if is_tx else self._value(item, node))
            except NodeyardError as error:
                last = last if last.node is not None else Held(item, why=f"{node.id}: {error.message}")
                continue
            if found.settled:
                return found
            last = found
        return last

    async def _value(self, key: str, node: Node) -> Held:
        found = await node.client(KeyValue).get(key, timeout=self.timeout)
        return Held(key, node.id, found.value, settled=True)

    async def _included(self, tx: str, node: Node) -> Held:
        height = await node.client(TxSubmit).included(tx, timeout=self.timeout)
        return Held(tx, node.id, None if height is None else str(height), settled=height is not None)


def by_key(calls: Iterable[Call]) -> dict[str, list[Call]]:
    """Everything that may have written each key of which a write was acknowledged."""
    keys: defaultdict[str, list[Call]] = defaultdict(list)
    for call in calls:
        changed = call.op == WRITE or (call.op == CAS and call.result is not False)
        if changed and call.key is not None and call.outcome is not Outcome.FAIL:
            keys[call.key].append(call)
    return {key: found for key, found in keys.items() if any(call.outcome is Outcome.OK for call in found)}


def accepted(calls: Iterable[Call]) -> dict[str, Call]:
    """Transactions that a node took, by their id."""
    return {
        call.result: call
        for call in calls
        if call.op == SUBMIT and call.outcome is Outcome.OK and isinstance(call.result, str)
    }


def judged(
    name: str, keys: Mapping[str, Sequence[Call]], submitted: Mapping[str, Call], held: Mapping[str, Held]
) -> Check:
    """Whether each key holds a value that may be its last one, and each transaction is in a block. Pure."""
    lost: list[str] = []
    open_: list[str] = []
    for key, calls in keys.items():
        found = held[key]
        gone = lost_from(calls, found.value) if found.node is not None else None
        if found.node is None:
            open_.append(f"{key}: {found.why}")
        elif gone is None:
            open_.append(f"{key} holds {written(found.value)} at {found.node}, which nobody in the history wrote")
        elif gone:
            where = f"{key} holds {written(found.value)} at {found.node}"
            lost.append(f"{where}; acknowledged and lost: {shown(gone[-1])}")
    for tx, call in submitted.items():
        found = held[tx]
        if found.node is None:
            open_.append(f"{tx}: {found.why}")
        elif found.value is None:
            lost.append(f"in no block that {found.node} has: {shown(call)}")
    total = (
        f"{len(keys)} keys and {len(submitted)} transactions"
        if submitted and keys
        else (f"{len(submitted)} transactions" if submitted else f"{len(keys)} keys")
    )
    if lost:
        return Check(name, Verdict.FAIL, f"acknowledged writes are lost from {len(lost)} of {total}", cut(lost + open_))
    if open_:
        return Check(name, Verdict.UNKNOWN, f"{len(open_)} of {total} could not be judged", cut(open_))
    count = sum(call.outcome is Outcome.OK for calls in keys.values() for call in calls) + len(submitted)
    asked = names(sorted({found.node for found in held.values() if found.node is not None}))
    return Check(name, Verdict.PASS, f"nothing is lost of {count} acknowledged writes on {total}", (f"asked: {asked}",))


def lost_from(calls: Sequence[Call], value: str | None) -> list[Call] | None:
    """The acknowledged writes that a key must have forgotten to hold this value; ``None``: nobody wrote it. Pure.

    A write may be the last one unless one that was acknowledged began after it had ended.
    """
    sure = [call for call in calls if call.outcome is Outcome.OK]
    if value is None:
        return sure
    writers = [call for call in calls if new_value(call) == value]
    if not writers:
        return None
    gone = [[later for later in sure if later.invoked > writer.completed] for writer in writers if writer in sure]
    if len(gone) < len(writers):
        return []  # one whose outcome nobody knows may have had its effect at any time
    return min(gone, key=len)


def new_value(call: Call) -> object:
    """What an operation wrote."""
    return call.value if call.op == WRITE else call.value[1]
