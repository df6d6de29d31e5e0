"""The Compose file of a run, from values. Pure: what stands here is all that the file depends on."""

from __future__ import annotations

import io
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from nodeyard.domain.launch_plan import LaunchPlan, NodePlan
from nodeyard.domain.sources import Resources
from nodeyard.providers.deployer.compose.resources import CONFIG_DIR, DATA_DIR, NETWORK_KEY

HOST_NAME = "host.docker.internal"
"""What containers call the machine that their engine runs on."""
UNITS = {"k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
HEADER = """\
# The network of run {run}, as Compose runs it. It can be used without Nodeyard:
#   docker compose -f {file} up
"""


@dataclass(frozen=True)
class Build:
    """How an image is built: a folder, and the text of a Dockerfile where the folder has none of its own."""

    context: str
    dockerfile: str | None = None


@dataclass(frozen=True)
class ServiceSpec:
    """One node as a service. ``secrets`` maps variables of the node to those of the command that hold their values;
    ``published`` are fixed ports of the host, by port of the container; ``config`` is the host's folder of its files.
    """

    node: NodePlan
    launch: LaunchPlan
    image: str
    address: str
    config: str | None
    volume: str
    labels: Mapping[str, str]
    grace: float
    pull: str = "missing"
    build: Build | None = None
    user: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    published: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class NetworkSpec:
    """The run's private network."""

    name: str
    subnet: str
    gateway: str


def document(
    project: str, services: Sequence[ServiceSpec], network: NetworkSpec, labels: Mapping[str, str]
) -> dict[str, Any]:
    """The file as plain data; texts are escaped for Compose's own variables."""
    return {
        "name": project,
        "services": {spec.node.name: service(spec) for spec in services},
        "networks": {
            NETWORK_KEY: {
                "name": network.name,
                "ipam": {"config": [{"subnet": network.subnet, "gateway": network.gateway}]},
                "labels": _escaped(labels),
            }
        },
        "volumes": {
            f"{spec.node.name}-data": {"name": spec.volume, "labels": _escaped(spec.labels)} for spec in services
        },
    }


def service(spec: ServiceSpec) -> dict[str, Any]:
    """One service."""
    found: dict[str, Any] = {"image": escaped(spec.image), "pull_policy": spec.pull}
    if spec.build is not None:
        found["build"] = {"context": escaped(spec.build.context)}
        if spec.build.dockerfile is not None:
            found["build"]["dockerfile_inline"] = escaped(spec.build.dockerfile)
    found |= {
        "hostname": spec.node.name,
        "entrypoint": [escaped(spec.launch.program)],
        "command": [escaped(word) for word in spec.launch.args],
        "environment": {
            **_escaped(spec.env),
            **{name: f"${{{variable}}}" for name, variable in spec.secrets.items()},
        },
        "labels": _escaped(spec.labels),
        "networks": {NETWORK_KEY: {"ipv4_address": spec.address}},
        "extra_hosts": [f"{HOST_NAME}:host-gateway"],
        "ports": [_port(port.number, spec.published.get(port.number)) for port in spec.node.ports],
        "volumes": [
            {"type": "volume", "source": f"{spec.node.name}-data", "target": DATA_DIR},
            *([{"type": "bind", "source": escaped(spec.config), "target": CONFIG_DIR}] if spec.config else []),
        ],
        "stop_signal": signal.Signals(spec.launch.stop.signal).name,
        "stop_grace_period": f"{max(1, round(spec.grace))}s",
        "restart": "no",
    }
    if spec.user is not None:
        found["user"] = spec.user
    if spec.node.resources is not None and (limits := _limits(spec.node.resources)):
        found["deploy"] = {"resources": {"limits": limits}}
    if spec.node.on_demand:
        found["profiles"] = ["on-demand"]
    return {name: value for name, value in found.items() if value not in ({}, [])}


def _port(number: int, published: int | None) -> dict[str, Any]:
    """A port on the loopback of the engine's host; without a number of its own the engine chooses one."""
    found: dict[str, Any] = {"target": number, "host_ip": "127.0.0.1", "protocol": "tcp"}
    return {**found, "published": str(published)} if published is not None else found


def _limits(resources: Resources) -> dict[str, str]:
    limits: dict[str, str] = {}
    if resources.cpu is not None:
        limits["cpus"] = f"{resources.cpu:g}"
    if resources.memory is not None:
        limits["memory"] = str(memory_bytes(resources.memory))
    return limits


def memory_bytes(text: str) -> int:
    """Bytes of ``512Mi`` or ``2G``: Compose reads M as a power of two, scenarios as one of ten."""
    digits = text.rstrip("kKMGi")
    return int(digits) * UNITS.get(text[len(digits) :], 1)


def escaped(text: str) -> str:
    """A text in which Compose finds no variable."""
    return text.replace("$", "$$")


def _escaped(texts: Mapping[str, str]) -> dict[str, str]:
    return {name: escaped(value) for name, value in texts.items()}


def dump(value: Mapping[str, Any], *, run: str, file: str) -> str:
    """The file's text. Every text value is quoted, because YAML versions differ in what a bare word is."""
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 4096
    out = io.StringIO()
    yaml.dump(_quoted(value), out)
    return HEADER.format(run=run, file=file) + out.getvalue()


def _quoted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _quoted(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_quoted(inner) for inner in value]
    return DoubleQuotedScalarString(value) if isinstance(value, str) else value
