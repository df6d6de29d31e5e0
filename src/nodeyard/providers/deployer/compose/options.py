"""What a scenario may say of the Compose deployer. Values only."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from nodeyard.domain.quantity import NodeName, PositiveDuration
from nodeyard.domain.sources import DeployerOptions

SUBNETS = "198.18.0.0/15"
"""RFC 2544 keeps these addresses for tests of networks: neither the internet nor an engine's own pools use them."""
SMALLEST = 29


def _ipv4_network(text: str) -> str:
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise ValueError(f"'{text}' is no IPv4 network, as in {SUBNETS}: {error}") from None
    if network.prefixlen > SMALLEST:
        raise ValueError(f"'{text}' is too small for a network of nodes; it needs a prefix of {SMALLEST} or less")
    return text


PortNumber = Annotated[int, Field(ge=1, le=65535)]


class ComposeOptions(DeployerOptions):
    """Nodes as containers of one Compose project."""

    type: Literal["compose"]
    host: str | None = Field(default=None, description="the engine, as DOCKER_HOST names it; default: docker's own")
    context: str | None = Field(default=None, description="the engine, as a context of the docker command")
    pull: Literal["never", "missing", "always"] = Field(default="missing", description="when images are pulled")
    build: dict[str, str] = Field(
        default_factory=dict, description="folder with a Dockerfile to build the image of a kind from, by kind"
    )
    subnets: Annotated[str, AfterValidator(_ipv4_network)] = Field(
        default=SUBNETS, description="where the run's private network takes its subnet from"
    )
    ports: dict[NodeName, dict[str, PortNumber]] = Field(
        default_factory=dict,
        description="fixed ports on 127.0.0.1: node, then port name; the engine chooses others",
    )
    stop_grace: PositiveDuration | None = Field(
        default=None, description="how long a graceful stop may take before it is forced; default: the kind's own"
    )

    @model_validator(mode="after")
    def _consistent(self) -> ComposeOptions:
        if self.host is not None and self.context is not None:
            raise ValueError("name the engine by host or by context, not both")
        owners: dict[int, str] = {}
        for node, ports in self.ports.items():
            for name, number in ports.items():
                here = f"{node}.{name}"
                if number in owners:
                    raise ValueError(f"port {number} is given to {owners[number]} and to {here}")
                owners[number] = here
        return self
