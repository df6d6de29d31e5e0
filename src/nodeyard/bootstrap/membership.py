"""Is the declared membership there? ``strict`` refuses what is missing, ``degradable`` goes on while it can."""

from __future__ import annotations

from collections.abc import Sequence

from nodeyard.bootstrap import planning
from nodeyard.bootstrap.network import Network
from nodeyard.bootstrap.normalize import Answer
from nodeyard.bootstrap.request import BootstrapRequest
from nodeyard.domain import events, policy
from nodeyard.domain.sources import Attached
from nodeyard.errors.bootstrap import QuorumUnreachable
from nodeyard.errors.provider import DiscoveryPartial, ProviderError
from nodeyard.ports.attach import Discovery
from nodeyard.ports.observer import Emit

DEGRADE_HINT = "start the missing nodes, or accept a smaller network with 'membership: degradable'"


def check_expected(request: BootstrapRequest, discovery: Discovery, emit: Emit) -> None:
    """Were as many nodes found as declared? Raises ``DiscoveryPartial`` under ``strict``, warns otherwise."""
    if request.attach is None or not isinstance(request.spec.source, Attached):
        return
    expected = request.spec.source.attach.expect or len(discovery.nodes)
    found = len(discovery.nodes)
    if found >= expected and not discovery.problems:
        return
    source = request.attach.source
    emit(events.DiscoveryPartial(source=source, expected=expected, found=found, problems=discovery.problems))
    if request.spec.membership is policy.MembershipPolicy.STRICT:
        amiss = len(discovery.problems)
        beside = f", and {amiss} {'thing is' if amiss == 1 else 'things are'} amiss" if amiss else ""
        raise DiscoveryPartial(
            f"source '{source}' declares {expected} nodes, {found} were found{beside}",
            operation="discover",
            evidence=discovery.problems,
            hint=DEGRADE_HINT,
        )


def check_reachable(request: BootstrapRequest, answers: Sequence[Answer], emit: Emit) -> None:
    """Did every borrowed node say who it is? One failure is raised as itself, several together, under ``strict``."""
    failures = [a.error for a in answers if a.error is not None]
    if not failures:
        return
    sources = sorted({a.found.sighting.origin.source for a in answers if a.error is not None})
    lines = tuple(_line(error) for error in failures)
    for source in sources:
        mine = [a for a in answers if a.found.sighting.origin.source == source]
        good = sum(a.error is None for a in mine)
        emit(events.DiscoveryPartial(source=source, expected=len(mine), found=good, problems=lines))
    if request.spec.membership is policy.MembershipPolicy.DEGRADABLE:
        return
    if len(failures) == 1:
        raise failures[0]
    same = {type(error) for error in failures}
    raised = same.pop() if len(same) == 1 else DiscoveryPartial
    hint = next((error.hint for error in failures if error.hint), None)
    raise raised(
        f"{len(failures)} of {len(answers)} borrowed nodes gave no usable answer",
        operation="identify",
        evidence=lines,
        hint=hint or DEGRADE_HINT,
    )


def _line(error: ProviderError) -> str:
    return f"{error.node}: {error.message}"


def check_still_possible(request: BootstrapRequest, network: Network) -> None:
    """Can the readiness policy be met by the declared membership without what is lost? Raises ``QuorumUnreachable``."""
    spec = request.spec
    idle = [plan.name for plan in network.plans.values() if plan.on_demand]
    members = planning.declared_members(spec, network.inventory, on_demand=idle)
    lost = {node.id for node in network.inventory if any(name in network.lost for name in node.names)}
    if spec.readiness.policy == "required":
        return
    outcome = policy.evaluate(policy.needs(spec.readiness, members), ready=(), lost=lost)
    if isinstance(outcome, policy.Impossible):
        raise QuorumUnreachable(
            f"readiness '{spec.readiness.policy}' cannot be met: {outcome.reason}",
            operation="merge",
            evidence=[f"{name}: {network.lost.get(name, 'never found')}" for name in outcome.laggards],
            hint="start the missing nodes, or lower the readiness policy",
        )
