"""Everything that can be known to fail before a local node exists, as texts; and the programs that were found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nodeyard._aio.tasks import side_by_side
from nodeyard.domain.launch_plan import NodePlan
from nodeyard.ports.kind import ProgramSpec
from nodeyard.ports.plugins import PluginContext
from nodeyard.providers._clients.node_problems import port_problems, secret_problems
from nodeyard.providers._clients.program_sources import Source, place_of
from nodeyard.providers._clients.program_versions import Versions
from nodeyard.providers._clients.programs import Found, locate
from nodeyard.providers.deployer.local.asking import versions_of
from nodeyard.providers.deployer.local.isolation import problems as isolation_problems
from nodeyard.providers.deployer.local.options import LocalOptions

Wanted = tuple[str, str | None]
"""A kind, and the explicit ``binary`` of a node: all nodes with the same run the same program."""


@dataclass(frozen=True)
class Resolved:
    """``programs`` by node; ``problems`` as lines. ``missing`` are programs that must be had before they can run."""

    programs: Mapping[str, str]
    problems: tuple[str, ...]
    missing: tuple[Source, ...] = ()


async def resolve(
    nodes: Sequence[NodePlan], specs: Mapping[str, ProgramSpec], options: LocalOptions, context: PluginContext
) -> Resolved:
    """Look at programs, versions, secrets, limits and fixed ports. Creates nothing but remembered versions."""
    wanted = {(node.kind, node.binary) for node in nodes}
    environment = context.environment
    found = {
        (kind, binary): locate(binary, specs.get(kind), base=context.base, environment=environment, cache=context.cache)
        for kind, binary in sorted(wanted, key=str)
    }
    problems = [
        _naming(nodes, want, hit.text) for want, hit in found.items() if hit.path is None and hit.source is None
    ]
    problems += await _versions(nodes, found, specs, versions_of(context))
    problems += _limits(nodes) + port_problems(nodes, options.ports) + secret_problems(nodes, context.secrets.reveal)
    problems += isolation_problems(len(nodes), environment) if options.isolation == "netns" else []
    missing = {want: hit.source for want, hit in found.items() if hit.source is not None}
    paths = {want: str(hit.path) for want, hit in found.items() if hit.path is not None}
    paths |= {want: str(place_of(source, context.cache)) for want, source in missing.items()}
    programs = {node.name: path for node in nodes if (path := paths.get((node.kind, node.binary)))}
    return Resolved(programs, tuple(dict.fromkeys(problems)), tuple(dict.fromkeys(missing.values())))


def _naming(nodes: Sequence[NodePlan], want: Wanted, text: str) -> str:
    """A problem with the nodes that it concerns: the first few by name."""
    names = [node.name for node in nodes if (node.kind, node.binary) == want]
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"{shown} ({want[0]}): {text}"


async def _versions(
    nodes: Sequence[NodePlan], found: Mapping[Wanted, Found], specs: Mapping[str, ProgramSpec], versions: Versions
) -> list[str]:
    asked: dict[tuple[Path, str], Wanted] = {}
    for want, hit in found.items():
        if hit.path is not None and want[0] in specs:
            asked.setdefault((hit.path, want[0]), want)
    answers = await side_by_side(lambda key: versions.problem(key[0], specs[key[1]]), list(asked), at_once=8)
    problems: list[str] = []
    for want, answer in zip(asked.values(), answers, strict=True):
        if isinstance(answer, Exception):
            raise answer
        if answer:
            problems.append(_naming(nodes, want, answer))
    return problems


def _limits(nodes: Sequence[NodePlan]) -> list[str]:
    return [
        f"{node.name}: the local deployer does not hold 'resources' (remove them, or use the compose deployer)"
        for node in nodes
        if node.resources is not None
    ]
