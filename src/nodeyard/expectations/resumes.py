"""The expectation ``resumes``: every selected node gets blocks that nobody had before."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nodeyard.domain.capability import Capability
from nodeyard.domain.node_client import ReportsHeight
from nodeyard.domain.quantity import PositiveDuration
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import CheckOptions
from nodeyard.domain.selectors import ALL, SelectorField
from nodeyard.domain.verdict import Check, Verdict
from nodeyard.expectations._asking import Answers, cut, names, nothing_selected, request_timeout
from nodeyard.expectations._heights import heights_of
from nodeyard.runtime.context import StepContext


class ResumesOptions(CheckOptions):
    """Which nodes, and how long it may take."""

    use: Literal["resumes"]
    target: SelectorField = ALL
    by: Annotated[int, Field(ge=1)] = Field(default=1, description="by how many new blocks, at the least")
    within: PositiveDuration = Field(default=60.0, description="how long it may take to come true")


class Resumes:
    """Every selected node gets blocks that nobody had before; to catch up with old ones is not enough."""

    word: ClassVar[str] = "resumes"
    summary: ClassVar[str] = "every selected node gets blocks that nobody had before"
    options: ClassVar[type[CheckOptions]] = ResumesOptions
    from_record: ClassVar[bool] = False

    def requires(self, options: ResumesOptions) -> tuple[Requirement, ...]:
        return (Requirement(options.target, Capability.QUERY, ReportsHeight),)

    async def check(self, options: ResumesOptions, context: StepContext) -> Check:
        timeout = request_timeout(options.within)
        best: list[int] = []

        async def look() -> Check:
            nodes = (await context.find(options.target)).nodes
            if not nodes:
                return nothing_selected(options.label, options.target)
            answers = await heights_of(nodes, timeout=timeout)
            if not best and answers.said:
                best.append(max(answers.said.values()))
            return judged(options.label, options.by, best[0] if best else None, answers)

        return await context.poll_check(options.label, look, within=options.within)


def judged(name: str, by: int, best: int | None, answers: Answers[int]) -> Check:
    """Whether every node is ``by`` blocks above ``best``, the greatest height of the first look. Pure."""
    goal = by if best is None else best + by
    below = [node for node, height in answers.said.items() if height < goal]
    lines = cut([*(f"{node}: height {height}" for node, height in answers.said.items()), *answers.silence])
    if below:
        return Check(name, Verdict.FAIL, f"{names(below)} did not get to height {goal}", lines)
    if answers.silent:
        return Check(name, Verdict.UNKNOWN, f"no height from {names(tuple(answers.silent))}", lines)
    return Check(name, Verdict.PASS, f"{len(answers.said)} nodes got to height {goal}, which none had before", lines)
