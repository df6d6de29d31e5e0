"""The expectation ``converged``: all selected nodes hold the same state."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from nodeyard.domain.capability import Capability
from nodeyard.domain.node_client import StateDigest
from nodeyard.domain.quantity import PositiveDuration
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import CheckOptions
from nodeyard.domain.selectors import ALL, SelectorField
from nodeyard.domain.verdict import Check, Verdict
from nodeyard.expectations._asking import Answers, ask_all, cut, names, nothing_selected, request_timeout
from nodeyard.runtime.context import StepContext


class ConvergedOptions(CheckOptions):
    """Which nodes, and how long it may take."""

    use: Literal["converged"]
    target: SelectorField = ALL
    within: PositiveDuration = Field(default=10.0, description="how long it may take to come true")


class Converged:
    """All selected nodes hold the same state."""

    word: ClassVar[str] = "converged"
    summary: ClassVar[str] = "all selected nodes hold the same state"
    options: ClassVar[type[CheckOptions]] = ConvergedOptions
    from_record: ClassVar[bool] = False

    def requires(self, options: ConvergedOptions) -> tuple[Requirement, ...]:
        return (Requirement(options.target, Capability.QUERY, StateDigest),)

    async def check(self, options: ConvergedOptions, context: StepContext) -> Check:
        timeout = request_timeout(options.within)

        async def look() -> Check:
            found = await context.find(options.target)
            if not found.nodes:
                return nothing_selected(options.label, options.target)
            kinds = {node.id: node.handle.kind for node in found.nodes}
            answers = await ask_all(found.nodes, lambda node: node.client(StateDigest).digest(timeout=timeout))
            return judged(options.label, answers, kinds)

        return await context.poll_check(options.label, look, within=options.within)


def judged(name: str, answers: Answers[Mapping[str, str]], kinds: Mapping[str, str]) -> Check:
    """Whether all nodes of each kind gave the same digest. Pure.

    Two different digests are a failure, whoever is silent; a silent node leaves the rest unknown; one node alone is
    compared with nothing.
    """
    groups: defaultdict[str, dict[str, tuple[tuple[str, str], ...]]] = defaultdict(dict)
    for node, digest in answers.said.items():
        groups[kinds[node]][node] = tuple(sorted(digest.items()))
    evidence = [f"{node}: {written(digest)}" for group in groups.values() for node, digest in group.items()]
    lines = cut((*answers.silence, *evidence))
    for kind, group in groups.items():
        if len(set(group.values())) > 1:
            reason = f"{len(set(group.values()))} different states on {len(group)} {kind} nodes"
            return Check(name, Verdict.FAIL, reason, lines)
    if answers.silent:
        return Check(name, Verdict.UNKNOWN, f"no digest from {names(tuple(answers.silent))}", lines)
    compared = [group for group in groups.values() if len(group) > 1]
    if not compared:
        return Check(name, Verdict.VACUOUS, "one node of a kind has no other to be compared with", lines)
    return Check(name, Verdict.PASS, f"the same state on {sum(len(group) for group in compared)} nodes", lines)


def written(digest: tuple[tuple[str, str], ...]) -> str:
    """A digest as evidence shows it."""
    return ", ".join(f"{key} {value}" for key, value in digest)
