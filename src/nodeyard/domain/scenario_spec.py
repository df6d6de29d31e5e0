"""A scenario as a value: the declared sources, policies and steps. Frozen, one JSON Schema.

The registry narrows ``source`` and ``steps`` to what is installed; everything else is complete here.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field, SerializeAsAny, model_validator
from pydantic_core import PydanticCustomError

from nodeyard.domain.policy import (
    BootstrapPolicy,
    MembershipPolicy,
    NetworkPins,
    OwnershipPolicy,
    ReadinessSpec,
)
from nodeyard.domain.quantity import Duration, PositiveDuration
from nodeyard.domain.sources import Attached, ExternalOnly, Managed, NodeGroup, Source, Spec

FORMAT_VERSION = 1
NAMES_TWICE: Final = "names_twice"
"""The type of the error that two nodes have one name."""


class StepOptions(Spec):
    """What every step may say. ``readiness`` is a barrier of its own, after the step's act."""

    name: str | None = Field(default=None, description="what reports call the step")
    readiness: ReadinessSpec | None = Field(default=None, description="a barrier of its own, after the step's act")


class CheckOptions(Spec):
    """One use of an expectation: ``use`` names it, ``within`` is how long it may take to come true."""

    use: str = Field(description="which check")
    name: str | None = Field(default=None, description="what reports call the check; its word by default")

    @property
    def label(self) -> str:
        return self.name or self.use


class WorkloadOptions(Spec):
    """One use of a workload: ``use`` names it."""

    use: str = Field(description="which workload")
    name: str | None = Field(default=None, description="what reports call it; its word by default")

    @property
    def label(self) -> str:
        return self.name or self.use

    @property
    def ends_itself(self) -> bool:
        """Whether the traffic has an end of its own, so that its phase needs no ``for``."""
        return False


class FaultOptions(Spec):
    """One use of a fault: ``use`` names it; when it happens, for how long, and how many nodes it must leave alone."""

    use: str = Field(description="which fault")
    name: str | None = Field(default=None, description="what reports call it; its word by default")
    at: Duration | None = Field(default=None, description="how long after the phase's start it happens first")
    every: PositiveDuration | None = Field(default=None, description="it happens again and again, this long apart")
    for_: PositiveDuration | None = Field(default=None, alias="for", description="how long each one lasts")
    keep: Annotated[int, Field(ge=0)] | Literal["quorum"] | None = Field(
        default=None, description="how many nodes all faults together must leave alone: a number, or 'quorum'"
    )

    @property
    def label(self) -> str:
        """How people know it: its own name, else its word with its target if it has one."""
        target = getattr(self, "target", None)
        return self.name or (self.use if target is None else f"{self.use} {target}")

    @model_validator(mode="after")
    def _apart(self) -> FaultOptions:
        if self.every is not None and self.for_ is not None and self.for_ >= self.every:
            raise ValueError("'for' must be shorter than 'every': each fault ends before the next one begins")
        return self


class RunOptions(StepOptions):
    """Workloads and faults side by side: until ``for`` has passed, or until all workloads are done."""

    for_: PositiveDuration | None = Field(default=None, alias="for", description="how long the phase lasts at most")
    workloads: tuple[SerializeAsAny[WorkloadOptions], ...] = Field(default=(), description="the traffic")
    faults: tuple[SerializeAsAny[FaultOptions], ...] = Field(default=(), description="the harm that is done meanwhile")
    always: tuple[SerializeAsAny[CheckOptions], ...] = Field(
        default=(), description="checks made throughout; one that fails ends the phase"
    )

    @model_validator(mode="after")
    def _has_content_and_end(self) -> RunOptions:
        if not (self.workloads or self.faults or self.always):
            raise ValueError("a run has workloads, faults, or checks under 'always'")
        if self.for_ is None:
            endless = next((workload.use for workload in self.workloads if not workload.ends_itself), None)
            if endless is not None:
                raise ValueError(f"the workload '{endless}' has no end of its own, so the run needs 'for'")
            if not self.workloads and (not self.faults or any(fault.every is not None for fault in self.faults)):
                raise ValueError("nothing ends this run: it needs 'for'")
        return self


