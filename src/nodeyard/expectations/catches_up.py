"""The expectation ``catches-up``: every selected node gets to the height of the network."""

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
from nodeyard.expectations._asking import Answers, cut, names, nothing_selected, request_timeout
from nodeyard.expectations._heights import down_among, heights_of
from nodeyard.runtime.context import StepContext


class CatchesUpOptions(CheckOptions):
    """Which nodes, how far behind they may be, and how long it may take."""

    use: Literal["catches-up"]
    target: SelectorField = ALL
    lag: Annotated[int, Field(ge=0)] = Field(default=2, description="how far behind the greatest height one may be")
    within: PositiveDuration = Field(default=60.0, description="how long it may take to come true")


class CatchesUp:
    """Every selected node gets to the height of the network: the greatest that any node of its kind has."""

    word: ClassVar[str] = "catches-up"
    summary: ClassVar[str] = "every selected node gets to the greatest height that any node has"
    options: ClassVar[type[CheckOptions]] = CatchesUpOptions
    from_record: ClassVar[bool] = False

    def requires(self, options: CatchesUpOptions) -> tuple[Requirement, ...]:
        return (Requirement(options.target, Capability.QUERY, ReportsHeight),)

    async def check(self, options: CatchesUpOptions, context: StepContext) -> Check:
        timeout = request_timeout(options.within)

        async def look() -> Check:
            selected = [node.id for node in (await context.find(options.target)).nodes]
            if not selected:
                return nothing_selected(options.label, options.target)
            everyone = [node for node in (await context.find(ALL)).nodes if node.speaks(ReportsHeight)]
            down = await down_among(everyone)
            kinds = {node.id: node.handle.kind for node in everyone}
            asked = [node for node in everyone if node.id in selected or node.id not in down]
            return judged(options.label, options.lag, selected, kinds, await heights_of(asked, timeout=timeout))

        return await context.poll_check(options.label, look, within=options.within)


def judged(name: str, lag: int, selected: list[str], kinds: Mapping[str, str], answers: Answers[int]) -> Check:
    """Whether each selected node is at most ``lag`` below the greatest height of its kind, at one look. Pure."""
    best = {
        kind: max((height for node, height in answers.said.items() if kinds[node] == kind), default=0)
        for kind in set(kinds.values())
    }
    behind = {node: best[kinds[node]] - answers.said[node] for node in selected if node in answers.said}
    late = [node for node, blocks in behind.items() if blocks > lag]
    lines = cut(
        [f"{node}: height {answers.said[node]}, {blocks} behind" for node, blocks in behind.items()]
        + [f"{node}: {why}" for node, why in answers.silent.items() if node in selected]
    )
    if late:
        return Check(name, Verdict.FAIL, f"{names(late)} is more than {lag} blocks behind", lines)
    mute = [node for node in selected if node not in behind]
    if mute:
        return Check(name, Verdict.UNKNOWN, f"no height from {names(mute)}", lines)
    if all(kinds[node] not in [kinds[n] for n in answers.said if n != node] for node in selected):
        return Check(name, Verdict.VACUOUS, "there is no other node to catch up with", lines)
    return Check(name, Verdict.PASS, f"{len(behind)} nodes are at most {lag} blocks behind", lines)
