"""From a loaded scenario to what bootstrap and runtime are asked to do. Connects levels; decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nodeyard._aio.clock import Clock
from nodeyard.app.config import Secrets, Settings
from nodeyard.app.registry import Registry
from nodeyard.app.spec_loader import LoadedScenario
from nodeyard.bootstrap.request import BootstrapRequest, PlannedOperation
from nodeyard.domain.run_identity import RunMark
from nodeyard.domain.scenario_spec import (
    CheckOptions,
    FaultOptions,
    ParallelOptions,
    RunOptions,
    ScenarioSpec,
    StepSpec,
    WorkloadOptions,
)
from nodeyard.domain.sources import Attached, Managed
from nodeyard.errors.base import InternalError, NodeyardError
from nodeyard.ports.ledger import Json, Ledger, LedgerEntry
from nodeyard.ports.observer import Emit
from nodeyard.ports.plugins import PluginContext
from nodeyard.ports.transport import Transport
from nodeyard.runtime.scenario_runtime import label_of


@dataclass(frozen=True)
class Wires:
    """What a run, a plan or a preflight has of its own."""

    mark: RunMark
    folder: Path
    ledger: Ledger
    clock: Clock
    emit: Emit
    transport: Transport
    secrets: Secrets
    seed: int
    deadline: float
    give_up: Callable[[NodeyardError], None]


def bootstrap_request(loaded: LoadedScenario, settings: Settings, registry: Registry, wires: Wires) -> BootstrapRequest:
    """Everything that the nine steps need. Makes deployer and provider, which do nothing yet."""
    spec, source = loaded.spec, loaded.spec.source
    kinds = loaded.registry.kinds  # each is loaded when it is asked for
    context = PluginContext(
        mark=wires.mark,
        folder=wires.folder,
        base=loaded.base,
        cache=settings.cache,
        ledger=wires.ledger,
        clock=wires.clock,
        emit=wires.emit,
        transport=wires.transport,
        secrets=wires.secrets,
        environment=settings.environment,
        kind=spec.kind,
        kinds=kinds,
        scenario=spec.name,
        give_up=wires.give_up,
    )
    deployer = registry.deployers[source.deployer.type] if isinstance(source, Managed) else None
    attach = registry.attach[source.attach.type] if isinstance(source, Attached) else None
    return BootstrapRequest(
        spec=spec,
        seed=wires.seed,
        kinds=kinds,
        context=context,
        deployer=deployer.create(source.deployer, context) if deployer and isinstance(source, Managed) else None,
        deployer_capabilities=deployer.capabilities if deployer else frozenset(),
        attach=attach.create(source.attach, context) if attach and isinstance(source, Attached) else None,
        planned=planned_operations(spec, registry),
        deadline=wires.deadline,
    )


def planned_operations(spec: ScenarioSpec, registry: Registry) -> tuple[PlannedOperation, ...]:
    """What every step, workload, fault and check will need of the network, so that preflight can refuse it."""
    uses = [use for index, step in enumerate(spec.steps) for use in _uses(step, f"steps.{index}", registry)]
    uses += _run_uses(spec.run, "run", registry) if spec.run is not None else ()
    uses += _many_uses(spec.expectations, "expectations", registry.expectations)
    return tuple(PlannedOperation(label, need) for label, plugin, options in uses for need in plugin.requires(options))


Use = tuple[str, Any, Any]
"""Where something is used in a scenario, the plugin, and its options."""


def _uses(step: StepSpec, place: str, registry: Registry) -> Iterator[Use]:
    options = step.options
    if isinstance(options, ParallelOptions):
        for index, part in enumerate(options.steps):
            yield from _uses(part, f"{place}.{step.word}.{index}", registry)
    elif isinstance(options, RunOptions):
        yield from _run_uses(options, f"{place}.{step.word}", registry)
    elif isinstance(options, CheckOptions):
        yield f"{place}.{step.word}.{options.use}", registry.expectations[options.use], options
    else:
        yield f"{place}.{step.word}", registry.operations[step.word], options


def _run_uses(run: RunOptions, place: str, registry: Registry) -> Iterator[Use]:
    yield from _many_uses(run.workloads, f"{place}.workloads", registry.workloads)
    yield from _many_uses(run.faults, f"{place}.faults", registry.faults)
    yield from _many_uses(run.always, f"{place}.always", registry.expectations)


def _many_uses(
    uses: Sequence[WorkloadOptions | FaultOptions | CheckOptions], place: str, plugins: Mapping[str, Any]
) -> Iterator[Use]:
    for index, options in enumerate(uses):
        yield f"{place}.{index}.{options.use}", plugins[options.use], options


def step_labels(spec: ScenarioSpec) -> Sequence[str]:
    return [label_of(step) for step in spec.all_steps]


def check_labels(spec: ScenarioSpec) -> Sequence[str]:
    return [check.label for check in spec.expectations]


class NoLedger:
    """The ledger of whatever must not create anything (``plan``, ``preflight``, ``attach``): it refuses."""

    takes_nothing: Literal[True] = True

    def __init__(self, mark: RunMark) -> None:
        self.mark = mark

    async def record(
        self, by: str, type: str, *, node: str | None, data: Mapping[str, Json], inverse: bool = False
    ) -> LedgerEntry:
        raise InternalError(f"{by} wanted to make a {type} where nothing may be made", node=node)

    def amend(self, entry: LedgerEntry, data: Mapping[str, Json]) -> LedgerEntry:
        return entry

    def settle(self, entry: LedgerEntry) -> None:
        """Nothing was recorded."""

    def open_entries(self) -> tuple[LedgerEntry, ...]:
        return ()
