"""The expectation ``halts``: no selected node's height grows any more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from nodeyard.domain.capability import Capability
from nodeyard.domain.node_client import ReportsHeight
from nodeyard.domain.quantity import PositiveDuration, format_duration
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import CheckOptions
from nodeyard.domain.selectors import ALL, SelectorField
from nodeyard.domain.verdict import Check, Verdict
from nodeyard.expectations._asking import Answers, cut, names, nothing_selected, request_timeout
from nodeyard.expectations._heights import down_among, heights_of
from nodeyard.runtime.context import StepContext


class HaltsOptions(CheckOptions):
    """Which nodes, how long they must stand still, and how long it may take."""

    use: Literal["halts"]
    target: SelectorField = ALL
    for_: PositiveDuration = Field(default=5.0, alias="for", description="how long no height may grow")
    within: PositiveDuration = Field(default=30.0, description="how long it may take to come true")

    @model_validator(mode="after")
    def _in_time(self) -> HaltsOptions:
        if self.for_ >= self.within:
            raise ValueError("'for' must be shorter than 'within', or it can never come true")
        return self


class Halts:
    """No selected node's height grows any more."""

    word: ClassVar[str] = "halts"
    summary: ClassVar[str] = "no selected node's height grows for a while"
    options: ClassVar[type[CheckOptions]] = HaltsOptions
    from_record: ClassVar[bool] = False

    def requires(self, options: HaltsOptions) -> tuple[Requirement, ...]:
        return (Requirement(options.target, Capability.QUERY, ReportsHeight),)

    async def check(self, options: HaltsOptions, context: StepContext) -> Check:
        timeout = request_timeout(options.within)
        since: dict[str, tuple[int, float]] = {}

        async def look() -> Check:
            nodes = (await context.find(options.target)).nodes
            if not nodes:
                return nothing_selected(options.label, options.target)
            down = await down_among(nodes)
            answers = await heights_of([node for node in nodes if node.id not in down], timeout=timeout)
            now = context.clock.now()
            for node, height in answers.said.items():
                if node not in since or since[node][0] != height:
                    since[node] = (height, now)
            still = {node: now - since[node][1] for node in answers.said}
            return judged(options.label, options.for_, answers, still, down)

        return await context.poll_check(options.label, look, within=options.within)


def judged(
    name: str, least: float, answers: Answers[int], still: Mapping[str, float], down: Mapping[str, str]
) -> Check:
    """Whether the height of every node that answers has stood still for ``least`` seconds. Pure.

    A node that is down does not count. One that should answer and does not leaves it unknown.
    """
    moving = [node for node, seconds in still.items() if seconds < least]
    lines = cut(
        [
            f"{node}: height {height}, for {format_duration(round(still[node], 1))}"
            for node, height in answers.said.items()
        ]
        + [f"{node}: {state}" for node, state in down.items()]
        + list(answers.silence)
    )
    wanted = format_duration(least)
    if moving:
        return Check(name, Verdict.FAIL, f"the height of {names(moving)} grew within the last {wanted}", lines)
    if answers.silent or not still:
        return Check(name, Verdict.UNKNOWN, f"no height from {names(tuple(answers.silent or down))}", lines)
    besides = f"; {len(down)} are down" if down else ""
    return Check(name, Verdict.PASS, f"the height of {len(still)} nodes stood still for {wanted}{besides}", lines)
