"""What faults on nodes may say in a scenario."""

from __future__ import annotations

from pydantic import Field, model_validator

from nodeyard.domain.scenario_spec import FaultOptions
from nodeyard.domain.selectors import SelectorField


class TargetedFault(FaultOptions):
    """A fault on certain nodes, chosen anew at each injection."""

    target: SelectorField = Field(description="which nodes; random picks are made anew at each injection")


class MomentaryFault(TargetedFault):
    """A fault that is over by itself once it is done."""

    @model_validator(mode="after")
    def _no_duration(self) -> MomentaryFault:
        if self.for_ is not None:
            raise ValueError(f"'{self.use}' is over when the nodes are back, so 'for' says nothing; leave it out")
        return self
