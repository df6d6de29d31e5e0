"""What a step of a scenario is: the protocols that built-in and third-party steps and checks implement.

An entry point of the group ``nodeyard.operations`` or ``nodeyard.expectations`` refers to a class with these
attributes, made without arguments. Its name is the word in a scenario. Must not live here: any step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import CheckOptions, StepOptions
from nodeyard.domain.verdict import Check

if TYPE_CHECKING:
    from nodeyard.runtime.context import StepContext


class Operation(Protocol):
    """A step that acts: ``- WORD: {options}``. Holds no state, so one instance serves all its uses.

    ``options`` arguments are instances of the class attribute ``options``.
    """

    word: ClassVar[str]
    summary: ClassVar[str]
    options: ClassVar[type[StepOptions]]

    def requires(self, options: Any) -> tuple[Requirement, ...]:
        """What the step will use of the network. Pure; preflight and ``plan`` ask it."""

    async def run(self, options: Any, context: StepContext) -> None:
        """Do it. Raises a ``NodeyardError`` when it cannot be done; it is cancelled when the deadline passes."""


class Expectation(Protocol):
    """A check: ``{use: WORD, ...}``, as a step under ``expect`` or at the end. Holds no state.

    ``from_record`` says that it decides by what was recorded, so that it can still be evaluated after the run's
    deadline; the others are unknown then.
    """

    word: ClassVar[str]
    summary: ClassVar[str]
    options: ClassVar[type[CheckOptions]]
    from_record: ClassVar[bool]

    def requires(self, options: Any) -> tuple[Requirement, ...]:
        """What the check will use of the network. Pure."""

    async def check(self, options: Any, context: StepContext) -> Check:
        """Decide, by the deadline of the options at the latest. A check that raises is unknown."""


__all__ = ["Expectation", "Operation", "Requirement"]
