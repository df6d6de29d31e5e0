"""What a scenario may say of the local deployer. Values only."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from nodeyard.domain.quantity import NodeName, PositiveDuration
from nodeyard.domain.sources import DeployerOptions

EPHEMERAL = range(32768, 61000)
"""Outgoing connections take their ports from here (Linux's default range), so a listener can lose one at any moment."""

LOWEST, HIGHEST = 10000, 32767
"""Ports are reserved in this range unless the options say otherwise: above the well-known, below the outgoing ones."""


def _not_ephemeral(port: int) -> int:
    if port in EPHEMERAL:
        raise ValueError(
            f"port {port} is in {EPHEMERAL.start}-{EPHEMERAL.stop - 1}, which outgoing connections take ports from; "
            f"choose one below {EPHEMERAL.start}"
        )
    return port


PortNumber = Annotated[int, Field(ge=1, le=65535), AfterValidator(_not_ephemeral)]


class LocalOptions(DeployerOptions):
    """Nodes as processes of this machine."""

    type: Literal["local"]
    ports: dict[NodeName, dict[str, PortNumber]] = Field(
        default_factory=dict, description="fixed ports: node, then port name; all others are reserved at run"
    )
    port_range: tuple[PortNumber, PortNumber] = Field(
        default=(LOWEST, HIGHEST), description="first and last port to reserve from"
    )
    isolation: Literal["none", "netns"] = Field(
        default="none", description="netns: each node in a network namespace of its own, for network faults; takes root"
    )
    stop_grace: PositiveDuration | None = Field(
        default=None, description="how long a graceful stop may take before it is forced; default: the kind's own"
    )
    inherit: tuple[str, ...] = Field(
        default=(), description="variables of the tester's environment that nodes get beside PATH, HOME and the locale"
    )

    @model_validator(mode="after")
    def _consistent(self) -> LocalOptions:
        first, last = self.port_range
        if first > last or any(first <= edge <= last for edge in (EPHEMERAL.start, EPHEMERAL.stop - 1)):
            raise ValueError(f"port_range {first}-{last} must ascend and stay clear of {EPHEMERAL.start}-60999")
        owners: dict[int, str] = {}
        for node, ports in self.ports.items():
            for name, number in ports.items():
                here = f"{node}.{name}"
                if number in owners:
                    raise ValueError(f"port {number} is given to {owners[number]} and to {here}")
                owners[number] = here
        return self