class StepSpec(Spec):
    """One step: a mapping with one key, the step's word, and its options under it.

    A subclass has one field; its alias, or else its name, is the word.
    """

    model_config = ConfigDict(populate_by_name=False)

    @property
    def word(self) -> str:
        name, field = next(iter(type(self).model_fields.items()))
        return field.alias or name

    @property
    def options(self) -> StepOptions | CheckOptions:
        found: StepOptions | CheckOptions = getattr(self, next(iter(type(self).model_fields)))
        return found


class RunStep(StepSpec):
    """A phase of traffic and faults."""

    body: SerializeAsAny[RunOptions] = Field(alias="run")


class ParallelOptions(StepOptions):
    """The steps of a group, as options like those of other steps."""

    steps: tuple[SerializeAsAny[StepSpec], ...]


class ParallelStep(StepSpec):
    """Steps side by side; the group ends when all have ended."""

    body: tuple[SerializeAsAny[StepSpec], ...] = Field(alias="parallel", min_length=1)

    @property
    def options(self) -> ParallelOptions:
        return ParallelOptions.model_construct(steps=self.body)


class ScenarioSpec(Spec):
    """One scenario file."""

    nodeyard: Literal[1] = Field(description="format version")
    name: Annotated[str, Field(min_length=1, max_length=100)] = Field(
        default="scenario", description="what reports call the scenario"
    )
    description: str | None = Field(default=None, description="what it is about, for people")
    kind: str = Field(description="default kind of all nodes")
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = Field(
        default=None, description="of every random choice; chosen and printed if absent"
    )
    source: Source = Field(description="where the nodes come from")
    network: NetworkPins = NetworkPins()
    bootstrap: BootstrapPolicy = BootstrapPolicy()
    readiness: ReadinessSpec = ReadinessSpec()
    membership: MembershipPolicy = MembershipPolicy.STRICT
    ownership: OwnershipPolicy = OwnershipPolicy()
    deadline: PositiveDuration = Field(default=300.0, description="of bootstrap and steps together")
    steps: tuple[SerializeAsAny[StepSpec], ...] = Field(default=(), description="one after the other")
    run: SerializeAsAny[RunOptions] | None = Field(default=None, description="short for 'steps' with one 'run' alone")
    expectations: tuple[SerializeAsAny[CheckOptions], ...] = Field(
        default=(), description="checks at the end, even after an earlier failure"
    )

    @property
    def all_steps(self) -> tuple[StepSpec, ...]:
        """The steps, also those of the short form."""
        return self.steps if self.run is None else (RunStep.model_construct(body=self.run),)

    @model_validator(mode="after")
    def _one_form(self) -> ScenarioSpec:
        if self.run is not None and self.steps:
            raise ValueError("'run' stands for all steps; beside 'steps' write it as one of them, '- run: {...}'")
        return self

    @model_validator(mode="after")
    def _unique_names(self) -> ScenarioSpec:
        names = [*managed_names(self), *(node.name for node in self.source.external)]
        twice = sorted(name for name, uses in Counter(names).items() if uses > 1)
        if twice:
            said = "two nodes are called '{first}'; names are unique within a scenario"
            raise PydanticCustomError(NAMES_TWICE, said, {"first": twice[0]})
        return self


def node_groups(spec: ScenarioSpec) -> tuple[NodeGroup, ...]:
    return spec.source.nodes if isinstance(spec.source, Managed) else ()


def managed_names(spec: ScenarioSpec) -> tuple[str, ...]:
    return tuple(name for group in node_groups(spec) for name in group.names)


__all__ = [
    "FORMAT_VERSION",
    "Attached",
    "CheckOptions",
    "ExternalOnly",
    "FaultOptions",
    "Managed",
    "ParallelOptions",
    "ParallelStep",
    "RunOptions",
    "RunStep",
    "ScenarioSpec",
    "StepOptions",
    "StepSpec",
    "WorkloadOptions",
    "managed_names",
    "node_groups",
]
