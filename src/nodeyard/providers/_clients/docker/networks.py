"""The network namespace of a container, where its engine runs on this machine."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from nodeyard.domain.network_rules import Effect
from nodeyard.providers._clients import process
from nodeyard.providers._clients.docker.containers import Container
from nodeyard.providers._clients.netns import means
from nodeyard.providers._clients.netns.namespace import Commands, Namespace, environment_of

ELSEWHERE = "its engine runs on another machine, and rules are made inside of the networks of containers"


def namespace_of(container: Container) -> Namespace | None:
    """The namespace, by the first process of the container; ``None`` while it does not run, or runs elsewhere.

    The process must name the container itself: an engine in a virtual machine counts other processes than we do.
    """
    if not container.runs or not container.pid:
        return None
    who = process.identify(container.pid)
    if who is None or container.id not in process.control_groups(container.pid):
        return None
    return Namespace(who=who)


async def network_problems(effects: Collection[Effect], environment: Mapping[str, str], *, local: bool) -> list[str]:
    """Why these effects cannot be had on containers of an engine; ``local``: it runs on this machine."""
    if not local:
        return [f"'{effect}' on a network: {ELSEWHERE}" for effect in sorted(effects)]
    found = await means.look(Commands(environment_of(environment)))
    return list(found.problems(effects))
