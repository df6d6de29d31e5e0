"""One kind file as a model: what may stand in it, and the rules within one mapping.

Must not live here: what templates and expressions mean (``checks``), and reading files.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from nodeyard.domain.launch_plan import Scheme
from nodeyard.domain.node_client import Rung
from nodeyard.domain.quantity import NAME_PATTERN, PositiveDuration, Switch
from nodeyard.domain.sources import Scalar, Spec
from nodeyard.ports.kind import Matters

WAYS = ("get", "post", "put", "delete", "rpc", "tcp", "command", "log")
HTTP_WAYS = ("get", "post", "put", "delete")
RUNGS = {"alive": Rung.ALIVE, "port": Rung.PORT_OPEN, "api": Rung.API_ANSWERS, "peers": Rung.PEERS,
         "network": Rung.NETWORK_AGREED, "height": Rung.HEIGHT}  # fmt: skip
"""The words for rungs of the readiness ladder."""

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Template = Annotated[str, Field(json_schema_extra={"x-template": True})]
"""A text with ``{{ ... }}`` and ``{% ... %}``."""
Expression = Annotated[str, Field(min_length=1, json_schema_extra={"x-jmespath": True})]
"""A JMESPath expression."""
Pattern = Annotated[str, Field(min_length=1, json_schema_extra={"x-pattern": True})]
"""A regular expression of Python, over several lines."""


def _signal(name: str) -> str:
    if not hasattr(signal, f"SIG{name.upper().removeprefix('SIG')}"):
        raise ValueError("Input should be the name of a signal, as in TERM, INT or QUIT")
    return name


def _version(text: str) -> str:
    if not re.fullmatch(r"\d+(\.\d+)*", text):
        raise ValueError("Input should be a version of numbers, as in '7.0'")
    return text


def _port(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return {"number": value}
    if not isinstance(value, dict | Port):
        raise ValueError("Input should be a number, or a mapping with number and scheme")
    return value


def _arg(value: Any) -> Any:
    if isinstance(value, str):
        return {"arg": value}
    if not isinstance(value, dict | Arg):
        raise ValueError("Input should be a text, or a mapping with each and arg")
    return value


class Port(Spec):
    """A port: its number in containers and pods, and what is spoken on it."""

    number: Annotated[int, Field(ge=1, le=65535)] = Field(description="the number in containers and pods")
    scheme: Scheme = Field(default=Scheme.HTTP, description="what is spoken on it")


class Stop(Spec):
    """How a node is asked to end."""

    signal: Annotated[str, AfterValidator(_signal)] = Field(default="TERM", description="the signal's name")
    grace: PositiveDuration = Field(default=10.0, description="how long it may take before it is forced")

    @property
    def number(self) -> int:
        return int(getattr(signal, f"SIG{self.signal.upper().removeprefix('SIG')}"))


class File(Spec):
    """A rendered file below the node's config folder."""

    content: Template = Field(description="template of the file")
    secret: Switch = Field(default=False, description="readable by its owner alone, and never kept as evidence")


class Arg(Spec):
    """An argument, or one for each of several nodes."""

    arg: Template = Field(description="template of the argument")
    each: Literal["seeds", "peers"] | None = Field(
        default=None, description="write it once for each of these nodes, which is 'seed' or 'peer' in the template"
    )

    @property
    def one(self) -> str:
        """What the template calls the node that it is written for."""
        return (self.each or "").removesuffix("s")


class Launch(Spec):
    """How a managed node is started."""

    program: Annotated[str, Field(min_length=1)] = Field(description="name of the program, looked for on the PATH")
    args: tuple[Annotated[Arg, BeforeValidator(_arg, json_schema_input_type=Template | Arg)], ...] = Field(
        default=(), description="its arguments; one that renders empty is left out"
    )
    env: dict[str, Template] = Field(default_factory=dict, description="variables; env:NAME and file:PATH stay secret")
    files: dict[
        Annotated[str, Field(min_length=1)],
        Annotated[File, BeforeValidator(lambda v: {"content": v} if isinstance(v, str) else v,
                                        json_schema_input_type=File | str)],
    ] = Field(default_factory=dict, description="files below the config folder, by their paths")  # fmt: skip
    entering: Literal["granted", "free"] = Field(
        default="granted",
        description="whether nodes that are told of a borrowed network need its grant 'join', because it comes to know "
        "them ('granted'), or change nothing there ('free')",
    )
    image: str | None = Field(default=None, description="default image, for containers and pods")
    stop: Stop = Stop()
    install: str = Field(default="", description="how to get the program, for whoever lacks it")
    version_args: tuple[str, ...] = Field(default=(), description="arguments that print the program's version")
    version_pattern: Pattern = Field(default=r"(\d+\.\d+\.\d+)", description="finds the version, with one group")
    minimum: Annotated[str, AfterValidator(_version)] | None = Field(
        default=None, description="the oldest version that will do; in quotes, as in '7.0'"
    )

    @model_validator(mode="after")
    def _knows_its_version(self) -> Launch:
        if self.minimum is not None and not self.version_args:
            raise ValueError("'minimum' needs 'version_args', which print the version")
        return self


