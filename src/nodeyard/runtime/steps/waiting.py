"""The step ``wait``: a pause that the scenario asks for. The only fixed pause there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from nodeyard.domain.quantity import PositiveDuration
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import StepOptions

if TYPE_CHECKING:
    from nodeyard.runtime.context import StepContext


class WaitOptions(StepOptions):
    """How long to pause."""

    for_: PositiveDuration = Field(alias="for", description="how long")


class Wait:
    """Let time pass."""

    word: ClassVar[str] = "wait"
    summary: ClassVar[str] = "let time pass"
    options: ClassVar[type[StepOptions]] = WaitOptions

    def requires(self, options: WaitOptions) -> tuple[Requirement, ...]:
        return ()

    async def run(self, options: WaitOptions, context: StepContext) -> None:
        await context.clock.sleep(options.for_)
