"""Does what was found fit: conflicts, compatibility, permissions. Pure checks; each returns all it finds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nodeyard.bootstrap.request import PlannedOperation
from nodeyard.domain.capability import Capability, OnConflict, Ownership
from nodeyard.domain.identity import NetworkFacts
from nodeyard.domain.launch_plan import NodePlan
from nodeyard.domain.node_handle import NodeHandle, Sighting
from nodeyard.domain.node_inventory import Conflict, ConflictKind, NodeInventory, find_conflicts
from nodeyard.domain.policy import NetworkPins
from nodeyard.domain.selectors import candidates, planned_denials, unknown_names
from nodeyard.errors.bootstrap import IdentityConflict, Incompatible, OwnershipConflict
from nodeyard.ports.kind import CanJoin, ChecksMembers, Matters, NodeKind, TellsEntering, speaks
from nodeyard.ports.protocols import implements

FACTS = ("id", "genesis", "protocol", "api", "auth")
FACT_LABELS = {"id": "network id", "genesis": "genesis", "protocol": "protocol", "api": "API version", "auth": "auth"}


@dataclass(frozen=True, order=True)
class Mismatch:
    """One fact of one node that does not fit; ``expected`` says what and why."""

    node: str
    fact: str
    expected: str
    found: str
    origin: str
    fatal: bool = True


def raise_conflicts(inventory: NodeInventory) -> tuple[Conflict, ...]:
    """The ownership conflicts that were overridden. Raises ``IdentityConflict`` or ``OwnershipConflict`` for others."""
    conflicts = find_conflicts(inventory)
    identity = [c for c in conflicts if c.kind is not ConflictKind.OWNED_AND_BORROWED]
    if identity:
        raise IdentityConflict(
            f"{len(identity)} identity conflict{'s' if len(identity) > 1 else ''} in the inventory",
            node=identity[0].node if len(identity) == 1 else None,
            evidence=[f"{c.node}: {fact}" for c in identity for fact in c.facts],
            hint="two sources describe different nodes as one, or two copies of one project are running: name only one",
        )
    ownership = [c for c in conflicts if c.kind is ConflictKind.OWNED_AND_BORROWED]
    if ownership and inventory.on_conflict is OnConflict.FAIL:
        raise OwnershipConflict(
            "a node is both owned and borrowed",
            node=ownership[0].node if len(ownership) == 1 else None,
            evidence=[f"{c.node}: {fact}" for c in ownership for fact in c.facts],
            hint="list it once, or decide with 'ownership: {on_conflict: prefer-borrowed}'",
        )
    return tuple(ownership)


def compare(inventory: NodeInventory, pins: NetworkPins, kinds: Mapping[str, NodeKind]) -> tuple[Mismatch, ...]:
    """Every fact in which a node differs from the pins or from the other nodes of its kind, as its kind weighs it."""
    by_kind: defaultdict[str, list[NodeHandle]] = defaultdict(list)
    for node in inventory:
        by_kind[node.kind].append(node)
    found: list[Mismatch] = []
    for kind, nodes in sorted(by_kind.items()):
        for fact in FACTS:
            weight = kinds[kind].matters.get(fact, Matters.IGNORED)
            found += _compare_fact(nodes, fact, getattr(pins, fact, None), weight)
    return tuple(found)


def _compare_fact(nodes: Sequence[NodeHandle], fact: str, pin: str | None, weight: Matters) -> list[Mismatch]:
    said = {node.id: _facts_said(node, fact) for node in nodes}
    values = Counter(value for facts in said.values() for value in facts)
    if pin is not None:
        reference, why, fatal = pin, f"{pin} (pinned by the scenario)", True
    elif weight is not Matters.IGNORED and len(values) > 1:
        reference = max(values, key=lambda value: (values[value], -list(values).index(value)))
        holders = [node for node, facts in said.items() if reference in facts]
        more = f" and {len(holders) - 3} more" if len(holders) > 3 else ""
        why, fatal = f"{reference} (as {', '.join(holders[:3])}{more})", weight is Matters.FATAL
    else:
        return []
    return [
        Mismatch(node.id, fact, why, value, ", ".join(f"{o.origin}:{o.source}" for o in node.origins), fatal)
        for node in nodes
        for value in said[node.id]
        if value != reference
    ]


def _facts_said(node: NodeHandle, fact: str) -> tuple[str, ...]:
    """Every different answer of a node's sightings, so that a merged node cannot hide a difference."""
    answers = (getattr(s.network, fact) for s in node.sightings)
    return tuple(dict.fromkeys(a for a in answers if a is not None))


def compare_recorded(recorded: Mapping[str, tuple[NetworkFacts, Sighting]]) -> tuple[Mismatch, ...]:
    """Nodes that are not in the network in which their source last saw them, by node id."""
    return tuple(
        Mismatch(node, "id", f"{facts.id} (as its source recorded)", sighting.network.id, sighting.origin.source)
        for node, (facts, sighting) in sorted(recorded.items())
        if facts.id is not None and sighting.network.id is not None and sighting.network.id != facts.id
    )


