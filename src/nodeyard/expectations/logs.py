"""The expectations ``log-present`` and ``log-absent``: what the nodes wrote into their logs."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from nodeyard.domain.capability import Capability
from nodeyard.domain.quantity import PositiveDuration
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import CheckOptions
from nodeyard.domain.selectors import ALL, SelectorField
from nodeyard.domain.verdict import Check, Verdict
from nodeyard.errors.provider import NodeRefused
from nodeyard.expectations._asking import Answers, ask_all, cut, names, nothing_selected
from nodeyard.runtime.context import StepContext
from nodeyard.runtime.node import Node


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return pattern


Pattern = Annotated[str, Field(min_length=1, description="a Python regular expression"), AfterValidator(_compiles)]


class LogPresentOptions(CheckOptions):
    """The pattern, and the nodes of which each must have a line that it matches somewhere."""

    use: Literal["log-present"]
    pattern: Pattern
    target: SelectorField = ALL
    within: PositiveDuration = Field(default=10.0, description="how long it may take to come true")


class LogAbsentOptions(CheckOptions):
    """The pattern, and the nodes of which none may have a line that it matches somewhere."""

    use: Literal["log-absent"]
    pattern: Pattern
    target: SelectorField = ALL


class LogPresent:
    """Every selected node wrote a line that matches."""

    word: ClassVar[str] = "log-present"
    summary: ClassVar[str] = "every selected node wrote a line that matches"
    options: ClassVar[type[CheckOptions]] = LogPresentOptions
    from_record: ClassVar[bool] = True

    def requires(self, options: LogPresentOptions) -> tuple[Requirement, ...]:
        return (Requirement(options.target),)

    async def check(self, options: LogPresentOptions, context: StepContext) -> Check:
        pattern = re.compile(options.pattern)

        async def look() -> Check:
            found = await context.find(options.target)
            if not found.nodes:
                return nothing_selected(options.label, options.target)
            return judged_present(options.label, options.pattern, await ask_all(found.nodes, matches_of(pattern)))

        return await context.poll_check(options.label, look, within=options.within)


class LogAbsent:
    """No selected node wrote a line that matches."""

    word: ClassVar[str] = "log-absent"
    summary: ClassVar[str] = "no selected node wrote a line that matches"
    options: ClassVar[type[CheckOptions]] = LogAbsentOptions
    from_record: ClassVar[bool] = True

    def requires(self, options: LogAbsentOptions) -> tuple[Requirement, ...]:
        return (Requirement(options.target),)

    async def check(self, options: LogAbsentOptions, context: StepContext) -> Check:
        found = await context.find(options.target)
        if not found.nodes:
            return nothing_selected(options.label, options.target)
        answers = await ask_all(found.nodes, matches_of(re.compile(options.pattern)))
        return judged_absent(options.label, options.pattern, answers)


def matches_of(pattern: re.Pattern[str]) -> Callable[[Node], Awaitable[tuple[str, ...]]]:
    """Reads a node's log and returns the lines that match, each with its number."""

    async def read(node: Node) -> tuple[str, ...]:
        if Capability.LOGS not in node.handle.capabilities:
            raise NodeRefused("its logs cannot be read", node=node.id, hint="leave it out with 'target:'")
        lines = await node.logs()
        return tuple(f"line {number}: {line}" for number, line in enumerate(lines, 1) if pattern.search(line))

    return read


def judged_present(name: str, pattern: str, answers: Answers[tuple[str, ...]]) -> Check:
    """Whether each node has a matching line; nodes whose logs cannot be read leave it open. Pure."""
    without = [node for node, lines in answers.said.items() if not lines]
    first = [f"{node}: {lines[0]}" for node, lines in answers.said.items() if lines]
    if without:
        evidence = [f"{node}: no line matches" for node in without]
        return Check(name, Verdict.FAIL, f"no line of {names(without)} matches /{pattern}/", cut(evidence + first))
    if answers.silent:
        reason = f"the logs of {names(tuple(answers.silent))} cannot be read"
        return Check(name, Verdict.UNKNOWN, reason, cut((*answers.silence, *first)))
    return Check(name, Verdict.PASS, f"{len(first)} of {len(first)} nodes wrote /{pattern}/", cut(first))


def judged_absent(name: str, pattern: str, answers: Answers[tuple[str, ...]]) -> Check:
    """Whether no node has a matching line; one that has decides, whoever cannot be read. Pure."""
    found = [f"{node}: {line}" for node, lines in answers.said.items() for line in lines]
    if found:
        who = names([node for node, lines in answers.said.items() if lines])
        return Check(name, Verdict.FAIL, f"{len(found)} lines of {who} match /{pattern}/", cut(found))
    if answers.silent:
        reason = f"the logs of {names(tuple(answers.silent))} cannot be read"
        return Check(name, Verdict.UNKNOWN, reason, cut(answers.silence))
    return Check(name, Verdict.PASS, f"no line of {len(answers.said)} nodes matches /{pattern}/")
