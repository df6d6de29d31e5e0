"""The expectation ``reachable``: every selected node answers who it is."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from nodeyard.domain.capability import Capability
from nodeyard.domain.node_client import Identification
from nodeyard.domain.quantity import PositiveDuration
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import CheckOptions
from nodeyard.domain.selectors import ALL, SelectorField
from nodeyard.domain.verdict import Check, Verdict
from nodeyard.expectations._asking import Answers, ask_all, cut, names, nothing_selected, request_timeout
from nodeyard.runtime.context import StepContext


class ReachableOptions(CheckOptions):
    """Which nodes, and how long it may take."""

    use: Literal["reachable"]
    target: SelectorField = ALL
    within: PositiveDuration = Field(default=10.0, description="how long it may take to come true")


class Reachable:
    """Every selected node answers who it is."""

    word: ClassVar[str] = "reachable"
    summary: ClassVar[str] = "every selected node answers who it is"
    options: ClassVar[type[CheckOptions]] = ReachableOptions
    from_record: ClassVar[bool] = False

    def requires(self, options: ReachableOptions) -> tuple[Requirement, ...]:
        return (Requirement(options.target, Capability.QUERY),)

    async def check(self, options: ReachableOptions, context: StepContext) -> Check:
        timeout = request_timeout(options.within)

        async def look() -> Check:
            found = await context.find(options.target)
            if not found.nodes:
                return nothing_selected(options.label, options.target)
            return judged(options.label, await ask_all(found.nodes, lambda node: node.identify(timeout=timeout)))

        return await context.poll_check(options.label, look, within=options.within)


def judged(name: str, answers: Answers[Identification]) -> Check:
    """All answered, or which did not and what they said instead. Pure."""
    total = len(answers.said) + len(answers.silent)
    if answers.silent:
        reason = f"{len(answers.said)} of {total} nodes answer; not {names(tuple(answers.silent))}"
        return Check(name, Verdict.FAIL, reason, cut(answers.silence))
    evidence = [f"{node}: peer id {who.peer_id or 'not reported'}" for node, who in answers.said.items()]
    return Check(name, Verdict.PASS, f"{total} of {total} nodes answer", cut(evidence))
