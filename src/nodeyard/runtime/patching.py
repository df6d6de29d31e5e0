"""A config patch as a value: the node's plan with new config, and the launch plan that its kind makes of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from nodeyard.domain.launch_plan import LaunchPlan, NodePlan
from nodeyard.domain.sources import Scalar
from nodeyard.errors.runtime import RuntimeFailure
from nodeyard.ports.bootstrapped import Binding
from nodeyard.ports.kind import RenderRequest


def configured_launch(binding: Binding, node: str, config: Mapping[str, Scalar]) -> tuple[NodePlan, LaunchPlan]:
    """The node's plan with ``config`` in place of its own, rendered anew.

    Raises ``RuntimeFailure`` for a node that this run did not launch, and for config that the kind refuses.
    """
    request = binding.render
    if request is None:
        raise RuntimeFailure(
            "this run did not launch the node, so there is no launch plan to change",
            node=node,
            operation="patch",
            hint="patch nodes of a managed source; change a borrowed node where it was started",
        )
    problems = binding.kind.config_problems(config)
    if problems:
        raise RuntimeFailure(
            "the kind refuses this config",
            node=node,
            operation="patch",
            evidence=[f"{key}: {problem}" for key, problem in problems],
            hint="correct 'config:' of the patch step",
        )
    plan = replace(request.node, config=dict(config))
    return plan, binding.kind.render(with_plan(request, plan))


def with_plan(request: RenderRequest, plan: NodePlan) -> RenderRequest:
    """The same request with one node's plan replaced: the node's own, and as a peer of others."""
    peers = tuple((plan if peer.name == plan.name else peer, place) for peer, place in request.peers)
    return replace(request, node=plan if request.node.name == plan.name else request.node, peers=peers)


def updated_peers(bindings: Mapping[str, Binding], plan: NodePlan) -> dict[str, Binding]:
    """All bindings after a patch was applied, so that the next patch of any node builds on it."""
    updated: dict[str, Binding] = {}
    for name, binding in bindings.items():
        render = None if binding.render is None else with_plan(binding.render, plan)
        own = render is not None and render.node is plan
        updated[name] = replace(binding, render=render, plan=plan if own else binding.plan)
    return updated
