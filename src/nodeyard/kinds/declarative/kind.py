"""``DeclarativeKind``: a kind that a file describes, as a ``NodeKind`` like any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nodeyard.domain.document import nearest
from nodeyard.domain.launch_plan import FileToWrite, LaunchPlan, NetworkMaterial, NodePlan, PortSpec, StopPolicy
from nodeyard.domain.policy import NetworkPins
from nodeyard.domain.run_identity import RunMark
from nodeyard.domain.secrets import Secret
from nodeyard.domain.sources import Scalar
from nodeyard.errors.validation import Problem, SpecInvalid
from nodeyard.kinds.declarative.asking import Asker, question
from nodeyard.kinds.declarative.client import DeclaredClient, client_class, parts_of
from nodeyard.kinds.declarative.model import KindFile, Launch
from nodeyard.kinds.declarative.templates import TemplateWrong, compiled, variables_of
from nodeyard.kinds.declarative.variables import each_of, launch_variables
from nodeyard.ports.kind import (
    Beside,
    EndpointOf,
    LooksBeside,
    Matters,
    NodeKind,
    ProgramSpec,
    RenderRequest,
    TellsEntering,
)
from nodeyard.ports.transport import Transport


class DeclarativeKind:
    """One kind file as a kind. ``source`` is what messages call the file."""

    def __init__(self, file: KindFile, source: str) -> None:
        self.file = file
        self.source = source
        self.name = file.name
        self.summary = file.summary
        self.ports = tuple(PortSpec(name, port.number, port.scheme) for name, port in file.ports.items())
        self.api_port = file.api
        self.program = _program(file)
        self.roles = file.roles
        self.protocols = tuple(parts_of(file))
        self.matters: Mapping[str, Matters] = dict(file.compare)
        self._client = client_class(file)
        self._questions = {path: question(ask, file) for path, ask in file.asks() if ask.way != "connect"}

    def config_problems(self, config: Mapping[str, Scalar]) -> Sequence[tuple[str, str]]:
        """Unknown settings, values of another type than their defaults, and secrets, which would be written down."""
        return [(key, problem) for key, value in config.items() if (problem := self._config_problem(key, value))]

    def _config_problem(self, key: str, value: Scalar) -> str:
        known = self.file.config
        if isinstance(value, str) and Secret(value).is_reference:
            return "a secret stands in 'env', from where it reaches the node unwritten; here it would stay this text"
        if key not in known:
            return (
                ""
                if self.file.open_config
                else f"not a setting of kind '{self.name}'; {nearest(key, known) or 'it has none'}"
            )
        given, wanted = _type_of(value), _type_of(known[key])
        if given == wanted or (given, wanted) == ("a whole number", "a number"):
            return ""
        return f"Input should be {wanted}{'; put it in quotes' if wanted == 'a text' else ''}"

    def enters_by_grant(self) -> bool:
        """Whether its nodes are told of others, which then come to know them, and the file does not say otherwise."""
        launch = self.file.launch
        if launch is None or launch.entering == "free":
            return False
        if any(arg.each == "seeds" for arg in launch.args):
            return True
        texts = [
            *(arg.arg for arg in launch.args),
            *launch.env.values(),
            *(file.content for file in launch.files.values()),
        ]
        return any("seeds" in variables_of(text) for text in texts)

    def material(self, nodes: Sequence[NodePlan], *, mark: RunMark, seed: int, pins: NetworkPins) -> NetworkMaterial:
        """A network id that no other run has, unless the scenario pins one."""
        return NetworkMaterial(pins.id or f"{self.name}-{mark.run}", {"run": mark.run})

    def render(self, request: RenderRequest) -> LaunchPlan:
        """How to launch one node. Raises ``SpecInvalid`` when a template cannot be rendered for it."""
        launch = self._launch()
        config = {**self.file.config, **request.node.config}
        variables = launch_variables(request, tuple(self.file.ports), config)

        def text(source: str, *path: str | int, more: Mapping[str, Any] | None = None) -> str:
            try:
                return compiled(source).render({**variables, **(more or {})})
            except TemplateWrong as error:
                where = ".".join(map(str, ("launch", *path)))
                said = f"node '{request.node.name}': {error.flaw.message}"
                raise SpecInvalid([Problem(self.source, path=where, message=said)]) from error

        rendered = [
            (compiled(arg.arg).fixed, text(arg.arg, "args", place, more=more))
            for place, arg in enumerate(launch.args)
            for more in each_of(arg, variables)
        ]
        return LaunchPlan(
            node=request.node.name,
            program=launch.program,
            args=tuple(arg for fixed, arg in rendered if arg or fixed),
            env={name: text(value, "env", name) for name, value in launch.env.items()},
            files=tuple(
                FileToWrite(path, text(file.content, "files", path).encode(), file.secret)
                for path, file in launch.files.items()
            ),
            stop=StopPolicy(launch.stop.number, launch.stop.grace),
        )

    def client(self, endpoint: EndpointOf, transport: Transport) -> DeclaredClient:
        """A client of one node, of which nothing but its endpoints may be used."""
        return self.client_beside(endpoint, transport, Beside())

    def client_beside(self, endpoint: EndpointOf, transport: Transport, beside: Beside) -> DeclaredClient:
        """A client of one node, with what may be used beside it."""
        return self._client(self.file, self._questions, Asker(self.file, endpoint, transport, beside))

    def _launch(self) -> Launch:
        if self.file.launch is None:
            said = f"kind '{self.name}' cannot be managed: its file has no 'launch'"
            raise SpecInvalid([Problem(path="source.nodes", message=said, hint="attach its nodes, or list them")])
        return self.file.launch


def _program(file: KindFile) -> ProgramSpec | None:
    launch = file.launch
    if launch is None:
        return None
    return ProgramSpec(
        program=launch.program,
        variable=f"NODEYARD_{file.name.upper().replace('-', '_')}",
        install_hint=launch.install,
        version_args=launch.version_args,
        version_pattern=launch.version_pattern,
        minimum=tuple(int(part) for part in launch.minimum.split(".")) if launch.minimum else (),
        image=launch.image,
    )


def _type_of(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int):
        return "a whole number"
    return "a number" if isinstance(value, float) else "a text"


if TYPE_CHECKING:
    _KIND: type[NodeKind] = DeclarativeKind
    _BESIDE: type[LooksBeside] = DeclarativeKind
    _ENTERING: type[TellsEntering] = DeclarativeKind
