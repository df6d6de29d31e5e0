"""The expectation ``no-crash``: no node ended that was not asked to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from nodeyard.domain.capability import Capability, Ownership
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import CheckOptions
from nodeyard.domain.selectors import ALL, SelectorField
from nodeyard.domain.verdict import Check, Verdict
from nodeyard.errors.base import NodeyardError
from nodeyard.expectations._asking import cut, names, nothing_selected
from nodeyard.ports.node_control import NodeState
from nodeyard.runtime.context import StepContext
from nodeyard.runtime.node import Node

if TYPE_CHECKING:
    from nodeyard.runtime.exits import ExitRecord

ASK_TIMEOUT = 2.0
"""Seconds for a node that nobody watches to answer; a frozen one never does."""


class NoCrashOptions(CheckOptions):
    """Which nodes."""

    use: Literal["no-crash"]
    target: SelectorField = ALL


class NoCrash:
    """No node ended that was not asked to."""

    word: ClassVar[str] = "no-crash"
    summary: ClassVar[str] = "no node ended that was not asked to"
    options: ClassVar[type[CheckOptions]] = NoCrashOptions
    from_record: ClassVar[bool] = True

    def requires(self, options: NoCrashOptions) -> tuple[Requirement, ...]:
        return (Requirement(options.target, Capability.QUERY),)

    async def check(self, options: NoCrashOptions, context: StepContext) -> Check:
        nodes = (await context.find(options.target)).nodes
        if not nodes:
            return nothing_selected(options.label, options.target)
        looks = await context.side_by_side(look_at, nodes)
        return judged(options.label, looks, context.exits.unexpected())


@dataclass(frozen=True)
class LookAt:
    """What is known of one node now. ``answers`` is ``None`` where it was not asked."""

    node: str
    owned: bool
    state: NodeState
    answers: bool | None = None


async def look_at(node: Node) -> LookAt:
    """The backend's word; a node of which no backend knows anything is asked itself."""
    owned = node.handle.ownership is Ownership.OWNED
    try:
        state = await node.state()
    except NodeyardError:
        state = NodeState("unknown")
    if state.state != "unknown":
        return LookAt(node.id, owned, state)
    try:
        await node.identify(timeout=ASK_TIMEOUT)
    except NodeyardError:
        return LookAt(node.id, owned, state, answers=False)
    return LookAt(node.id, owned, state, answers=True)


def judged(name: str, looks: Sequence[LookAt], unexpected: Sequence[ExitRecord]) -> Check:
    """Every exit of these nodes that nobody asked for is a failure; a node of which nothing is known, unknown. Pure."""
    selected = {look.node for look in looks}
    crashes = [record for record in unexpected if record.node in selected]
    known = {record.node for record in crashes}
    dead = [look for look in looks if look.state.state == "exited" and look.node not in known]
    if crashes or dead:
        lines = [line for record in crashes for line in told(record)]
        lines += [f"{look.node}: {look.state.status or 'exited'}" for look in dead]
        who = sorted(known | {look.node for look in dead})
        return Check(name, Verdict.FAIL, f"{names(who)} ended and was not asked to", cut(lines))
    silent = [look.node for look in looks if look.answers is False]
    if silent:
        reason = f"nothing is known of {names(silent)}: no backend watches it, and it does not answer"
        return Check(name, Verdict.UNKNOWN, reason, cut([f"{node}: does not answer" for node in silent]))
    return Check(name, Verdict.PASS, f"none of {len(looks)} nodes ended unasked")


def told(record: ExitRecord) -> list[str]:
    """One exit as evidence: how it ended, and its last lines."""
    return [f"{record.node}: {record.status}", *(f"{record.node} | {line}" for line in record.last_lines[-5:])]
