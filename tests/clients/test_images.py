"""Which image a node runs is decided by the scenario first, then by the environment."""

from __future__ import annotations

import pytest

from nodeyard.domain.launch_plan import NodePlan
from nodeyard.ports.kind import ProgramSpec
from nodeyard.providers._clients.images import NamedImage, named_image

SPEC = ProgramSpec(program="toy", variable="NODEYARD_TOY")


@pytest.mark.parametrize(
    ("image", "environment", "expected"),
    [
        ("mine:1", {"NODEYARD_TOY_IMAGE": "theirs:1"}, NamedImage("mine:1", "the scenario's 'image'")),
        (None, {"NODEYARD_TOY_IMAGE": "theirs:1"}, NamedImage("theirs:1", "$NODEYARD_TOY_IMAGE")),
        (None, {"NODEYARD_TOY_IMAGE": "", "NODEYARD_TOY": "/bin/toy"}, None),
        (None, {}, None),
    ],
)
def test_the_order_in_which_images_are_named(
    image: str | None, environment: dict[str, str], expected: NamedImage | None
) -> None:
    assert named_image(NodePlan("n0", "toy", 0, 0, image=image), SPEC, environment) == expected


def test_a_kind_without_a_program_has_only_the_scenarios_image() -> None:
    assert named_image(NodePlan("n0", "toy", 0, 0), None, {"NODEYARD_TOY_IMAGE": "x"}) is None
