"""The expectation ``height-advances``: the height of every selected node grows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nodeyard.domain.capability import Capability
from nodeyard.domain.node_client import ReportsHeight
from nodeyard.domain.quantity import PositiveDuration
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import CheckOptions
from nodeyard.domain.selectors import ALL, SelectorField
from nodeyard.domain.verdict import Check, Verdict
from nodeyard.expectations._asking import Answers, ask_all, cut, names, nothing_selected, request_timeout
from nodeyard.runtime.context import StepContext


class HeightAdvancesOptions(CheckOptions):
    """Which nodes, and how long it may take."""

    use: Literal["height-advances"]
    target: SelectorField = ALL
    by: Annotated[int, Field(ge=1)] = Field(default=1, description="by how much, at the least")
    per: Literal["node", "origin"] = Field(
        default="node", description="node: each must grow; origin: one of each origin class must"
    )
    within: PositiveDuration = Field(default=10.0, description="how long it may take to come true")


class HeightAdvances:
    """The height of every selected node grows."""

    word: ClassVar[str] = "height-advances"
    summary: ClassVar[str] = "the height of every selected node grows"
    options: ClassVar[type[CheckOptions]] = HeightAdvancesOptions
    from_record: ClassVar[bool] = False

    def requires(self, options: HeightAdvancesOptions) -> tuple[Requirement, ...]:
        return (Requirement(options.target, Capability.QUERY, ReportsHeight),)

    async def check(self, options: HeightAdvancesOptions, context: StepContext) -> Check:
        timeout = request_timeout(options.within)
        first: dict[str, int] = {}
        most: dict[str, int] = {}

        async def look() -> Check:
            found = await context.find(options.target)
            if not found.nodes:
                return nothing_selected(options.label, options.target)
            answers = await ask_all(found.nodes, lambda node: node.client(ReportsHeight).height(timeout=timeout))
            for node, height in answers.said.items():
                first.setdefault(node, height)
                most[node] = max(height, most.get(node, height))
            if options.per == "origin":
                origins = {node.id: node.handle.origin_class.value for node in found.nodes}
                return judged_per_origin(options.label, options.by, first, most, origins, answers)
            return judged(options.label, options.by, first, most, answers)

        return await context.poll_check(options.label, look, within=options.within)


def judged_per_origin(
    name: str,
    by: int,
    first: Mapping[str, int],
    most: Mapping[str, int],
    origins: Mapping[str, str],
    answers: Answers[int],
) -> Check:
    """Whether of each origin class at least one node's height grew by ``by``, as seen through that origin. Pure."""
    grown = {node: most[node] - first[node] for node in first}
    lines = cut(
        [f"{node} ({origins[node]}): {first[node]} to {most[node]}" for node in first if node in origins]
        + list(answers.silence)
    )
    without = [o for o in dict.fromkeys(origins.values()) if not any(grown.get(n, 0) >= by for n in _of(o, origins))]
    mute = [origin for origin in without if all(node in answers.silent for node in _of(origin, origins))]
    if len(mute) < len(without):
        who = ", ".join(origin for origin in without if origin not in mute)
        return Check(name, Verdict.FAIL, f"no {who} node's height grew by {by} or more", lines)
    if mute:
        return Check(name, Verdict.UNKNOWN, f"no height from any {', '.join(mute)} node", lines)
    seen = ", ".join(dict.fromkeys(origins.values()))
    return Check(name, Verdict.PASS, f"the height grew by {by} or more as seen through {seen} nodes", lines)


def _of(origin: str, origins: Mapping[str, str]) -> list[str]:
    return [node for node, known in origins.items() if known == origin]


def judged(name: str, by: int, first: Mapping[str, int], most: Mapping[str, int], answers: Answers[int]) -> Check:
    """Whether every node's height grew by ``by`` since it was first asked. Pure.

    A node that was seen to grow has grown, even if it is silent now. One that answers and has not is a failure.
    """
    grown = {node: most[node] - first[node] for node in first}
    asked = [*answers.said, *answers.silent]
    standing = [node for node in answers.said if grown[node] < by]
    undecided = [node for node in answers.silent if grown.get(node, 0) < by]
    lines = cut(
        [f"{node}: {first[node]} to {most[node]}" if node in first else f"{node}: not known" for node in asked]
        + list(answers.silence)
    )
    if standing:
        reason = f"the height of {names(standing)} grew by less than {by}"
        return Check(name, Verdict.FAIL, reason, lines)
    if undecided:
        return Check(name, Verdict.UNKNOWN, f"no height from {names(undecided)}", lines)
    return Check(name, Verdict.PASS, f"the height of {len(asked)} nodes grew by {by} or more", lines)
