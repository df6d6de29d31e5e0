"""Everything that can be known to fail before a container exists, as lines. Creates nothing."""

from __future__ import annotations

from collections.abc import Sequence

from nodeyard.domain.launch_plan import NodePlan
from nodeyard.providers._clients.node_problems import port_problems
from nodeyard.providers.deployer.compose.options import ComposeOptions


def option_problems(nodes: Sequence[NodePlan], options: ComposeOptions) -> list[str]:
    """Options that name nodes, ports and kinds that there are not."""
    problems = port_problems(nodes, options.ports)
    kinds = sorted({node.kind for node in nodes})
    problems += [
        f"deployer.build.{kind}: no node is of kind '{kind}' (kinds: {', '.join(kinds)})"
        for kind in options.build
        if kind not in kinds
    ]
    return problems
