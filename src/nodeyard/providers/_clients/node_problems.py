"""What can be known to be wrong with planned nodes whatever the backend is, as lines. Creates nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from nodeyard.domain.launch_plan import NodePlan
from nodeyard.domain.secrets import Secret
from nodeyard.errors.validation import SpecInvalid


def port_problems(nodes: Sequence[NodePlan], fixed: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Fixed ports (by node, then port name) of nodes and ports that there are not."""
    known = {node.name: {port.name for port in node.ports} for node in nodes}
    problems: list[str] = []
    for node, ports in fixed.items():
        if node not in known:
            problems.append(f"deployer.ports.{node}: there is no node '{node}' (nodes: {', '.join(sorted(known)[:8])})")
            continue
        problems += [
            f"deployer.ports.{node}.{port}: {node} has no port '{port}' (ports: {', '.join(sorted(known[node]))})"
            for port in ports
            if port not in known[node]
        ]
    return problems


def secret_problems(nodes: Sequence[NodePlan], reveal: Callable[[Secret], str]) -> list[str]:
    """Secrets of the environment that have no value. The values are looked up again at start, and kept nowhere."""
    problems: list[str] = []
    references = {value: node.name for node in reversed(nodes) for value in node.env.values()}
    for value, node in references.items():
        if (secret := Secret(value)).is_reference:
            try:
                reveal(secret)
            except SpecInvalid as error:
                problems += [f"{node}: {problem}" for problem in error.problems]
    return problems
