"""Where nodes come from: the three source modes as one discriminated union, and what each source may say.

Frozen pydantic values. The options of a deployer or attach provider are a model of that plugin; the registry narrows
``DeployerOptions`` and ``AttachOptions`` to the union of what is installed.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SerializeAsAny, model_validator

from nodeyard.domain.capability import Capability
from nodeyard.domain.identity import host_port
from nodeyard.domain.quantity import NAME_PATTERN, NodeName, Switch
from nodeyard.domain.secrets import Secret

NAME = re.compile(NAME_PATTERN)
GROUP_NAME_PATTERN = r"^[a-z0-9{]([a-z0-9{}-]*[a-z0-9}])?$"
HEADER_PATTERN = r"^[A-Za-z0-9-]+$"
MEMORY_PATTERN = r"^\d+(Ki|Mi|Gi|k|M|G)?$"
SCHEMES = ("http", "https", "tcp", "ws", "wss", "grpc", "grpcs")
Scalar = bool | int | float | str
Config = dict[str, Scalar]


class Spec(BaseModel):
    """The base of everything that a scenario file may contain: frozen, strict about keys."""

    # Inputs stay out of error texts, because an input may hold a secret.
    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, hide_input_in_errors=True, defer_build=True
    )


class BasicAuth(Spec):
    """HTTP Basic."""

    username: Secret
    password: Secret


class HeaderAuth(Spec):
    """One header that every request carries."""

    name: Annotated[str, Field(pattern=HEADER_PATTERN, description="name of the header")]
    value: Secret


class Auth(Spec):
    """How the tester proves who it is to a node: exactly one way."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    basic: BasicAuth | None = Field(default=None, description="HTTP Basic")
    bearer: Secret | None = Field(default=None, description="a bearer token: env:NAME, file:PATH, or a literal")
    header: HeaderAuth | None = Field(default=None, description="one header that every request carries")

    @model_validator(mode="after")
    def _exactly_one(self) -> Auth:
        if sum(way is not None for way in (self.basic, self.bearer, self.header)) != 1:
            raise ValueError("name exactly one of basic, bearer, header")
        return self

    @property
    def kind(self) -> str:
        """The class of authentication, as network facts name it."""
        return "basic" if self.basic else "bearer" if self.bearer else "header"


class Tls(Spec):
    """TLS towards a node: ``ca`` verifies it, ``cert`` and ``key`` are ours (mutual TLS). Paths of PEM files."""

    model_config = ConfigDict(json_schema_extra={"dependentRequired": {"cert": ["key"], "key": ["cert"]}})

    ca: str | None = Field(default=None, description="PEM file of the authority that signed the node's certificate")
    cert: str | None = Field(default=None, description="PEM file of our certificate")
    key: str | None = Field(default=None, description="PEM file of our key")
    server_name: str | None = Field(default=None, description="the name that the node's certificate has")

    @model_validator(mode="after")
    def _pair(self) -> Tls:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key belong together")
        return self


AllowedCapability = Annotated[Capability, Field(description="granted on nodes of this source")]


def _check_url(url: str) -> str:
    scheme, separator, _ = url.partition("://")
    if separator and scheme.lower() not in SCHEMES:
        raise ValueError(f"a URL begins with one of {', '.join(SCHEMES)}, as in http://127.0.0.1:2379")
    host_port(url)
    return url


Url = Annotated[str, Field(min_length=1), AfterValidator(_check_url)]


class ExternalNode(Spec):
    """One node that exists already and whose endpoints are given."""

    name: NodeName = Field(description="what steps and reports call the node")
    kind: str | None = Field(default=None, description="its kind, if not the scenario's")
    endpoints: Annotated[dict[str, Url], Field(min_length=1)] = Field(
        description="URL of each port by its name; the kind's API port is needed"
    )
    auth: Auth | None = Field(default=None, description="how we prove to it who we are")
    tls: Tls | None = Field(default=None, description="TLS towards it")
    role: str | None = Field(default=None, description="one of its kind's roles")
    allow: tuple[AllowedCapability, ...] = Field(default=(), description="what may be done beside reading and writing")


