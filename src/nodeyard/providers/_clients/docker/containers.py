"""Containers as values, read from the engine's answers. Pure."""

from __future__ import annotations

import ipaddress
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nodeyard.ports.node_control import NodeState
from nodeyard.providers._clients.docker import labels

NEVER = "0001-01-01T00:00:00Z"
"""How the engine writes a time that has not come."""
ANY_ADDRESS = ("0.0.0.0", "::", "")
STATES = {"running": "running", "restarting": "running", "paused": "paused", "created": "stopped"}


@dataclass(frozen=True)
class Published:
    """A port of a container as its engine's host publishes it."""

    port: int
    host: str
    number: int


@dataclass(frozen=True)
class Container:
    """What an engine says of one container. ``addresses`` are its own, by network; ``pid`` that of its first process
    as the engine's host counts it, 0 while it does not run. ``health`` is empty where nothing checks it.
    """

    id: str
    name: str
    labels: Mapping[str, str]
    state: str
    exit_code: int = 0
    oom_killed: bool = False
    error: str = ""
    pid: int = 0
    started: str = NEVER
    health: str = ""
    published: Sequence[Published] = ()
    exposed: Sequence[int] = ()
    addresses: Mapping[str, str] = field(default_factory=dict)

    @property
    def short_id(self) -> str:
        return self.id[:12]

    @property
    def locator(self) -> str:
        """Where it runs now; another one after each start, because another process runs then."""
        return f"container:{self.short_id}" + (f"/pid:{self.pid}" if self.pid else "")

    @property
    def runs(self) -> bool:
        return self.state in ("running", "paused", "restarting")

    @property
    def life(self) -> tuple[str, str]:
        """One start of it; another one after each."""
        return (self.id, self.started)

    @property
    def status(self) -> str:
        """How it ended, in words."""
        why = exit_words(self.exit_code)
        if self.oom_killed:
            why += ", out of memory"
        return f"{why}: {self.error}" if self.error else why

    def node_state(self, *, asked: bool) -> NodeState:
        """Its state as the port knows it; ``asked``: we ended it."""
        known = STATES.get(self.state)
        if known == "stopped":
            return NodeState("stopped")
        if known is not None:
            return NodeState(known, self.locator)
        return NodeState("stopped" if asked else "exited", status=self.status)

    def published_at(self, port: int) -> tuple[str, int] | None:
        """Host and number at which a port of it is reached on the engine's host, IPv4 first."""
        found = sorted((p.host.count(":"), p.host, p.number) for p in self.published if p.port == port)
        if not found:
            return None
        _, host, number = found[0]
        return ("127.0.0.1" if host in ANY_ADDRESS else host), number


def exit_words(code: int) -> str:
    """``exit status 3``, or ``killed by SIGKILL`` for a status above 128 that stands for a signal."""
    try:
        return f"killed by {signal.Signals(code - 128).name}"
    except ValueError:
        return f"exit status {code}"


def inspected(said: Mapping[str, Any]) -> Container:
    """A container from the engine's ``inspect``."""
    state, network = said.get("State") or {}, said.get("NetworkSettings") or {}
    ports = network.get("Ports") or {}
    config = said.get("Config") or {}
    exposed = {_number(port) for port in (*(config.get("ExposedPorts") or {}), *ports)}
    return Container(
        id=said["Id"],
        name=said.get("Name", "").lstrip("/"),
        labels=dict(config.get("Labels") or {}),
        state=state.get("Status", "unknown"),
        exit_code=state.get("ExitCode", 0),
        oom_killed=bool(state.get("OOMKilled")),
        error=state.get("Error", ""),
        pid=state.get("Pid", 0),
        started=state.get("StartedAt", NEVER),
        health=(state.get("Health") or {}).get("Status", ""),
        published=tuple(
            Published(_number(port), binding.get("HostIp", ""), int(binding["HostPort"]))
            for port, bindings in ports.items()
            if port.endswith("/tcp")
            for binding in bindings or ()
        ),
        exposed=tuple(sorted(exposed)),
        addresses=_addresses(network.get("Networks") or {}),
    )


def listed(said: Mapping[str, Any]) -> Container:
    """A container from the engine's list, which knows neither pids nor exit codes."""
    ports = said.get("Ports") or ()
    status = said.get("Status", "")
    health = next((word for word in ("unhealthy", "healthy", "starting") if f"({_health(word)})" in status), "")
    return Container(
        id=said["Id"],
        name=(said.get("Names") or [""])[0].lstrip("/"),
        labels=dict(said.get("Labels") or {}),
        state=said.get("State", "unknown"),
        health=health,
        published=tuple(
            Published(port["PrivatePort"], port.get("IP", ""), port["PublicPort"])
            for port in ports
            if port.get("Type") == "tcp" and port.get("PublicPort")
        ),
        exposed=tuple(sorted({port["PrivatePort"] for port in ports})),
        addresses=_addresses((said.get("NetworkSettings") or {}).get("Networks") or {}),
    )


def _health(word: str) -> str:
    return "health: starting" if word == "starting" else word


def _number(port: str) -> int:
    return int(port.partition("/")[0])


def _addresses(networks: Mapping[str, Any]) -> Mapping[str, str]:
    found = {name: str((known or {}).get("IPAddress") or "") for name, known in networks.items()}
    return {name: address for name, address in sorted(found.items()) if _is_address(address)}


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def service_of(container: Container) -> str:
    """The service of a Compose container; its name where it is none."""
    return container.labels.get(labels.SERVICE, container.name)
