"""The lifecycle steps: start, stop, restart, kill, pause, resume, patch.

Each says which nodes; ``runtime.node_ops`` decides whether it may, does it and waits. ``stop``, ``restart`` and
``patch`` take one node at a time, so that a quorum can survive them; the others go side by side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from nodeyard.domain.capability import Capability
from nodeyard.domain.quantity import Switch
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import StepOptions
from nodeyard.domain.selectors import SelectorField
from nodeyard.domain.sources import Scalar

if TYPE_CHECKING:
    from nodeyard.runtime.context import StepContext

RUNNING = frozenset({"running", "unknown"})
"""States of a node that a random pick may find for an operation on a running node."""
DOWN = frozenset({"stopped", "exited", "unknown"})
FROZEN = frozenset({"paused", "unknown"})


class TargetOptions(StepOptions):
    """Which nodes."""

    target: SelectorField


class ReadyOptions(TargetOptions):
    """Which nodes, and whether the step waits until they are ready again."""

    wait: Switch = Field(default=True, description="return only when the node is ready again")


class PatchOptions(ReadyOptions):
    """Which nodes, and the config keys that change; keys that are not named keep their value."""

    config: Annotated[dict[str, Scalar], Field(min_length=1)] = Field(description="the settings that change")


class Start:
    """Start stopped or on-demand nodes, side by side."""

    word: ClassVar[str] = "start"
    summary: ClassVar[str] = "start stopped or on-demand nodes"
    options: ClassVar[type[StepOptions]] = ReadyOptions

    def requires(self, options: ReadyOptions) -> tuple[Requirement, ...]:
        return (Requirement(options.target, Capability.START),)

    async def run(self, options: ReadyOptions, context: StepContext) -> None:
        nodes = await context.select(options.target, Capability.START, states=DOWN)
        await context.side_by_side(lambda node: node.start(wait=options.wait), nodes)


class Stop:
    """Stop nodes gracefully, one at a time."""

    word: ClassVar[str] = "stop"
    summary: ClassVar[str] = "stop nodes gracefully, one at a time"
    options: ClassVar[type[StepOptions]] = TargetOptions

    def requires(self, options: TargetOptions) -> tuple[Requirement, ...]:
        return (Requirement(options.target, Capability.STOP),)

    async def run(self, options: TargetOptions, context: StepContext) -> None:
        for node in await context.select(options.target, Capability.STOP, states=RUNNING):
            await node.stop()


class Restart:
    """Restart nodes gracefully, one at a time."""

    word: ClassVar[str] = "restart"
    summary: ClassVar[str] = "stop and start nodes, one at a time"
    options: ClassVar[type[StepOptions]] = ReadyOptions

    def requires(self, options: ReadyOptions) -> tuple[Requirement, ...]:
        return (Requirement(options.target, Capability.RESTART),)

    async def run(self, options: ReadyOptions, context: StepContext) -> None:
        for node in await context.select(options.target, Capability.RESTART, states=RUNNING):
            await node.restart(wait=options.wait)


class Kill:
    """Kill nodes at once, side by side."""

    word: ClassVar[str] = "kill"
    summary: ClassVar[str] = "end nodes at once, without a goodbye"
    options: ClassVar[type[StepOptions]] = TargetOptions

    def requires(self, options: TargetOptions) -> tuple[Requirement, ...]:
        return (Requirement(options.target, Capability.KILL),)

    async def run(self, options: TargetOptions, context: StepContext) -> None:
        nodes = await context.select(options.target, Capability.KILL, states=RUNNING)
        await context.side_by_side(lambda node: node.kill(), nodes)


class Pause:
    """Freeze nodes, side by side."""

    word: ClassVar[str] = "pause"
    summary: ClassVar[str] = "freeze nodes"
    options: ClassVar[type[StepOptions]] = TargetOptions

    def requires(self, options: TargetOptions) -> tuple[Requirement, ...]:
        return (Requirement(options.target, Capability.PAUSE),)

    async def run(self, options: TargetOptions, context: StepContext) -> None:
        nodes = await context.select(options.target, Capability.PAUSE, states=RUNNING)
        await context.side_by_side(lambda node: node.pause(), nodes)


class Resume:
    """Let frozen nodes go on, side by side."""

    word: ClassVar[str] = "resume"
    summary: ClassVar[str] = "let frozen nodes go on"
    options: ClassVar[type[StepOptions]] = ReadyOptions

    def requires(self, options: ReadyOptions) -> tuple[Requirement, ...]:
        return (Requirement(options.target, Capability.PAUSE),)

    async def run(self, options: ReadyOptions, context: StepContext) -> None:
        nodes = await context.select(options.target, Capability.PAUSE, states=FROZEN)
        await context.side_by_side(lambda node: node.resume(wait=options.wait), nodes)


class Patch:
    """Change the config of nodes and restart them into it, one at a time."""

    word: ClassVar[str] = "patch"
    summary: ClassVar[str] = "change the config of nodes and restart them into it, one at a time"
    options: ClassVar[type[StepOptions]] = PatchOptions

    def requires(self, options: PatchOptions) -> tuple[Requirement, ...]:
        return (Requirement(options.target, Capability.PATCH),)

    async def run(self, options: PatchOptions, context: StepContext) -> None:
        for node in await context.select(options.target, Capability.PATCH, states=RUNNING):
            await node.patch(options.config, wait=options.wait)
