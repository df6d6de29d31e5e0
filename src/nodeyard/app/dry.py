"""The verbs that make nothing: ``plan``, ``preflight`` and ``attach``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from nodeyard._aio.clock import SystemClock
from nodeyard.app.config import Secrets, Settings
from nodeyard.app.function_checks import check_functions
from nodeyard.app.registry import Registry
from nodeyard.app.run_folder import new_run_id
from nodeyard.app.spec_loader import LoadedScenario
from nodeyard.app.wiring import NoLedger, Wires, bootstrap_request, check_labels, step_labels
from nodeyard.bootstrap import plan_view
from nodeyard.bootstrap.orchestrator import Orchestrator
from nodeyard.bootstrap.request import BootstrapRequest
from nodeyard.domain.events import Event
from nodeyard.domain.launch_plan import AT_RUN
from nodeyard.domain.node_inventory import NodeInventory
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.validation import UsageError
from nodeyard.kinds._http import HttpTransport
from nodeyard.ledger.host import new_mark
from nodeyard.observability.redaction import Redactor
from nodeyard.ports.observer import Observer
from nodeyard.ports.plugins import close_all

PLANNING_SEED = 0
"""The seed of a plan for which none was chosen: a run chooses its own, and says so."""


def _nothing_to_end(_: NodeyardError) -> None:
    """Here no run is under way that could be given up."""


@asynccontextmanager
async def _request(
    loaded: LoadedScenario, settings: Settings, registry: Registry, seed: int | None, observers: Sequence[Observer] = ()
) -> AsyncIterator[tuple[BootstrapRequest, Redactor]]:
    """What a run of this scenario would be asked to do, with a ledger that refuses everything."""
    clock, redactor = SystemClock(), Redactor()
    secrets = Secrets(settings.environment, loaded.base)
    secrets.learned = redactor.add
    mark = new_mark(new_run_id(loaded.spec.name, clock.utc()))
    chosen = seed if seed is not None else loaded.spec.seed

    def emit(event: Event) -> None:
        shown = redactor.event(event)
        for observer in observers:
            observer.see(shown)

    async with HttpTransport(secrets, loaded.base) as transport:
        wires = Wires(
            mark=mark,
            folder=settings.output / AT_RUN,
            ledger=NoLedger(mark),
            clock=clock,
            emit=emit,
            transport=transport,
            secrets=secrets,
            seed=PLANNING_SEED if chosen is None else chosen,
            deadline=clock.now() + loaded.spec.deadline,
            give_up=_nothing_to_end,
        )
        request = bootstrap_request(loaded, settings, registry, wires)
        try:
            yield request, redactor
        finally:
            await close_all((request.deployer, request.attach))


async def plan(loaded: LoadedScenario, settings: Settings, registry: Registry, *, seed: int | None) -> dict[str, Any]:
    """``plan.json`` of a run that would be made now. Raises ``SpecInvalid`` for programs that are not there."""
    async with _request(loaded, settings, registry, seed) as (request, redactor):
        document = await plan_view.plan_document(
            request, run=AT_RUN, steps=step_labels(loaded.spec), checks=check_labels(loaded.spec)
        )
        shown: dict[str, Any] = redactor.value(document)
    if seed is None and loaded.spec.seed is None:
        shown["seed"] = AT_RUN
    return shown


async def manifests(loaded: LoadedScenario, settings: Settings, registry: Registry, *, seed: int | None) -> str:
    """What a run would hand to its backend. Raises ``UsageError`` for a deployer that has no such text."""
    async with _request(loaded, settings, registry, seed) as (request, redactor):
        return redactor.text(await plan_view.manifests(request))


async def survey(
    loaded: LoadedScenario,
    settings: Settings,
    registry: Registry,
    *,
    observers: Sequence[Observer] = (),
    then: Callable[[NodeInventory], None] | None = None,
) -> NodeInventory:
    """Everything of a run that can be checked without making anything; returns the inventory of borrowed nodes.

    Raises what steps 1, 3, 4 and 5 of bootstrap raise.
    """
    async with _request(loaded, settings, registry, None, observers) as (request, _):
        await check_functions(loaded)
        inventory = await Orchestrator(request).survey()
    if then is not None:
        then(inventory)
    return inventory


async def attach(
    loaded: LoadedScenario, settings: Settings, registry: Registry, *, observers: Sequence[Observer] = ()
) -> NodeInventory:
    """The inventory of the borrowed nodes of a scenario. Raises ``UsageError`` for one that borrows none."""
    if loaded.spec.source.mode == "managed" and not loaded.spec.source.external:
        raise UsageError(
            f"{Path(loaded.path).name} borrows no node: its source is managed and has no 'external'",
            hint="'nodeyard plan' shows managed nodes",
        )
    return await survey(loaded, settings, registry, observers=observers)
