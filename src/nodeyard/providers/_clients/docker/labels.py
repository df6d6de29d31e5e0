"""The labels on everything that a run makes in an engine, and those that Compose puts on what it makes."""

from __future__ import annotations

from collections.abc import Mapping

from nodeyard.domain.run_identity import RunMark

MARK, RUN, SCENARIO, NODE = "nodeyard.mark", "nodeyard.run", "nodeyard.scenario", "nodeyard.node"
"""``MARK`` decides what a run owns; the others are for people and their filters."""

PROJECT, SERVICE, NUMBER = (
    "com.docker.compose.project",
    "com.docker.compose.service",
    "com.docker.compose.container-number",
)
NETWORK, ONEOFF = "com.docker.compose.network", "com.docker.compose.oneoff"


def labels(mark: RunMark, scenario: str, node: str | None = None) -> Mapping[str, str]:
    """The labels of one resource."""
    found = {MARK: mark.text, RUN: mark.run, SCENARIO: scenario}
    return {**found, NODE: node} if node is not None else found


def marked(mark: RunMark) -> Mapping[str, str]:
    """What to look for: everything of this run, and of no other run or host."""
    return {MARK: mark.text}


def node_marked(mark: RunMark, node: str) -> Mapping[str, str]:
    """What to look for: everything of one node of this run."""
    return {MARK: mark.text, NODE: node}
