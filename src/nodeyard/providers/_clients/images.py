"""Which image a node runs in a container or pod, as far as it can be told without an engine. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nodeyard.domain.launch_plan import NodePlan
from nodeyard.ports.kind import ProgramSpec


@dataclass(frozen=True)
class NamedImage:
    """An image that somebody named: its reference, and who named it."""

    reference: str
    origin: str


def named_image(node: NodePlan, spec: ProgramSpec | None, environment: Mapping[str, str]) -> NamedImage | None:
    """The image of the scenario, of the environment (``ProgramSpec.image_variable``) or of the kind, in this order."""
    if node.image:
        return NamedImage(node.image, "the scenario's 'image'")
    if spec is not None and (given := environment.get(spec.image_variable)):
        return NamedImage(given, f"${spec.image_variable}")
    if spec is not None and spec.image:
        return NamedImage(spec.image, "its kind")
    return None
