"""Which kind files make nodes that need the grant of a borrowed network."""

from __future__ import annotations

import pytest

from nodeyard.bootstrap.validation import join_problems
from nodeyard.domain.capability import ALWAYS_GRANTED, Capability
from nodeyard.domain.identity import HostPort
from nodeyard.domain.launch_plan import NodePlan
from nodeyard.domain.node_handle import Origin, OriginClass, Sighting
from nodeyard.domain.node_inventory import NodeInventory

from .support import example, shipped, toy


@pytest.mark.parametrize(
    ("launch", "granted"),
    [
        ("launch: {program: p}", False),
        ('launch: {program: p, args: ["{% if seeds %}{{ seeds[0].address.api }}{% endif %}"]}', True),
        ('launch: {program: p, env: {JOIN: "{% for seed in seeds %}{{ seed.name }}{% endfor %}"}}', True),
        ("launch: {program: p, files: {c: \"{{ 'seeds' }} {{ peers | length }}\"}}", False),
        ('launch: {program: p, files: {c: "{{ seeds | length }}"}}', True),
        ('launch: {program: p, entering: free, files: {c: "{{ seeds | length }}"}}', False),
        ("launch: {program: p, args: [{each: seeds, arg: --more}]}", True),
        ("launch: {program: p, args: [{each: peers, arg: '{{ peer.name }}'}]}", False),
        ("", False),
    ],
)
def test_a_launch_that_refers_to_seeds_takes_the_grant(launch: str, granted: bool) -> None:
    assert toy(launch + "\n").enters_by_grant() is granted


def test_the_examples_are_asked_as_they_are() -> None:
    assert example("nats").enters_by_grant()
    assert not example("redis").enters_by_grant()
    assert not shipped("ethereum").enters_by_grant()


@pytest.mark.parametrize(("granted", "count"), [((), 1), ((Capability.JOIN,), 0)])
def test_every_borrowed_node_has_to_grant_it(granted: tuple[Capability, ...], count: int) -> None:
    kind = example("nats")
    origin = Origin(
        OriginClass.EXTERNAL,
        "external",
        "theirs",
        supported=ALWAYS_GRANTED | {Capability.JOIN},
        granted=ALWAYS_GRANTED | set(granted),
    )
    sighting = Sighting("theirs", "nats", origin, address=HostPort("127.0.0.1", 8222))
    inventory = NodeInventory().merged([sighting])
    found = join_problems(inventory, {"nats": kind}, {"nats": [NodePlan("ours", "nats", 0, 0)]})
    assert len(found) == count
    assert all("ours: entering the borrowed nats network" in problem for problem in found)
