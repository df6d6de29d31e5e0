"""Everything that can be known to fail before anything is made, without asking the cluster, as texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nodeyard.domain.launch_plan import NodePlan
from nodeyard.errors.validation import SpecInvalid
from nodeyard.ports.kind import ProgramSpec
from nodeyard.providers._clients.images import named_image
from nodeyard.providers._clients.node_problems import secret_problems
from nodeyard.providers.deployer.k8s import keeping
from nodeyard.providers.deployer.k8s.run import Run


def resolve(nodes: Sequence[NodePlan], programs: Mapping[str, ProgramSpec], run: Run) -> Sequence[str]:
    """Every problem; the images that were found go into ``run.images``."""
    return [*_images(nodes, programs, run), *secret_problems(nodes, run.reveal), *_connection(run)]


def _images(nodes: Sequence[NodePlan], programs: Mapping[str, ProgramSpec], run: Run) -> list[str]:
    lacking: dict[str, list[str]] = {}
    for node in nodes:
        found = named_image(node, programs.get(node.kind), run.context.environment)
        if found is None:
            lacking.setdefault(node.kind, []).append(node.name)
        else:
            run.images[node.name] = found.reference
    problems: list[str] = []
    for kind, names in lacking.items():
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        spec = programs.get(kind)
        place = f"'image' of the nodes or {spec.image_variable}" if spec is not None else "'image' of the nodes"
        problems.append(f"{shown} ({kind}): no image is named (name one that the cluster can pull, in {place})")
    return problems


def _connection(run: Run) -> list[str]:
    try:
        keeping.program(run.options.arch)
        _ = run.where
    except SpecInvalid as error:
        return [str(problem) for problem in error.problems]
    return []
