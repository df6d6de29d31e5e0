"""Checks across the parts of a scenario that no model can express: kinds, names, ports, policies.

Each gives all the problems that it finds, with their places. Reads the files and variables of secrets, nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from nodeyard.app.credential_checks import Credentials
from nodeyard.app.kind_files import is_file_word
from nodeyard.app.selector_checks import FEWER, Declared
from nodeyard.domain.document import Document, Path_, closest, nearest
from nodeyard.domain.node_client import ReportsRole
from nodeyard.domain.node_handle import OriginClass
from nodeyard.domain.policy import FIELDS_OF_POLICY, Member, ReadinessSpec, needs
from nodeyard.domain.scenario_spec import (
    CheckOptions,
    FaultOptions,
    ParallelOptions,
    ScenarioSpec,
    StepOptions,
    StepSpec,
    managed_names,
    node_groups,
)
from nodeyard.domain.selectors import LIVE_ROLE, WORDS, Selector, SelectorKind
from nodeyard.domain.sources import Attached, ExternalNode, NodeGroup, Scalar
from nodeyard.domain.user_code import FunctionRef
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.validation import Problem, SpecInvalid
from nodeyard.runtime import user_code
from nodeyard.runtime.steps.lifecycle import PatchOptions

if TYPE_CHECKING:
    from nodeyard.app.config import Secrets
    from nodeyard.app.registry import Registry
    from nodeyard.ports.kind import NodeKind

Found = Iterator[tuple[Path_, str, str]]
"""Path, message and hint of each problem."""


def kind_words(spec: ScenarioSpec, document: Document) -> dict[str, tuple[str, int, int, str]]:
    """Each path of a kind file that a scenario names, with the first place where it does."""
    named: list[tuple[str | None, Path_]] = [(spec.kind, ("kind",))]
    single = isinstance(document.value["source"].get("nodes"), dict)
    for position, group in enumerate(node_groups(spec)):
        where: Path_ = ("source", "nodes") if single else ("source", "nodes", position)
        named.append((group.kind, (*where, "kind")))
    named += [(node.kind, ("source", "external", i, "kind")) for i, node in enumerate(spec.source.external)]
    words: dict[str, tuple[str, int, int, str]] = {}
    for word, path in named:
        if word is not None and is_file_word(word):
            problem = document.problem(path, "")
            words.setdefault(word, (problem.file, problem.line, problem.column, problem.path))
    return words


@dataclass(frozen=True)
class Checked:
    """What is wrong with a scenario, and which functions it names; the place of each is a problem without a message."""

    problems: tuple[Problem, ...]
    functions: tuple[tuple[FunctionRef, Problem], ...]


def check(spec: ScenarioSpec, document: Document, registry: Registry, secrets: Secrets, base: Path) -> Checked:
    """Everything that is wrong with a scenario whose model is right."""
    checker = _Checker(spec, document, registry, secrets, base)
    found = [document.problem(path, message, hint) for path, message, hint in checker.all()]
    # A place costs more than all checks of a large file: only where there is a function is it asked for.
    functions = tuple((ref, document.problem(path, "")) for ref, path in checker.functions)
    return Checked((*found, *checker.of_files), functions)


class _Checker:
    def __init__(
        self, spec: ScenarioSpec, document: Document, registry: Registry, secrets: Secrets, base: Path
    ) -> None:
        self.spec, self.document, self.registry, self.secrets, self.base = spec, document, registry, secrets, base
        self.of_files: list[Problem] = []
        """What is wrong with files that the scenario names; it stands in them."""
        self.functions: list[tuple[FunctionRef, Path_]] = []
        """Functions beside the scenario, with the places where it names them."""
        managed, external = managed_names(spec), spec.source.external
        self.names = frozenset((*managed, *(node.name for node in external)))
        self.declared = Declared(len(managed), len(external))

    def all(self) -> Found:
        """Each check in turn."""
        yield from self._kind(self.spec.kind, ("kind",))
        for position, group in enumerate(node_groups(self.spec)):
            yield from self._group(group, self._group_path(position))
        for position, node in enumerate(self.spec.source.external):
            yield from self._external(node, ("source", "external", position))
        yield from self._selectors(self.spec.readiness, ("readiness",))
        yield from self._readiness(self.spec.readiness, ("readiness",), self._members())
        for position, step in enumerate(self.spec.steps):
            yield from self._step(step, ("steps", position))
        if self.spec.run is not None:
            yield from self._options(self.spec.run, ("run",))
        for position, check_ in enumerate(self.spec.expectations):
            yield from self._options(check_, ("expectations", position))
        single = not isinstance(self.document.value["source"].get("nodes"), list)
        yield from Credentials(self.secrets, self.base, single_group=single).problems(self.spec.source, ("source",))

    def _step(self, step: StepSpec, path: Path_) -> Found:
        here: Path_ = (*path, step.word)
        if isinstance(step.options, ParallelOptions):
            for position, part in enumerate(step.options.steps):
                yield from self._step(part, (*here, position))
            return
        yield from self._options(step.options, here)
        if isinstance(step.options, PatchOptions):
            yield from self._patch(step.options, (*here, "config"))

    def _options(self, options: StepOptions | CheckOptions, path: Path_) -> Found:
        yield from self._selectors(options, path)
        yield from self._functions(options, path)
        if isinstance(options, StepOptions) and options.readiness is not None:
            everyone = self._members(on_demand=True)
            yield from self._readiness(options.readiness, (*path, "readiness"), everyone)

    def _group_path(self, position: int) -> Path_:
        """A single group may stand without a list."""
        nodes = self.document.value["source"]["nodes"]
        return ("source", "nodes", position) if isinstance(nodes, list) else ("source", "nodes")

    def _kind(self, name: str, path: Path_) -> Found:
        if name not in self.registry.kinds:
            yield path, f"no kind '{name}' is installed", nearest(name, self.registry.kinds)
            return
        broken = self.registry.kinds.attempt(name)
        if isinstance(broken, SpecInvalid):
            self.of_files += broken.problems
        elif isinstance(broken, NodeyardError):
            yield path, broken.message, broken.hint or ""

    def _known_kind(self, name: str | None) -> NodeKind | None:
        word = name or self.spec.kind
        found = self.registry.kinds.attempt(word) if word in self.registry.kinds else None
        return None if isinstance(found, NodeyardError) else found

    def _group(self, group: NodeGroup, path: Path_) -> Found:
        if group.kind is not None:
            yield from self._kind(group.kind, (*path, "kind"))
        names = frozenset(group.names)
        for name in group.patches:
            if name not in names:
                yield (*path, "patches", name), f"the group has no node '{name}'", _near(name, names)
        kind = self._known_kind(group.kind)
        if kind is None:
            return
        if kind.program is None and group.binary is None:
            yield path, f"kind '{kind.name}' names no program to start", "attach its nodes, or list them as external"
            return
        for key, message in kind.config_problems(group.config):
            yield (*path, "config", key), message, ""
        for name, patch in group.patches.items():
            for key, message in _caused(kind, group.config, patch):
                yield (*path, "patches", name, key), message, ""
        yield from _role(group.role, kind, path)

    def _external(self, node: ExternalNode, path: Path_) -> Found:
        if node.kind is not None:
            yield from self._kind(node.kind, (*path, "kind"))
        kind = self._known_kind(node.kind)
        if kind is None:
            return
        ports = [port.name for port in kind.ports]
        strange = [port for port in node.endpoints if port not in ports]
        for port in strange:
            yield (*path, "endpoints", port), f"kind '{kind.name}' has no port '{port}'", nearest(port, ports)
        if kind.api_port not in node.endpoints and not strange:
            yield (*path, "endpoints"), f"'{kind.api_port}', the API port of kind '{kind.name}', is missing", ""
        yield from _role(node.role, kind, path)

    def _selectors(self, options: BaseModel, path: Path_) -> Found:
        """Selectors that no nodes of the scenario can meet. What an attach provider will find is not known yet."""
        if isinstance(self.spec.source, Attached):
            return
        if isinstance(options, FaultOptions):
            yield from self._enough(options, path)
        for name, field in type(options).model_fields.items():
            value = getattr(options, name)
            here = (*path, field.alias or name)
            if isinstance(value, BaseModel):
                yield from self._selectors(value, here)
            for position, item in enumerate(value if isinstance(value, tuple) else ()):
                if isinstance(item, BaseModel):
                    yield from self._selectors(item, (*here, position))
            for word in value.names if isinstance(value, Selector) else ():
                if word not in self.names:
                    yield here, f"there is no node '{word}'", _near(word, self.names, WORDS)
            if isinstance(value, Selector) and (complaint := self.declared.too_few(value)):
                yield (here, *complaint)
            elif isinstance(value, Selector) and value.kind in LIVE_ROLE and (silent := self._without_roles()):
                yield here, f"'{value}' can mean no node: {silent}", "choose nodes by name, 'any' or 'all'"

    def _without_roles(self) -> str:
        """Why no node of the scenario can be asked for its role; an empty text where one can, or a kind is unknown."""
        named = {group.kind or self.spec.kind for group in node_groups(self.spec)}
        named |= {node.kind or self.spec.kind for node in self.spec.source.external}
        kinds = [self._known_kind(name) for name in sorted(named)]
        if any(kind is None or ReportsRole in kind.protocols for kind in kinds):
            return ""
        return f"nodes of kind {' and '.join(sorted(named))} do not tell their role"

    def _enough(self, options: FaultOptions, path: Path_) -> Found:
        """What a fault must not harm counts too."""
        for need in self.registry.faults[options.use].requires(options):
            if complaint := self.declared.not_enough(need):
                yield (path, *complaint)

    def _functions(self, value: object, path: Path_) -> Found:
        """Functions beside the scenario that are not there; none of them is run for this."""
        if isinstance(value, FunctionRef):
            self.functions.append((value, path))
            problem = user_code.problem(value, self.base)
            if problem is not None:
                yield (path, *problem)
        elif isinstance(value, BaseModel):
            for name, field in type(value).model_fields.items():
                yield from self._functions(getattr(value, name), (*path, field.alias or name))
        elif isinstance(value, tuple):
            for position, item in enumerate(value):
                yield from self._functions(item, (*path, position))

    def _patch(self, options: PatchOptions, path: Path_) -> Found:
        """What a kind refuses of a patch step's config, beside the config that the nodes have."""
        told: set[tuple[str, str]] = set()
        for group in node_groups(self.spec):
            kind, target = self._known_kind(group.kind), options.target
            meant = target.kind is not SelectorKind.NAMES or not frozenset(target.names).isdisjoint(group.names)
            if kind is not None and meant:
                told.update(_caused(kind, group.config, options.config))
        for key, message in sorted(told):
            yield (*path, key), message, ""

    def _members(self, *, on_demand: bool = False) -> tuple[Member, ...] | None:
        """The declared membership, or ``None`` where only the run can know it."""
        source = self.spec.source
        if isinstance(source, Attached) and source.attach.expect is None:
            return None
        members = [
            Member(OriginClass.MANAGED, name)
            for group in node_groups(self.spec)
            if on_demand or not group.on_demand
            for name in group.names
        ]
        members += [Member(OriginClass.EXTERNAL, node.name) for node in source.external]
        if isinstance(source, Attached):
            members += [Member(OriginClass.ATTACHED, None)] * (source.attach.expect or 0)
        return tuple(members)

    def _readiness(self, spec: ReadinessSpec, path: Path_, members: tuple[Member, ...] | None) -> Found:
        """Each demand that could not be met even if every declared node were ready."""
        if members is None or spec.policy == "required":
            return
        keys = [key for key in FIELDS_OF_POLICY[spec.policy] if getattr(spec, key) is not None]
        for key, need in zip(keys, needs(spec, members), strict=True) if keys else ():
            if need.least > len(need.members):
                wanted = f"wants {need.least} of {need.label}, but there are only {len(need.members)}"
                yield (*path, key), wanted, FEWER


def _near(word: str, nodes: Collection[str], words: Collection[str] = ()) -> str:
    """A hint at a node or at a word that means nodes. To compare with thousands of names would take seconds."""
    close = closest(word, [*words, *nodes]) if len(nodes) < 1000 else ""
    return f"did you mean '{close}'?" if close else nearest(word, nodes) if len(nodes) <= 12 else ""


def _role(role: str | None, kind: NodeKind, path: Path_) -> Found:
    if role is not None and role not in kind.roles:
        roles = f"its roles are {', '.join(kind.roles)}" if kind.roles else "it has no roles"
        yield (*path, "role"), f"kind '{kind.name}' has no role '{role}'", roles


def _caused(kind: NodeKind, config: Mapping[str, Scalar], patch: Mapping[str, Scalar]) -> list[tuple[str, str]]:
    """What a patch makes wrong that was not wrong before; a rule over several keys is one of the patch's first."""
    before = set(kind.config_problems(config))
    found = [problem for problem in kind.config_problems({**config, **patch}) if problem not in before]
    return [(key if key in patch else next(iter(patch)), message) for key, message in found] if patch else []
