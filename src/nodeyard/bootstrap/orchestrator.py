"""The order in which a network comes up.

1. **Resolve** the spec: sources, kinds, binaries, credentials. Whatever can be known to fail is refused now.
2. **Plan and reserve** managed nodes: names, folders, ports. Nothing runs yet.
3. **Discover** attached nodes and resolve external ones, side by side.
4. **Normalise** everything into sightings; ask each node that can answer who it is.
5. **Merge** into the inventory; conflicts are decided, borrowed nodes that do not fit are refused.
6. **Bootstrap policy**: seeds, network material, render, start.
7. **Readiness barrier**; a managed node is identified at its first answer and merged again.
8. **Preflight** on the live inventory.
9. **Hand off**.

Nothing else lives here: each step's work is in its own module. Whatever was made when a step fails is in the ledger,
and whoever called takes it down.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from nodeyard.bootstrap import membership, normalize, planning, validation
from nodeyard.bootstrap.gate import Gate
from nodeyard.bootstrap.launching import Launcher
from nodeyard.bootstrap.network import Network
from nodeyard.bootstrap.normalize import Found
from nodeyard.bootstrap.request import BootstrapRequest
from nodeyard.domain import events
from nodeyard.domain.launch_plan import NodePlan
from nodeyard.domain.network_rules import Effect
from nodeyard.domain.node_inventory import NodeInventory
from nodeyard.domain.sources import Attached, Managed
from nodeyard.errors.bootstrap import PreflightFailed
from nodeyard.errors.provider import DiscoveryEmpty
from nodeyard.errors.validation import Problem, SpecInvalid
from nodeyard.ports.bootstrapped import Bootstrapped
from nodeyard.ports.deployer import DeploymentPlan
from nodeyard.ports.node_control import ShapesNetworks
from nodeyard.ports.plugins import CanCheck

PHASES = ("resolve", "plan", "discover", "normalise", "merge", "start", "readiness", "preflight", "hand-off")


class Orchestrator:
    """Carries out the nine steps once. ``network`` and ``gate`` outlive it, for the runtime and for diagnostics."""

    def __init__(self, request: BootstrapRequest) -> None:
        self.request = request
        self.network = Network(request)
        self.gate = Gate(self.network)
        self._emit = request.context.emit
        self.programs: dict[str, str] = {}
        """What each managed node runs, from step 1 on."""
        self._warnings: list[str] = []

    async def run(self) -> Bootstrapped:
        """All nine steps. Raises the errors of ``errors.validation``, ``errors.bootstrap`` and ``errors.provider``."""
        self._phase(1)
        planned = await self._resolve()
        self._phase(2)
        reserved = await self._plan_and_reserve(planned)
        self._phase(3)
        borrowed = await self._discover()
        self._phase(4)
        await self._normalise(reserved, borrowed)
        self._phase(5)
        self._merge(borrowed)
        self._phase(6)
        await Launcher(self.network).launch()
        self._phase(7)
        await self.gate.wait(None, self.request.spec.readiness, deadline=self.request.deadline)
        self.network.tell_merged()
        self._phase(8)
        self._preflight()
        self._phase(9)
        self.network.refresh_bindings()
        return Bootstrapped(self.network.inventory, self.network.bindings, tuple(self._warnings))

    async def survey(self) -> NodeInventory:
        """The borrowed part of the network, asked and compared; nothing is reserved, made or changed.

        Runs steps 1, 3, 4 and 5 and raises what they raise.
        """
        self._phase(1)
        await self._resolve()
        self._phase(3)
        borrowed = await self._discover()
        self._phase(4)
        await self._normalise([], borrowed)
        self._phase(5)
        if isinstance(self.request.spec.source, Managed):
            self._warnings += self.network.check_compatible()
            self.network.tell_merged()
        else:
            self._merge(borrowed)
        return self.network.inventory

    def _phase(self, number: int) -> None:
        self._emit(events.PhaseStarted(phase=PHASES[number - 1], number=number))

    async def _resolve(self) -> tuple[NodePlan, ...]:
        request = self.request
        planned = planning.plan_nodes(request.spec, request.kinds)
        await resolve_programs(request, planned)
        for source in (request.deployer, request.attach):
            if isinstance(source, CanCheck):
                await source.check()
        early = early_inventory(request, planned)
        problems = (*early_problems(request, planned, early), *await network_problems(request, request.attach))
        if problems:
            raise PreflightFailed(problems, hint="nothing was created; 'nodeyard plan' shows what the run would do")
        kinds = sorted({request.kind(None).name, *(p.kind for p in planned), *(n.kind for n in early)})
        deployment = request.deployer.plan(planned) if request.deployer is not None else None
        programs = dict(deployment.programs) if deployment is not None else {}
        self.programs = programs
        self._emit(events.SpecResolved(mode=request.spec.source.mode, kinds=tuple(kinds), binaries=programs))
        return planned

    async def _plan_and_reserve(self, planned: Sequence[NodePlan]) -> list[Found]:
        deployer = self.request.deployer
        if deployer is None or not planned:
            return []
        deployment: DeploymentPlan = deployer.plan(planned)
        places = await deployer.provision(deployment)
        self.network.places = dict(places)
        for plan in planned:
            place = places[plan.name]
            addresses = {port.name: place.advertise(port.name) for port in plan.ports}
            self._emit(events.NodeProvisioned(node=plan.name, source=deployer.source, addresses=addresses))
        return [normalize.managed_found(plan, self.request) for plan in planned]

    async def _discover(self) -> list[Found]:
        request = self.request
        found = [normalize.external_found(node, i, request) for i, node in enumerate(request.spec.source.external)]
        if request.attach is not None and isinstance(request.spec.source, Attached):
            discovery = await request.attach.discover()
            if not discovery.nodes:
                raise DiscoveryEmpty(
                    f"source '{request.attach.source}' has no nodes",
                    operation="discover",
                    evidence=discovery.problems,
                    hint="check the source's file, project or selector; 'nodeyard attach' shows what is found",
                )
            found += [normalize.attached_found(node, request) for node in discovery.nodes]
            membership.check_expected(request, discovery, self._emit)
        for item in found:
            origin = item.sighting.origin
            self._emit(
                events.NodeDiscovered(
                    node=item.sighting.name,
                    origin=origin.origin.value,
                    source=origin.source,
                    locator=origin.locator,
                    endpoints=dict(item.sighting.endpoints),
                )
            )
        return found

    async def _normalise(self, reserved: Sequence[Found], borrowed: Sequence[Found]) -> None:
        """Borrowed nodes are asked now; one that stands where a managed node will listen cannot answer yet."""
        self.network.add([*reserved, *borrowed])
        ours = {f.sighting.address for f in reserved if f.sighting.address is not None}
        answers = await normalize.ask([f for f in borrowed if f.sighting.address not in ours], self.request)
        self.network.take_answers(answers)
        membership.check_reachable(self.request, answers, self._emit)

    def _merge(self, borrowed: Sequence[Found]) -> None:
        """Conflicts were judged at each merge; now compatibility, and whether readiness can still be met."""
        self._warnings += self.network.check_compatible()
        self.network.tell_merged()
        membership.check_still_possible(self.request, self.network)
        problems = self._planned_problems()
        if problems:
            raise PreflightFailed(problems, hint="no managed node was started and no borrowed node was changed")

    def _preflight(self) -> None:
        problems = self._planned_problems()
        if problems:
            raise PreflightFailed(problems)
        self._emit(events.PreflightPassed(checks=len(self.request.planned)))

    def _planned_problems(self) -> tuple[str, ...]:
        request, inventory = self.request, self.network.inventory
        plans = plans_by_kind(tuple(self.network.plans.values()))
        joins = validation.join_problems(inventory, request.kinds, plans)
        planned = validation.preflight_problems(request.planned, inventory, request.kinds, complete=True)
        return (*joins, *planned)


async def resolve_programs(request: BootstrapRequest, planned: Sequence[NodePlan]) -> None:
    """Find what managed nodes need to run. Raises ``SpecInvalid`` with every problem."""
    if request.deployer is None or not planned:
        return
    programs = {name: request.kind(name).program for name in sorted({plan.kind for plan in planned})}
    specs = {name: program for name, program in programs.items() if program is not None}
    problems = [
        Problem(path="source.nodes", message=f"kind '{name}' can only be attached or external: it has no program")
        for name in programs
        if name not in specs
    ]
    problems += [Problem(message=text) for text in await request.deployer.resolve(planned, specs)]
    problems += [Problem(message=text) for text in await network_problems(request, request.deployer)]
    if problems:
        raise SpecInvalid(problems)


async def network_problems(request: BootstrapRequest, source: object) -> list[str]:
    """What the machine cannot do to networks although a step plans it; nothing where the source cannot tell."""
    uses: defaultdict[Effect, list[str]] = defaultdict(list)
    for operation in request.planned:
        for effect in operation.needs.effects:
            uses[effect].append(operation.label)
    if not uses or not isinstance(source, ShapesNetworks):
        return []
    return [
        f"{', '.join(dict.fromkeys(labels))}: {problem}"
        for effect, labels in sorted(uses.items())
        for problem in await source.network_problems((effect,))
    ]


def early_inventory(request: BootstrapRequest, planned: Sequence[NodePlan]) -> NodeInventory:
    """What can be known of the inventory before anything was made or asked; attached nodes are missing."""
    source = request.deployer.source if request.deployer is not None else ""
    sightings = [normalize.planned_sighting(plan, request, source) for plan in planned]
    sightings += [
        normalize.external_found(node, i, request).sighting for i, node in enumerate(request.spec.source.external)
    ]
    return NodeInventory(on_conflict=request.spec.ownership.on_conflict).merged(sightings)


def early_problems(request: BootstrapRequest, planned: Sequence[NodePlan], early: NodeInventory) -> tuple[str, ...]:
    """Every reason that is known before anything is created why the run would be refused."""
    complete = not isinstance(request.spec.source, Attached)
    by_kind = plans_by_kind(planned)
    problems = validation.join_problems(early, request.kinds, by_kind)
    problems += validation.member_problems(early, request.kinds, by_kind)
    if complete:
        problems += validation.preflight_problems(request.planned, early, request.kinds, complete=True)
    return problems


def plans_by_kind(planned: Sequence[NodePlan]) -> Mapping[str, list[NodePlan]]:
    by_kind: defaultdict[str, list[NodePlan]] = defaultdict(list)
    for plan in planned:
        by_kind[plan.kind].append(plan)
    return by_kind
