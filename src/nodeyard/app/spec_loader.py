"""A scenario file as a checked value: YAML with positions, variables, the model, and checks across its parts.

Every problem of a file comes at once. Must not live here: the words of messages (``spec_problems``), and the checks
that need installed kinds (``spec_checks``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from nodeyard.app import spec_checks, spec_problems
from nodeyard.app.config import Secrets
from nodeyard.app.registry import Registry
from nodeyard.app.scenario_model import is_uninstalled, scenario_model
from nodeyard.app.variables import missing_message, substitute
from nodeyard.domain.document import Document, yaml_problem
from nodeyard.domain.scenario_spec import ScenarioSpec
from nodeyard.domain.sources import Attached, Managed
from nodeyard.errors.validation import Problem, SourceUnsupported, SpecInvalid

LARGEST = 4 * 1024 * 1024
"""Bytes of a scenario file; more is not one that a person wrote."""
EMPTY_HINT = "'nodeyard init' writes a scenario that runs"


@dataclass(frozen=True)
class LoadedScenario:
    """A scenario that was read and checked. ``used`` are the variables that stand in it."""

    spec: ScenarioSpec
    path: Path
    used: frozenset[str]

    @property
    def base(self) -> Path:
        """The folder that relative paths in the scenario start from."""
        return self.path.absolute().parent


def load_scenario(path: Path, registry: Registry, environment: Mapping[str, str],
                  variables: Mapping[str, str] | None = None) -> LoadedScenario:  # fmt: skip
    """Read and check a scenario file; touches nothing else but the files and variables that its secrets name.

    Raises ``SpecInvalid`` with every problem, ``SourceUnsupported`` for a deployer or provider that is not installed.
    """
    return parse_scenario(_read(path), path, registry, environment, variables)


def parse_scenario(text: str, path: Path, registry: Registry, environment: Mapping[str, str],
                   variables: Mapping[str, str] | None = None) -> LoadedScenario:  # fmt: skip
    """As ``load_scenario``, from text; ``path`` is what messages call it, and where relative paths start."""
    raw, document, problems, used = _parse(text, str(path), variables or {})
    spec = _validate(raw, document, registry, problems)
    if spec is not None:
        secrets = Secrets(environment, path.absolute().parent)
        problems += spec_checks.check(spec, document, registry, secrets, path.absolute().parent)
    if problems or spec is None:
        raise SpecInvalid(problems)
    return LoadedScenario(spec, path, frozenset(used))


def dump_resolved(spec: ScenarioSpec) -> str:
    """The scenario as YAML with every default written out. Secrets stand as their references, literals as ``***``."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    stream = StringIO()
    yaml.dump(spec.model_dump(mode="json", by_alias=True, exclude_none=True), stream)
    return stream.getvalue()


def _read(path: Path) -> str:
    def refuse(message: str, hint: str = "") -> SpecInvalid:
        return SpecInvalid([Problem(str(path), message=message, hint=hint)])

    try:
        if path.is_dir():
            raise refuse("this is a folder, not a scenario file")
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise refuse(f"cannot be read: {error.strerror}", "is the path right?") from error
    if len(content) > LARGEST:
        raise refuse(f"more than {LARGEST} bytes: this is not a scenario file")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise refuse(f"not UTF-8 text: {error.reason} at byte {error.start}") from error


def _parse(text: str, file: str, variables: Mapping[str, str]) -> tuple[Any, Document, list[Problem], set[str]]:
    yaml = YAML(typ="safe", pure=True)
    yaml.allow_duplicate_keys = True  # they are found below, all of them
    try:
        tree: Node | None = yaml.compose(text)
        if tree is None:
            raise SpecInvalid([Problem(file, message="the file is empty", hint=EMPTY_HINT)])
        done = substitute(tree, variables, yaml.resolver)
        raw = yaml.constructor.construct_document(tree)
    except YAMLError as error:
        problem = yaml_problem(file, error)
        if isinstance(error, MarkedYAMLError) and "single document" in str(error.context):
            problem = Problem(file, problem.line, problem.column, "", "a scenario file holds one document")
        raise SpecInvalid([problem]) from error
    except (ValueError, RecursionError) as error:
        raise SpecInvalid([Problem(file, 1, 1, "", f"not valid YAML: {error}")]) from error
    document = Document(file, text, raw, tree)
    problems = list(_duplicates(tree, file))
    for node, name in done.missing:
        message, hint = missing_message(name, variables)
        problems.append(Problem(file, node.start_mark.line + 1, node.start_mark.column + 1, "", message, hint))
    return raw, document, problems, done.used


def _duplicates(node: Node, file: str, path: tuple[str, ...] = ()) -> Iterator[Problem]:
    if isinstance(node, MappingNode):
        first: dict[str, int] = {}
        for key, value in node.value:
            word = str(key.value)
            where, line = ".".join((*path, word)), key.start_mark.line + 1
            if word in first:
                message = f"the key '{word}' stands twice"
                column = key.start_mark.column + 1
                yield Problem(file, line, column, where, message, f"the first one is on line {first[word]}")
            first.setdefault(word, line)
            yield from _duplicates(value, file, (*path, word))
    elif isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            yield from _duplicates(item, file, (*path, str(index)))


def _validate(raw: Any, document: Document, registry: Registry, problems: list[Problem]) -> ScenarioSpec | None:
    """The model's value; ``None`` when there are problems, which are added. Raises ``SourceUnsupported``."""
    if not isinstance(raw, dict):
        problems.append(document.problem((), "a scenario is a mapping of keys to values", EMPTY_HINT))
        return None
    model = scenario_model(registry)
    try:
        spec = model.model_validate(raw)
    except ValidationError as error:
        problems += spec_problems.translate(error, model, document)
        return None
    if not problems:
        _refuse_uninstalled(spec)
    return spec


def _refuse_uninstalled(spec: ScenarioSpec) -> None:
    source = spec.source
    found = source.deployer if isinstance(source, Managed) else source.attach if isinstance(source, Attached) else None
    if found is None or not is_uninstalled(found):
        return
    what = "deployer" if isinstance(source, Managed) else "attach provider"
    raise SourceUnsupported(
        f"the {what} '{found.type}' is known, but not installed here",
        hint="'nodeyard kinds' lists what is installed",
    )
