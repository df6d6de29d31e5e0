"""What a run would do, as one JSON document, without doing any of it. What only the run can know stands as ``at-run``.

Uses the same pure functions as the run itself: planning, peering, rendering, the early preflight.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from nodeyard.bootstrap import normalize, orchestrator, peering, planning
from nodeyard.bootstrap.request import BootstrapRequest
from nodeyard.domain.launch_plan import AT_RUN, LaunchPlan, NodePlan, Seed
from nodeyard.domain.node_inventory import NodeInventory
from nodeyard.errors.validation import UsageError
from nodeyard.ports.deployer import DeploymentPlan, HasManifests
from nodeyard.ports.kind import CanAdopt, CanJoin, JoinTicket, NodeKind, RenderRequest
from nodeyard.ports.ledger import Json


async def plan_document(
    request: BootstrapRequest, *, run: str, steps: Sequence[str], checks: Sequence[str]
) -> dict[str, Json]:
    """The plan of a run. Raises ``SpecInvalid`` for binaries that are not there; refusals stand under ``problems``."""
    planned = planning.plan_nodes(request.spec, request.kinds)
    await orchestrator.resolve_programs(request, planned)
    early = orchestrator.early_inventory(request, planned)
    deployment = request.deployer.plan(planned) if request.deployer is not None else None
    spec = request.spec
    return {
        "run": run,
        "scenario": spec.name,
        "seed": request.seed,
        "mode": spec.source.mode,
        "nodes": [
            _document(plan, _node(plan, planned, early, deployment, request), deployment)
            for plan in planned
            if deployment is not None
        ],
        "borrowed": [
            {
                "name": found.sighting.name,
                "kind": found.sighting.kind,
                "source": found.sighting.origin.source,
                "endpoints": dict(found.sighting.endpoints),
                "granted": sorted(c.value for c in found.sighting.origin.granted),
            }
            for found in (normalize.external_found(node, i, request) for i, node in enumerate(spec.source.external))
        ],
        "attach": request.attach.source if request.attach is not None else None,
        "resources": list(deployment.resources) if deployment is not None else [],
        "readiness": spec.readiness.model_dump(mode="json", exclude_none=True),
        "deadline": spec.deadline,
        "steps": list(steps),
        "checks": list(checks),
        "problems": list(orchestrator.early_problems(request, planned, early)),
    }


async def manifests(request: BootstrapRequest) -> str:
    """What a run would hand to its backend, as its deployer writes it. Raises ``UsageError`` where there is no such
    text, ``SpecInvalid`` as ``plan_document``.
    """
    deployer = request.deployer
    if deployer is None or not isinstance(deployer, HasManifests):
        what = f"the deployer '{deployer.source}'" if deployer is not None else "a scenario without managed nodes"
        raise UsageError(f"{what} has no manifests", hint="'nodeyard plan' shows what a run would make")
    planned = planning.plan_nodes(request.spec, request.kinds)
    await orchestrator.resolve_programs(request, planned)
    early, deployment = orchestrator.early_inventory(request, planned), deployer.plan(planned)
    starting = [plan for plan in planned if not plan.on_demand]
    entering = [plan.name for plan in starting if _enters(plan, request, early)]
    if entering:
        raise UsageError(
            f"there are no manifests of {', '.join(entering)}: only a run learns what a borrowed network is",
            hint="'nodeyard plan' shows what can be known before; a run keeps its manifests in its folder",
        )
    return deployer.manifests([_node(plan, planned, early, deployment, request).launch for plan in starting])


@dataclass(frozen=True)
class _Rendered:
    """How one node would be launched."""

    seeds: Sequence[str]
    joins: bool
    launch: LaunchPlan


def _node(
    plan: NodePlan,
    together: Sequence[NodePlan],
    early: NodeInventory,
    deployment: DeploymentPlan,
    request: BootstrapRequest,
) -> _Rendered:
    kind = request.kind(plan.kind)
    mine = [p for p in together if p.kind == plan.kind]
    candidates = [c for node in early for c in peering.candidates_of(node)]
    idle = {p.name for p in together if p.on_demand}
    chosen = peering.choose_seeds(
        plan.name,
        plan.kind,
        [c for c in candidates if c.node not in idle],
        count=request.spec.bootstrap.seeds,
        seed=request.seed,
    )
    borrowed = _borrowed(plan, early)
    joins = isinstance(kind, CanJoin) and borrowed
    mark, seed = request.context.mark, request.seed
    material = (
        kind.own_material(mine, mark=mark, seed=seed)
        if borrowed and isinstance(kind, CanAdopt)
        else kind.material(mine, mark=mark, seed=seed, pins=request.spec.network)
    )
    ticket = JoinTicket(_AtRun(), AT_RUN, AT_RUN) if joins else None
    render = RenderRequest(
        node=plan,
        place=deployment.places[plan.name],
        peers=[(peer, deployment.places[peer.name]) for peer in mine],
        seeds=[Seed(c.node, None, _addresses(c.node, kind, deployment)) for c in chosen],
        material=material,
        ticket=ticket,
    )
    return _Rendered([c.node for c in chosen], joins, kind.render(render))


def _borrowed(plan: NodePlan, early: NodeInventory) -> bool:
    """Whether there are nodes of its kind that belong to somebody else."""
    return any(node.kind == plan.kind for node in early if node.ownership == "borrowed")


def _enters(plan: NodePlan, request: BootstrapRequest, early: NodeInventory) -> bool:
    """Whether it is to become part of a network of somebody else."""
    return isinstance(request.kind(plan.kind), CanAdopt | CanJoin) and _borrowed(plan, early)


def _addresses(node: str, kind: NodeKind, deployment: DeploymentPlan) -> dict[str, str]:
    """How others reach a seed: a managed one where it will be, as far as that is known before there is a run."""
    place = deployment.places.get(node)
    return {port.name: AT_RUN if place is None else place.advertise(port.name) for port in kind.ports}


def _document(plan: NodePlan, rendered: _Rendered, deployment: DeploymentPlan) -> dict[str, Json]:
    launch = rendered.launch
    return {
        "name": plan.name,
        "kind": plan.kind,
        "role": plan.role,
        "on_demand": plan.on_demand,
        "joins": rendered.joins,
        "seeds": list(rendered.seeds),
        "ports": {port.name: deployment.places[plan.name].advertise(port.name) for port in plan.ports},
        "program": deployment.programs.get(plan.name, AT_RUN),
        "args": list(launch.args),
        "env": sorted({*launch.env, *plan.env}),
        "files": [file.path for file in (*launch.files, *launch.initial)],
    }


class _AtRun(Mapping[str, str]):
    """Facts of a ticket that does not exist yet: every one of them is ``at-run``."""

    def __getitem__(self, key: str) -> str:
        return AT_RUN

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0