def mismatch_table(mismatches: Sequence[Mismatch]) -> tuple[str, ...]:
    """The mismatches as an aligned text table with a head."""
    rows = [("node", "fact", "expected", "found", "origin")]
    rows += [(m.node, FACT_LABELS[m.fact], m.expected, m.found, m.origin) for m in mismatches]
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    return tuple("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def raise_mismatches(mismatches: Sequence[Mismatch]) -> tuple[Mismatch, ...]:
    """The mismatches that only warn. Raises ``Incompatible`` with the table if one is fatal."""
    fatal = [m for m in mismatches if m.fatal]
    if fatal:
        nodes = sorted({m.node for m in fatal})
        raise Incompatible(
            f"{len(nodes)} node{'s do' if len(nodes) > 1 else ' does'} not belong to the network of the scenario",
            node=nodes[0] if len(nodes) == 1 else None,
            evidence=mismatch_table(mismatches),
            hint="list only nodes of one network, or correct 'network:'",
        )
    return tuple(mismatches)


def preflight_problems(
    planned: Sequence[PlannedOperation],
    inventory: NodeInventory,
    kinds: Mapping[str, NodeKind],
    *,
    complete: bool,
) -> tuple[str, ...]:
    """Everything that would stop a planned operation: unknown nodes, missing protocols, missing grants.

    ``complete`` is false while attached nodes were not looked for yet; names are then not judged.
    """
    problems: list[str] = []
    for operation in planned:
        label, needs = operation.label, operation.needs
        possible = candidates(needs.selector, inventory)
        if complete:
            problems += [f"{label}: there is no node '{name}'" for name in unknown_names(needs.selector, inventory)]
        if complete and len(possible) < needs.least:
            problems.append(f"{label}: needs {needs.least} node(s), '{needs.selector}' finds {len(possible)}")
        problems += _protocol_problems(label, needs.protocol, possible, kinds)
        if needs.capability is not None:
            denials = planned_denials(needs.selector, needs.capability, inventory)
            problems += [f"{label}: {denial.reason} - {denial.hint}" for denial in denials]
    return tuple(dict.fromkeys(problems))


def _protocol_problems(
    label: str, protocol: type | tuple[type, ...] | None, nodes: Sequence[NodeHandle], kinds: Mapping[str, NodeKind]
) -> list[str]:
    if protocol is None:
        return []
    any_of = protocol if isinstance(protocol, tuple) else (protocol,)
    lacking = sorted({node.kind for node in nodes if not any(speaks(kinds[node.kind], one) for one in any_of)})
    wanted = " or ".join(one.__name__ for one in any_of)
    return [f"{label}: kind '{kind}' does not speak {wanted}" for kind in lacking]


def join_problems(
    inventory: NodeInventory, kinds: Mapping[str, NodeKind], managed: Mapping[str, Sequence[NodePlan]]
) -> tuple[str, ...]:
    """What forbids managed nodes to join the borrowed network of their kind. ``managed`` are the nodes by kind.

    A kind that is no ``CanJoin`` needs no change on the borrowed side, so nothing is forbidden.
    """
    problems: list[str] = []
    for name, plans in sorted(managed.items()):
        kind, borrowed = kinds[name], borrowed_alone(inventory, name)
        names = ", ".join(plan.name for plan in plans)
        if not borrowed or not takes_grant(kind):
            continue
        if not implements(kind, CanJoin):
            problems += _closed(names, name, [n.id for n in borrowed if Capability.JOIN not in n.capabilities])
            continue
        if not any(Capability.JOIN in node.capabilities for node in borrowed):
            problems.append(
                f"{names}: joining the borrowed {name} network changes it, and no borrowed node grants 'join'"
                f" - add 'allow: [join]' to {' or '.join(n.id for n in borrowed)} if its owner agrees"
            )
        if any(plan.on_demand for plan in plans):
            problems.append(f"{names}: an on-demand node cannot join a borrowed {name} network")
        risk = kind.join_problem(borrowed=len(borrowed), joining=len(plans))
        if risk:
            problems.append(f"{names}: {risk}")
    return tuple(problems)


def takes_grant(kind: NodeKind) -> bool:
    """Whether nodes of a kind that enter a borrowed network need its grant ``join``."""
    return implements(kind, CanJoin) or (implements(kind, TellsEntering) and kind.enters_by_grant())


def _closed(names: str, kind: str, without: Sequence[str]) -> list[str]:
    """Each node that newcomers are told of comes to know them, so each has to grant it."""
    if not without:
        return []
    return [
        f"{names}: entering the borrowed {kind} network makes its nodes know them, and {', '.join(without)} "
        f"{'does' if len(without) == 1 else 'do'} not grant 'join' - add 'allow: [join]' if their owner agrees; a kind"
        " file whose nodes change nothing there says 'launch: {entering: free}'"
    ]


def member_problems(
    inventory: NodeInventory, kinds: Mapping[str, NodeKind], managed: Mapping[str, Sequence[NodePlan]]
) -> tuple[str, ...]:
    """What a kind has against the managed nodes as a network, or as newcomers to the borrowed one."""
    return tuple(
        problem
        for name, plans in sorted(managed.items())
        if isinstance(kind := kinds[name], ChecksMembers)
        for problem in kind.member_problems(plans, borrowed=len(borrowed_alone(inventory, name)))
    )


def borrowed_alone(inventory: NodeInventory, kind: str) -> tuple[NodeHandle, ...]:
    """The nodes of a kind that nothing owned is merged into."""
    return tuple(n for n in inventory if n.kind == kind and all(o.ownership is Ownership.BORROWED for o in n.origins))
