"""What a scenario may say under ``attach: {type: static}``. Must not live here: reading the file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nodeyard.domain.quantity import NodeName
from nodeyard.domain.sources import AttachOptions, Auth, Tls

Format = Literal["auto", "nodes", "inventory", "file-sd"]


class StaticOptions(AttachOptions):
    """Nodes that a file lists. ``auth`` and ``tls`` are for nodes that bring none of their own."""

    type: Literal["static"]
    file: Annotated[str, Field(min_length=1, description="path, relative to the scenario's folder")]
    format: Format = Field(default="auto", description="what the file is; told by its content by default")
    port: NodeName | None = Field(default=None, description="the port that a bare address means: the kind's API port")
    name_label: str | None = Field(default=None, description="file_sd: the label that names a node; else host and port")
    select: dict[str, str] = Field(default_factory=dict, description="file_sd: labels that a node must have")
    auth: Auth | None = Field(default=None, description="of nodes that bring none of their own")
    tls: Tls | None = Field(default=None, description="of nodes that bring none of their own")
