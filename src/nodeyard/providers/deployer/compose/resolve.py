"""Everything that can be known to fail before a container exists, as lines. Creates nothing."""

from __future__ import annotations

from collections.abc import Sequence

from nodeyard.domain.launch_plan import NodePlan
from nodeyard.domain.secrets import Secret
from nodeyard.errors.validation import SpecInvalid
from nodeyard.ports.plugins import PluginContext
from nodeyard.providers.deployer.compose.options import ComposeOptions


def option_problems(nodes: Sequence[NodePlan], options: ComposeOptions) -> list[str]:
    """Options that name nodes, ports and kinds that there are not."""
    known = {node.name: {port.name for port in node.ports} for node in nodes}
    problems: list[str] = []
    for node, ports in options.ports.items():
        if node not in known:
            problems.append(f"deployer.ports.{node}: there is no node '{node}' (nodes: {', '.join(sorted(known)[:8])})")
            continue
        problems += [
            f"deployer.ports.{node}.{port}: {node} has no port '{port}' (ports: {', '.join(sorted(known[node]))})"
            for port in ports
            if port not in known[node]
        ]
    kinds = sorted({node.kind for node in nodes})
    problems += [
        f"deployer.build.{kind}: no node is of kind '{kind}' (kinds: {', '.join(kinds)})"
        for kind in options.build
        if kind not in kinds
    ]
    return problems


def secret_problems(nodes: Sequence[NodePlan], context: PluginContext) -> list[str]:
    """Secrets of the environment that have no value. The values are looked up again at start, and kept nowhere."""
    problems: list[str] = []
    references = {value: node.name for node in reversed(nodes) for value in node.env.values()}
    for value, node in references.items():
        if (secret := Secret(value)).is_reference:
            try:
                context.secrets.reveal(secret)
            except SpecInvalid as error:
                problems += [f"{node}: {problem}" for problem in error.problems]
    return problems
