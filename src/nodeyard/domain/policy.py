"""Readiness, membership and bootstrap policies: what a scenario may declare, and the pure rules that decide on them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from nodeyard.domain.capability import OnConflict
from nodeyard.domain.node_handle import OriginClass
from nodeyard.domain.quantity import PositiveDuration
from nodeyard.domain.selectors import SelectorField
from nodeyard.domain.sources import Spec


class MembershipPolicy(StrEnum):
    """``strict``: a partial discovery is fatal. ``degradable``: it is a warning while readiness can still be met."""

    STRICT = "strict"
    DEGRADABLE = "degradable"


class BootstrapPolicy(Spec):
    """How managed nodes find the network. ``seeds`` is the least number of seeds for each managed node."""

    seeds: Annotated[int, Field(ge=0, le=64)] = Field(default=2, description="least number of seeds per managed node")


class OwnershipPolicy(Spec):
    """What happens when a node is both owned and borrowed."""

    on_conflict: OnConflict = Field(default=OnConflict.FAIL, description="which side decides what is allowed")


class NetworkPins(Spec):
    """Facts that every node of the scenario must have; ``null`` pins nothing."""

    id: str | None = Field(default=None, description="network, cluster or chain id")
    genesis: str | None = Field(default=None, description="hash of the genesis")
    protocol: str | None = Field(default=None, description="protocol version")


Minimum = Annotated[int, Field(ge=0)] | Literal["all"]


class ReadinessSpec(Spec):
    """When the network counts as ready. Which fields apply depends on ``policy``."""

    model_config = ConfigDict(json_schema_extra=lambda schema: schema.update(allOf=_schemas_of_policies()))

    policy: Literal["all", "required", "quorum", "source-aware"] = Field(
        default="all", description="which nodes must be ready"
    )
    nodes: SelectorField | None = Field(default=None, description="required: a node selector")
    min: Annotated[int, Field(ge=1)] | None = Field(default=None, description="quorum: a number of nodes")
    ratio: Annotated[float, Field(gt=0, le=1)] | None = Field(default=None, description="quorum: a share of nodes")
    managed: Minimum | None = Field(default=None, description="source-aware: least managed nodes")
    attached: Minimum | None = Field(default=None, description="source-aware: least attached nodes")
    external: Minimum | None = Field(default=None, description="source-aware: least external nodes")
    total: Minimum | None = Field(default=None, description="source-aware: least nodes in all")
    timeout: PositiveDuration = Field(default=60.0, description="how long readiness may take")
    consecutive: Annotated[int, Field(ge=1, le=100)] = Field(default=2, description="good probes in a row")

    @model_validator(mode="after")
    def _fields_of_policy(self) -> ReadinessSpec:
        problem = policy_problem(self)
        if problem:
            raise ValueError(problem)
        return self


FIELDS_OF_POLICY: Mapping[str, tuple[str, ...]] = {
    "all": (),
    "required": ("nodes",),
    "quorum": ("min", "ratio"),
    "source-aware": ("managed", "attached", "external", "total"),
}


def _schemas_of_policies() -> list[dict[str, Any]]:
    """What ``policy_problem`` says, as JSON Schema."""
    rules: list[dict[str, Any]] = []
    everything = [key for keys in FIELDS_OF_POLICY.values() for key in keys]
    for policy, keys in FIELDS_OF_POLICY.items():
        here: dict[str, Any] = {"properties": {"policy": {"const": policy}}}
        if policy != "all":  # the default: it holds also where nothing is said
            here["required"] = ["policy"]
        then: dict[str, Any] = {"properties": {key: {"type": "null"} for key in everything if key not in keys}}
        if keys:
            then["oneOf" if policy == "quorum" else "anyOf"] = [{"required": [key]} for key in keys]
        rules.append({"if": here, "then": then})
    return rules


def policy_problem(spec: ReadinessSpec) -> str:
    """What is wrong with the combination of fields, or an empty text."""
    mine = FIELDS_OF_POLICY[spec.policy]
    given = [f for fields in FIELDS_OF_POLICY.values() for f in fields if getattr(spec, f) is not None]
    strange = [f for f in given if f not in mine]
    if strange:
        return f"'{strange[0]}' does not belong to policy '{spec.policy}'"
    if spec.policy == "required" and spec.nodes is None:
        return "policy 'required' needs nodes, a node selector"
    if spec.policy == "quorum" and (spec.min is None) == (spec.ratio is None):
        return "policy 'quorum' needs either min or ratio"
    if spec.policy == "source-aware" and not given:
        return "policy 'source-aware' needs a minimum for managed, attached, external or total"
    return ""


@dataclass(frozen=True)
class Member:
    """One declared member of the network. ``node`` is ``None`` for a member that was declared but never found."""

    origin: OriginClass
    node: str | None


@dataclass(frozen=True)
class Satisfied:
    """The policy is met."""


@dataclass(frozen=True)
class Waiting:
    """The policy can still be met; ``laggards`` are the nodes that it waits for."""

    laggards: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Impossible:
    """The policy cannot be met any more, whatever happens to the nodes that are not ready."""

    laggards: tuple[str, ...]
    reason: str


Barrier = Satisfied | Waiting | Impossible


@dataclass(frozen=True)
class Need:
    """A least number of ready nodes among some members."""

    label: str
    members: tuple[Member, ...]
    least: int


def needs(spec: ReadinessSpec, members: Collection[Member], required: Collection[str] = ()) -> tuple[Need, ...]:
    """What a policy demands of the declared membership, as counts.

    ``required`` are the nodes that the selector of policy ``required`` finds. Two members that turned out to be one
    node count once in each need.
    """
    everyone = _distinct(members)
    if spec.policy == "all":
        return (Need("all nodes", everyone, len(everyone)),)
    if spec.policy == "required":
        wanted = frozenset(required)
        chosen = tuple(m for m in everyone if m.node in wanted)
        return (Need("the required nodes", chosen, max(len(chosen), 1)),)
    if spec.policy == "quorum":
        least = spec.min if spec.min is not None else max(1, ceil((spec.ratio or 0) * len(everyone) - 1e-9))
        return (Need("the declared nodes", everyone, least),)
    found = [_source_need(spec, origin, members) for origin in OriginClass]
    demands = [need for need in found if need is not None]
    if spec.total is not None:
        demands.append(Need("all sources", everyone, len(everyone) if spec.total == "all" else spec.total))
    return tuple(demands)


def _distinct(members: Iterable[Member]) -> tuple[Member, ...]:
    """Each node once, by its first member; members without a node are all different."""
    kept: dict[object, Member] = {}
    for position, member in enumerate(members):
        kept.setdefault(position if member.node is None else member.node, member)
    return tuple(kept.values())


def _source_need(spec: ReadinessSpec, origin: OriginClass, members: Collection[Member]) -> Need | None:
    minimum: int | Literal["all"] | None = getattr(spec, origin.value)
    if minimum is None:
        return None
    mine = _distinct(m for m in members if m.origin is origin)
    return Need(f"{origin} nodes", mine, len(mine) if minimum == "all" else minimum)


def impossible_from_start(spec: ReadinessSpec, members: Collection[Member]) -> str:
    """Why a policy could not be met even if every declared member were ready, or an empty text."""
    if spec.policy == "required":
        return ""
    for need in needs(spec, members):
        if need.least > len(need.members):
            return f"readiness wants {need.least} of {need.label}, but there are only {len(need.members)}"
    return ""


def evaluate(demands: Collection[Need], ready: Collection[str], lost: Collection[str]) -> Barrier:
    """Is the barrier open? ``ready`` and ``lost`` are node ids; a lost node can never become ready, whatever it was.

    A declared member that was never found counts as lost: denominators are what was declared.
    """
    up, gone = frozenset(ready) - frozenset(lost), frozenset(lost)
    waiting: list[str] = []
    reasons: list[str] = []
    for need in demands:
        good = [m for m in need.members if m.node in up]
        hopeful = [m for m in need.members if m.node is not None and m.node not in gone]
        if len(good) >= need.least:
            continue
        reason = f"{len(good)} of {need.label} ready, {need.least} wanted"
        if len(hopeful) < need.least:
            behind = (m for m in need.members if m.node not in up)
            missing = tuple(sorted(m.node or f"(an undiscovered {m.origin} node)" for m in behind))
            return Impossible(missing, f"{reason}, and only {len(hopeful)} can still become ready")
        waiting += [m.node for m in hopeful if m.node is not None and m.node not in up]
        reasons.append(reason)
    if not reasons:
        return Satisfied()
    return Waiting(tuple(sorted(set(waiting))), "; ".join(reasons))


def lost_managed_is_fatal(spec: ReadinessSpec) -> bool:
    """A managed node lost before the barrier ends the run, unless ``source-aware`` lowered its minimum."""
    return not (spec.policy == "source-aware" and spec.managed is not None and spec.managed != "all")
