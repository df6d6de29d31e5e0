"""What a scenario may say under ``attach: {type: compose}``. Values only."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from nodeyard.domain.sources import AttachOptions, Auth, Tls

PortNumber = Annotated[int, Field(ge=1, le=65535)]
Addresses = Literal["published", "container", "auto"]


class ComposeAttachOptions(AttachOptions):
    """Nodes that are containers of a running Compose project."""

    type: Literal["compose"]
    project: str | None = Field(
        default=None, min_length=1, description="the Compose project, as in 'docker compose ls'"
    )
    services: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(), description="its services that are nodes; default: all"
    )
    labels: dict[str, str] = Field(default_factory=dict, description="labels that a container must have")
    port: PortNumber | None = Field(
        default=None, description="the container's port of the kind's API; default: the kind's own"
    )
    ports: dict[str, PortNumber] = Field(
        default_factory=dict, description="the container's ports, by port name of the kind; default: the kind's own"
    )
    address: Addresses = Field(
        default="published", description="use published ports, the containers' own addresses, or whichever there is"
    )
    host: str | None = Field(default=None, description="the engine, as DOCKER_HOST names it; default: docker's own")
    context: str | None = Field(default=None, description="the engine, as a context of the docker command")
    auth: Auth | None = Field(default=None, description="how we prove to every node who we are")
    tls: Tls | None = Field(default=None, description="TLS towards every node")

    @model_validator(mode="after")
    def _consistent(self) -> ComposeAttachOptions:
        if self.project is None and not self.labels:
            raise ValueError("name the containers by project or by labels")
        if self.host is not None and self.context is not None:
            raise ValueError("name the engine by host or by context, not both")
        return self
