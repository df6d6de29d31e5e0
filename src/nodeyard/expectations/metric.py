"""The expectation ``metric``: what the selected nodes say of themselves in the text format of Prometheus."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from nodeyard.domain.capability import Capability
from nodeyard.domain.node_client import ReportsMetrics
from nodeyard.domain.quantity import PositiveDuration
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import CheckOptions
from nodeyard.domain.selectors import ALL, SelectorField
from nodeyard.domain.verdict import Check, Verdict
from nodeyard.errors.provider import NodeAnswerInvalid
from nodeyard.expectations._asking import Answers, ask_all, cut, names, nothing_selected, request_timeout
from nodeyard.runtime.context import StepContext
from nodeyard.runtime.node import Node

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
"""What a name can be in the text format of Prometheus."""


def _is_name(text: str) -> str:
    if NAME.fullmatch(text) is None:
        raise ValueError("the name of a sample has letters, digits, '_' and ':' only; its labels stand under 'labels'")
    return text


class MetricOptions(CheckOptions):
    """Which number, and what it must be."""

    use: Literal["metric"]
    metric: Annotated[str, AfterValidator(_is_name)] = Field(
        description="the name of the sample, as the node writes it", json_schema_extra={"pattern": f"^{NAME.pattern}$"}
    )
    labels: Mapping[str, str] = Field(
        default_factory=dict, description="labels that a sample must have; those that match are summed"
    )
    min: float | None = Field(default=None, description="the least value")
    max: float | None = Field(default=None, description="the greatest value")
    equals: float | None = Field(default=None, description="the very value")
    increase: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="by how much it must grow from the first look on"
    )
    target: SelectorField = ALL
    within: PositiveDuration = Field(default=10.0, description="how long it may take to come true")

    @model_validator(mode="after")
    def _some(self) -> MetricOptions:
        if self.min is self.max is self.equals is self.increase is None:
            raise ValueError("one of min, max, equals and increase is needed")
        return self

    @property
    def sample(self) -> str:
        """The query as people write it."""
        labels = ",".join(f'{key}="{value}"' for key, value in sorted(self.labels.items()))
        return f"{self.metric}{{{labels}}}" if labels else self.metric


class Metric:
    """A number that the nodes report is what it must be."""

    word: ClassVar[str] = "metric"
    summary: ClassVar[str] = "a number that each selected node reports is within limits, or grows"
    options: ClassVar[type[CheckOptions]] = MetricOptions
    from_record: ClassVar[bool] = False

    def requires(self, options: MetricOptions) -> tuple[Requirement, ...]:
        return (Requirement(options.target, Capability.QUERY, ReportsMetrics),)

    async def check(self, options: MetricOptions, context: StepContext) -> Check:
        timeout = request_timeout(options.within)
        first: dict[str, float] = {}

        async def read(node: Node) -> float | None:
            text = await node.client(ReportsMetrics).metrics(timeout=timeout)
            try:
                return total(text, options.metric, options.labels)
            except ValueError as error:
                raise NodeAnswerInvalid(f"its metrics cannot be read: {error}", node=node.id) from None

        async def look() -> Check:
            nodes = (await context.find(options.target)).nodes
            if not nodes:
                return nothing_selected(options.label, options.target)
            answers = await ask_all(nodes, read)
            for node, value in answers.said.items():
                if value is not None:
                    first.setdefault(node, value)
            return judged(options, first, answers)

        return await context.poll_check(options.label, look, within=options.within)


def total(text: str, metric: str, labels: Mapping[str, str]) -> float | None:
    """The sum of the samples of this name that have these labels; ``None`` where there is none. Pure.

    Raises ``ValueError`` for text in another format.
    """
    from prometheus_client.parser import text_string_to_metric_families  # late: it sets up collectors of its own

    values = [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == metric and labels.items() <= sample.labels.items()
    ]
    return sum(values) if values else None


def judged(options: MetricOptions, first: Mapping[str, float], answers: Answers[float | None]) -> Check:
    """Whether each node's number is what it must be. One that is not decides, whoever is silent. Pure."""
    name = options.label
    without = [node for node, value in answers.said.items() if value is None]
    known = {node: value for node, value in answers.said.items() if value is not None}
    wrong = {node: why for node, value in known.items() if (why := _wrong(options, value, first[node]))}
    lines = [f"{node}: {options.sample} is {value:g}" for node, value in known.items()]
    lines += [f"{node}: has no {options.sample}" for node in without]
    shown = cut([*lines, *answers.silence])
    if wrong:
        node, why = next(iter(wrong.items()))
        return Check(name, Verdict.FAIL, f"{names(tuple(wrong))}: {options.sample} {why} ({node})", shown)
    if answers.silent or without:
        who = names((*without, *answers.silent))
        return Check(name, Verdict.UNKNOWN, f"no {options.sample} from {who}", shown)
    return Check(name, Verdict.PASS, f"{options.sample} is as it must be on {len(known)} nodes", shown)


def _wrong(options: MetricOptions, value: float, first: float) -> str:
    """What is wrong with a value, or an empty text."""
    if options.equals is not None and value != options.equals:
        return f"is {value:g}, not {options.equals:g}"
    if options.min is not None and not value >= options.min:
        return f"is {value:g}, below {options.min:g}"
    if options.max is not None and not value <= options.max:
        return f"is {value:g}, above {options.max:g}"
    if options.increase is not None and not value - first >= options.increase:
        return f"grew by {value - first:g} from {first:g}, less than {options.increase:g}"
    return ""