class Resources(Spec):
    """Limits of one node; a backend that cannot hold one refuses it."""

    cpu: Annotated[float, Field(gt=0)] | None = Field(default=None, description="cores")
    memory: Annotated[str, Field(pattern=MEMORY_PATTERN)] | None = Field(
        default=None, description="bytes, as in 512Mi or 2G"
    )


class NodeGroup(Spec):
    """A number of alike managed nodes. ``name`` is a template over ``{index}``, which counts from 0."""

    count: Annotated[int, Field(ge=1, le=10_000)] = Field(default=1, description="how many")
    name: Annotated[str, Field(pattern=GROUP_NAME_PATTERN)] = Field(
        default="n{index}", description="template of their names; {index} counts from 0"
    )
    kind: str | None = Field(default=None, description="their kind, if not the scenario's")
    role: str | None = Field(default=None, description="one of the kind's roles")
    binary: str | None = Field(
        default=None, description="the program of processes: a path, go:MODULE@VERSION, or URL#sha256=DIGEST"
    )
    image: str | None = Field(default=None, description="image, for containers and pods")
    config: Config = Field(default_factory=dict, description="settings of the node software, by its own names")
    patches: dict[NodeName, Config] = Field(
        default_factory=dict, description="settings of single nodes by name, over those of the group"
    )
    env: dict[str, str] = Field(default_factory=dict, description="values; env:NAME and file:PATH stay secret")
    resources: Resources | None = Field(default=None, description="limits of each node")
    on_demand: Switch = Field(default=False, description="not started by bootstrap, but by a step 'start'")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.name.replace("{index}", str(index)) for index in range(self.count))

    @model_validator(mode="after")
    def _named(self) -> NodeGroup:
        if self.count > 1 and "{index}" not in self.name:
            raise ValueError("name needs {index} when count is above 1")
        if not NAME.fullmatch(self.names[-1]):
            raise ValueError(
                f"name makes '{self.names[-1]}', which is no node name: at most 63 of a-z, 0-9 and '-', and no braces "
                "but {index}"
            )
        return self


class DeployerOptions(Spec):
    """What every deployer's options have; each deployer brings a subclass with its own ``type``."""

    type: str


class AttachOptions(Spec):
    """What every attach provider's options have. ``expect`` is the declared number of nodes."""

    type: str
    expect: Annotated[int, Field(ge=1)] | None = Field(default=None, description="declared number of nodes")
    allow: tuple[AllowedCapability, ...] = Field(default=(), description="what may be done beside reading and writing")


def _as_list(value: object) -> object:
    return [value] if isinstance(value, dict) else value


class Managed(Spec):
    """Nodes that Nodeyard starts, and external ones beside them."""

    mode: Literal["managed"]
    deployer: SerializeAsAny[DeployerOptions] = Field(description="who starts the nodes")
    nodes: Annotated[
        tuple[NodeGroup, ...],
        BeforeValidator(_as_list, json_schema_input_type=NodeGroup | Annotated[list[NodeGroup], Field(min_length=1)]),
        Field(min_length=1),
    ] = Field(description="one group of nodes, or a list of groups")
    external: tuple[ExternalNode, ...] = Field(default=(), description="nodes whose endpoints are given")


class Attached(Spec):
    """Nodes that a provider finds, and external ones beside them."""

    mode: Literal["attached"]
    attach: SerializeAsAny[AttachOptions] = Field(description="who finds the nodes")
    external: tuple[ExternalNode, ...] = Field(default=(), description="nodes whose endpoints are given")


class ExternalOnly(Spec):
    """Nodes that exist already and are listed."""

    mode: Literal["external-only"]
    external: Annotated[tuple[ExternalNode, ...], Field(min_length=1)] = Field(
        description="nodes whose endpoints are given"
    )


Source = Annotated[Managed | Attached | ExternalOnly, Field(discriminator="mode")]
