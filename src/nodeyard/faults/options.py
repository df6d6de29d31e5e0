"""What faults on nodes may say in a scenario."""

from __future__ import annotations

from pydantic import Field, model_validator

from nodeyard.domain.capability import Capability
from nodeyard.domain.fault_schedule import least_members
from nodeyard.domain.network_rules import Effect
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import FaultOptions
from nodeyard.domain.selectors import SelectorField, SelectorKind


class TargetedFault(FaultOptions):
    """A fault on certain nodes, chosen anew at each injection."""

    target: SelectorField = Field(description="which nodes; random picks are made anew at each injection")

    def needs(self, capability: Capability, *, effects: tuple[Effect, ...] = ()) -> Requirement:
        """What the fault needs of its target; so few nodes that ``keep`` would always forbid it are refused early."""
        picked = {SelectorKind.ANY: self.target.count, SelectorKind.LEADER: 1}.get(self.target.kind)
        least = least_members(picked, self.keep) if picked is not None else 1
        return Requirement(self.target, capability, least=least, effects=effects)


class MomentaryFault(TargetedFault):
    """A fault that is over by itself once it is done."""

    @model_validator(mode="after")
    def _no_duration(self) -> MomentaryFault:
        if self.for_ is not None:
            raise ValueError(f"'{self.use}' is over when the nodes are back, so 'for' says nothing; leave it out")
        return self
