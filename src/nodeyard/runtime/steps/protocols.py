"""What a step of a scenario is: the protocols that built-in and third-party steps and checks implement.

An entry point of the group ``nodeyard.operations``, ``nodeyard.workloads``, ``nodeyard.faults`` or
``nodeyard.expectations`` refers to a class with these attributes, made without arguments. Its name is the word in a
scenario. Must not live here: any step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import CheckOptions, FaultOptions, StepOptions, WorkloadOptions
from nodeyard.domain.verdict import Check

if TYPE_CHECKING:
    from nodeyard.runtime.context import StepContext
    from nodeyard.runtime.node import Node


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


@dataclass(frozen=True)
class Proof:
    """Whether something was seen to be so, and what was seen. Never what was asked for.

    ``in_time`` is false where the run ended the look before it could be decided.
    """

    proven: bool
    evidence: str
    in_time: bool = True


class FaultGuard(Protocol):
    """One fault on certain nodes. The caller enters it (inject, prove) and leaves it (heal, prove healed) whatever
    happens meanwhile, cancellation included.
    """

    async def inject(self) -> None:
        """Do the harm. Whatever must be undone on a node that outlives the run is in the ledger before.

        Raises a ``NodeyardError`` when it cannot be done; ``heal`` is called all the same.
        """

    async def prove(self) -> Proof:
        """Look, by a probe of its own, whether the harm took effect. Ends by itself within seconds."""

    async def heal(self) -> None:
        """Undo the harm. Idempotent, also after an injection that failed half-way."""

    async def prove_healed(self) -> Proof:
        """Look whether the harm is over. Ends by itself, at the latest when nodes must be ready or the run ends."""


@runtime_checkable
class HoldsOn(Protocol):
    """A guard whose harm goes on by acts of its own while it is open."""

    async def hold(self) -> None:
        """Keep it up. Runs between proof and healing; it is cancelled when the fault's time is over."""


class Fault(Protocol):
    """Harm that is done to nodes and undone: ``{use: WORD, ...}`` under ``faults`` of a ``run`` step. Holds no state.

    When it happens and to which nodes is decided by its schedule, not by the fault. ``disables`` says that its nodes
    do no work meanwhile: they count as down for ``keep``, and no other such fault hits them until they are back.
    ``lasts`` is false for harm that is over by itself once it is done (a restart): nothing is held, and ``for`` has no
    meaning.
    """

    word: ClassVar[str]
    summary: ClassVar[str]
    options: ClassVar[type[FaultOptions]]
    disables: ClassVar[bool]
    lasts: ClassVar[bool]

    def requires(self, options: Any) -> tuple[Requirement, ...]:
        """What the fault will do to the network. Pure; preflight and ``plan`` ask it.

        The selector of the first one says which nodes it hits; each of them must permit all that stand with it.
        """

    def guard(self, options: Any, nodes: Sequence[Node], context: StepContext) -> FaultGuard:
        """One injection on these nodes. Does nothing yet."""


class FaultSchedule(Protocol):
    """Carries out the faults of one phase, each by its own schedule, beside the traffic."""

    async def __call__(self, faults: Sequence[FaultOptions], context: StepContext, *, over: asyncio.Event) -> None:
        """Inject, prove, heal and prove healed as the options say; tell it, and report what it came to.

        ``context.deadline`` is the end of the phase, and ``over`` ends it early: no fault begins after it, and what is
        open is healed then. Returns when nothing more will happen and the nodes are back. When cancelled, what is open
        is healed before the cancellation is raised on.
        """


class Workload(Protocol):
    """Traffic: ``{use: WORD, ...}`` under ``workloads`` of a ``run`` step. Holds no state.

    Each operation goes through ``context.history``, both its ends.
    """

    word: ClassVar[str]
    summary: ClassVar[str]
    options: ClassVar[type[WorkloadOptions]]

    def requires(self, options: Any) -> tuple[Requirement, ...]:
        """What the traffic will use of the network. Pure; preflight and ``plan`` ask it."""

    async def run(self, options: Any, context: StepContext) -> None:
        """Drive the traffic until ``context.deadline``, or until the workload has nothing more to do.

        No operation begins after the deadline; those under way are awaited, each for its own time-out. When cancelled,
        they are completed as ``info``. An exception ends the phase: an ``AssertionError`` is a failed check, any other
        an error.
        """


__all__ = [
    "Expectation",
    "Fault",
    "FaultGuard",
    "FaultSchedule",
    "HoldsOn",
    "Operation",
    "Proof",
    "Requirement",
    "Workload",
]