class Ask(Spec):
    """One question to a node, in exactly one way."""

    model_config = ConfigDict(protected_namespaces=())

    get: Template | None = Field(default=None, description="HTTP GET of this path")
    post: Template | None = Field(default=None, description="HTTP POST to this path")
    put: Template | None = Field(default=None, description="HTTP PUT to this path")
    delete: Template | None = Field(default=None, description="HTTP DELETE of this path")
    rpc: str | None = Field(default=None, description="JSON-RPC 2.0 call of this method; the answer is its result")
    tcp: Template | None = Field(default=None, description="text to send over TCP; the answer is what comes back")
    command: tuple[Template, ...] | None = Field(default=None, description="a command beside the node; what it prints")
    log: Pattern | None = Field(default=None, description="the last line of the node's log in which this is found")
    port: str | None = Field(default=None, description="which port; the API port by default")
    params: Any = Field(default=None, description="of an RPC call; templates may stand in it")
    path: Template | None = Field(default=None, description="of an RPC call; / by default")
    json_: Any = Field(default=None, alias="json", description="body as JSON; templates may stand in it")
    body: Template | None = Field(default=None, description="body as text")

    @model_validator(mode="after")
    def _one_way(self) -> Ask:
        ways = [way for way in self.ways if getattr(self, way) is not None]
        if len(ways) != 1:
            raise ValueError(f"name exactly one of {', '.join(self.ways)}")
        way = ways[0]
        for name, value, belongs in (
            ("params", self.params, way == "rpc"),
            ("path", self.path, way == "rpc"),
            ("json", self.json_, way in HTTP_WAYS),
            ("body", self.body, way in HTTP_WAYS),
            ("port", self.port, way not in ("command", "log")),
        ):
            if value is not None and not belongs:
                raise ValueError(f"'{name}' does not belong to '{way}'")
        if self.json_ is not None and self.body is not None:
            raise ValueError("'body' and 'json' are two bodies; name one")
        return self

    @property
    def ways(self) -> tuple[str, ...]:
        return WAYS

    @property
    def way(self) -> str:
        """The one way that is named."""
        return next(way for way in self.ways if getattr(self, way) is not None)

    @property
    def http(self) -> bool:
        return self.way in HTTP_WAYS


class Pick(Ask):
    """One question, and what of its answer is meant: by ``find`` in JSON, or by ``match`` in text."""

    find: Expression | None = Field(default=None, description="JMESPath into the JSON of the answer")
    match: Pattern | None = Field(default=None, description="found in the text; its first group, or all of it")
    map: dict[str, str] = Field(default_factory=dict, description="other words for what was found")
    optional: Switch = Field(default=False, description="of a fact: a node that refuses to answer has not said it")

    @model_validator(mode="after")
    def _one_pick(self) -> Pick:
        if self.find is not None and self.match is not None:
            raise ValueError("name either find or match")
        if self.log is not None and self.match is not None:
            raise ValueError("'log' is the pattern itself; 'match' does not belong to it")
        return self


class Check(Ask):
    """One look at whether a node is ready: a port accepts, or an answer is as it should be."""

    connect: str | None = Field(default=None, description="this port accepts a connection")
    find: Expression | None = Field(default=None, description="JMESPath that must give something true")
    match: Pattern | None = Field(default=None, description="must be found in the text")
    rung: Literal["alive", "port", "api", "peers", "network", "height"] | None = Field(
        default=None, description="the rung of the ladder that is reached when it is good"
    )

    @property
    def ways(self) -> tuple[str, ...]:
        return (*WAYS, "connect")

    @model_validator(mode="after")
    def _one_pick(self) -> Check:
        if self.find is not None and self.match is not None:
            raise ValueError("name either find or match")
        if self.way in ("connect", "log") and (self.find or self.match):
            raise ValueError(f"'{self.way}' says all; find and match do not belong to it")
        return self


class When(Spec):
    """What an answer must be like, in every part that is named."""

    status: Annotated[int, Field(ge=100, le=599)] | None = Field(default=None, description="its HTTP status")
    find: Expression | None = Field(default=None, description="JMESPath that must give something true")
    match: Pattern | None = Field(default=None, description="must be found in the text")

    @model_validator(mode="after")
    def _says_something(self) -> When:
        if self.status is None and self.find is None and self.match is None:
            raise ValueError("name at least one of status, find, match")
        return self


