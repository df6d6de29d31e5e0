"""From a spec to the managed nodes that it declares, and to its declared membership. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from nodeyard.domain.launch_plan import NodePlan
from nodeyard.domain.node_handle import OriginClass
from nodeyard.domain.node_inventory import NodeInventory
from nodeyard.domain.policy import Member
from nodeyard.domain.scenario_spec import ScenarioSpec, node_groups
from nodeyard.domain.sources import Attached
from nodeyard.ports.kind import NodeKind


def plan_nodes(spec: ScenarioSpec, kinds: Mapping[str, NodeKind]) -> tuple[NodePlan, ...]:
    """Every managed node, in the order of the groups, with its patches applied to its group's config."""
    planned: list[NodePlan] = []
    for position, group in enumerate(node_groups(spec)):
        kind = kinds[group.kind or spec.kind]
        planned += [
            NodePlan(
                name=name,
                kind=kind.name,
                index=len(planned) + offset,
                group=position,
                role=group.role,
                config={**group.config, **group.patches.get(name, {})},
                env=group.env,
                binary=group.binary,
                image=group.image,
                resources=group.resources,
                on_demand=group.on_demand,
                ports=tuple(kind.ports),
            )
            for offset, name in enumerate(group.names)
        ]
    return tuple(planned)


def declared_members(
    spec: ScenarioSpec,
    inventory: NodeInventory,
    *,
    on_demand: Collection[str] = (),
    among: Iterable[str] | None = None,
) -> tuple[Member, ...]:
    """The membership that readiness counts against: what was declared, not what happened to be found.

    On-demand nodes are not members until they were started; ``among`` narrows to those nodes.
    """
    if among is not None:
        chosen = [inventory.by_name[name] for name in among]
        return tuple(Member(node.origin_class, node.id) for node in chosen)
    members = [Member(n.origin_class, n.id) for n in inventory if n.id not in on_demand]
    if isinstance(spec.source, Attached) and spec.source.attach.expect is not None:
        found = sum(1 for n in inventory if n.from_class(OriginClass.ATTACHED))
        members += [Member(OriginClass.ATTACHED, None)] * max(0, spec.source.attach.expect - found)
    return tuple(members)


def known_members(spec: ScenarioSpec, planned: Sequence[NodePlan]) -> tuple[Member, ...]:
    """The declared membership before anything was looked for."""
    members = [Member(OriginClass.MANAGED, n.name) for n in planned if not n.on_demand]
    members += [Member(OriginClass.EXTERNAL, e.name) for e in spec.source.external]
    if isinstance(spec.source, Attached):
        members += [Member(OriginClass.ATTACHED, None)] * (spec.source.attach.expect or 0)
    return tuple(members)