class Call(Pick):
    """A call of a client: a question that may change the node."""

    refused: When | None = Field(default=None, description="an answer that says no; nothing happened")


class Get(Call):
    """Reads the value of ``key``."""

    absent: When | None = Field(default=None, description="an answer that says that the key is not there")
    revision: Expression | None = Field(default=None, description="JMESPath to a number that orders values")


class CompareAndSetCall(Call):
    """Writes ``value`` if the value is ``expected``; ``absent`` is true where the key must not be there."""

    written: When = Field(description="an answer that says that it was written")
    not_written: When = Field(description="an answer that says that the value was another one")


class KeyValueCalls(Spec):
    """How keys are read and written."""

    get: Get
    put: Call
    compare_and_set: CompareAndSetCall | None = None


class Submit(Spec):
    """How transactions are handed in."""

    send: Call = Field(description="takes tx.text, tx.hex or tx.base64; what is picked is the transaction's id")
    included: Pick | None = Field(default=None, description="takes tx_id; the height that includes it, or null")


class BlockAsk(Ask):
    """How the block at ``height`` is read."""

    hash: Expression = Field(description="JMESPath to its hash")
    state: Expression | None = Field(default=None, description="JMESPath to the hash of the state after it")


class NetworkAsks(Spec):
    """What network a node is in. What is not asked is not compared."""

    id: Pick | None = Field(default=None, description="network, cluster or chain id")
    genesis: Pick | None = Field(default=None, description="hash of the genesis")
    protocol: Pick | None = Field(default=None, description="version of the protocol between nodes")


class Weights(Spec):
    """What a difference between two nodes in one fact means."""

    id: Matters = Matters.FATAL
    genesis: Matters = Matters.FATAL
    protocol: Matters = Matters.FATAL
    api: Matters = Matters.IGNORED
    auth: Matters = Matters.IGNORED


class KindFile(Spec):
    """A file that describes one node software."""

    nodeyard_kind: Literal[1] = Field(alias="nodeyard-kind", description="format version")
    name: Name = Field(description="the kind's name in inventories and reports")
    summary: Annotated[str, Field(min_length=1, max_length=200)] = Field(description="what the software is, in a line")
    ports: Annotated[
        dict[Name, Annotated[Port, BeforeValidator(_port, json_schema_input_type=Port | int)]], Field(min_length=1)
    ] = Field(description="its ports by name: a number, or number and scheme")
    api_port: str | None = Field(default=None, description="the port that questions go to; the first by default")
    roles: tuple[Name, ...] = Field(default=(), description="roles that a group of nodes may have")
    config: dict[str, Scalar] = Field(default_factory=dict, description="settings of a node, with their defaults")
    open_config: Switch = Field(default=False, description="other settings than those of 'config' are taken too")
    launch: Launch | None = Field(default=None, description="how a node is started; without it none can be managed")
    ready: tuple[Check, ...] = Field(default=(), description="looks that must all be good, in this order")
    peer_id: Pick | None = Field(default=None, description="who the node is; its endpoint by default")
    network: NetworkAsks = NetworkAsks()
    version: Pick | None = Field(default=None, description="version of the software or its API")
    role: Pick | None = Field(default=None, description="leader, follower, or another word")
    height: Pick | None = Field(default=None, description="length of its history; a number, or 0x with hex digits")
    peers: Pick | None = Field(default=None, description="list of the ids of its peers")
    peer_count: Pick | None = Field(default=None, description="how many peers it has; a number, as for 'height'")
    metrics: Ask | None = Field(default=None, description="what it counts, in the text format of Prometheus")
    digest: dict[Name, Pick] = Field(default_factory=dict, description="texts that are equal on nodes with equal state")
    block: BlockAsk | None = Field(default=None, description="the block at a height")
    key_value: KeyValueCalls | None = None
    submit: Submit | None = None
    compare: Weights = Weights()

    @property
    def api(self) -> str:
        return self.api_port or next(iter(self.ports))

    def asks(self) -> Iterator[tuple[tuple[str | int, ...], Ask]]:
        """Every question of the file with its place."""
        for position, check in enumerate(self.ready):
            yield ("ready", position), check
        yield from _asks_in(self, ())

    @property
    def looks_beside(self) -> bool:
        """Whether any question needs a command or the log."""
        return any(ask.way in ("command", "log") for _, ask in self.asks())


def _asks_in(value: Spec, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Ask]]:
    for name in type(value).model_fields:
        part = getattr(value, name)
        if isinstance(part, Ask):
            yield (*path, name), part
        elif isinstance(part, dict) and name == "digest":
            yield from (((*path, name, key), ask) for key, ask in part.items())
        elif isinstance(part, NetworkAsks | KeyValueCalls | Submit):
            yield from _asks_in(part, (*path, name))
