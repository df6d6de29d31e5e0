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

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json
from ruamel.yaml import YAML

from nodeyard.app import kind_files, spec_checks, spec_problems
from nodeyard.app.config import Secrets
from nodeyard.app.reading import EMPTY_HINT, Parsed, parse, read_text
from nodeyard.app.registry import Plugins, Registry
from nodeyard.app.scenario_model import KNOWN_SOURCES, scenario_model
from nodeyard.app.variables import VARIABLE
from nodeyard.domain.document import Document, Path_, nearest
from nodeyard.domain.quantity import WRITTEN
from nodeyard.domain.scenario_spec import ScenarioSpec
from nodeyard.domain.user_code import FunctionRef
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.validation import PluginInvalid, Problem, SourceUnsupported, SpecInvalid, UsageError

LARGE = 32 * 1024
"""Bytes of a resolved scenario; one that a person wrote has a few thousand."""
INSTALLED_HINT = "'nodeyard kinds' lists what is installed"


@dataclass(frozen=True)
class LoadedScenario:
    """A scenario that was read and checked. ``used`` are the variables that stand in it, ``registry`` is everything
    that it may name: what is installed, and the kinds whose files it names. ``functions`` are those that somebody wrote
    for it, each with its place as a problem without a message.
    """

    spec: ScenarioSpec
    path: Path
    used: frozenset[str]
    registry: Registry
    functions: tuple[tuple[FunctionRef, Problem], ...] = ()

    @property
    def base(self) -> Path:
        """The folder that relative paths in the scenario start from."""
        return self.path.absolute().parent


def load_scenario(
    path: Path,
    registry: Registry,
    environment: Mapping[str, str],
    variables: Mapping[str, str] | None = None,
    *,
    deployer: str | None = None,
) -> LoadedScenario:
    """Read and check a scenario file; touches nothing else but the files and variables that its secrets name.

    ``deployer`` takes the place of the one that the file names, with its default options.
    Raises ``SpecInvalid`` with every problem, ``SourceUnsupported`` for a deployer or provider that is not installed.
    """
    return parse_scenario(read_text(path, "a scenario file"), path, registry, environment, variables, deployer=deployer)


def parse_scenario(
    text: str,
    path: Path,
    registry: Registry,
    environment: Mapping[str, str],
    variables: Mapping[str, str] | None = None,
    *,
    deployer: str | None = None,
) -> LoadedScenario:
    """As ``load_scenario``, from text; ``path`` is what messages call it, and where relative paths start."""
    parsed = parse(text, str(path), variables or {})
    if deployer is not None:
        _deploy_by(deployer, parsed.document, registry)
    spec = _validate(parsed, registry)
    base = path.absolute().parent
    whole = kind_files.named_by(spec_checks.kind_words(spec, parsed.document), registry, base)
    checked = spec_checks.check(spec, parsed.document, whole, Secrets(environment, base), base)
    if checked.problems:
        raise SpecInvalid(checked.problems)
    return LoadedScenario(spec, path, parsed.used, whole, checked.functions)


def _deploy_by(deployer: str, document: Document, registry: Registry) -> None:
    """Put another deployer into a scenario. One of the same type keeps the options that the file gives it.

    Raises ``UsageError`` where there is no such deployer, or nothing to deploy.
    """
    if deployer not in registry.deployers:
        raise UsageError(f"--deployer {deployer}: no such deployer is installed",
                         hint=nearest(deployer, registry.deployers))  # fmt: skip
    source = document.value.get("source") if isinstance(document.value, dict) else None
    mode = source.get("mode") if isinstance(source, dict) else None
    if not isinstance(source, dict) or mode != "managed":
        raise UsageError(f"--deployer {deployer}: {document.file} has no managed nodes (mode: {mode})",
                         hint="leave the option out")  # fmt: skip
    present = source.get("deployer")
    if not isinstance(present, dict) or present.get("type") != deployer:
        source["deployer"] = {"type": deployer}


def dump_resolved(spec: ScenarioSpec) -> str:
    """The scenario as YAML with every default written out. Secrets stand as their references, literals as ``***``.

    A large one is written as JSON, which is YAML as well: a thousand nodes in blocks take longer than to ask them.
    """
    resolved = _escaped(_without_unset(spec, spec.model_dump(mode="json", by_alias=True)))
    short = to_json(resolved)
    if len(short) > LARGE:
        return to_json(resolved, indent=2).decode() + "\n"
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    stream = StringIO()
    yaml.dump(resolved, stream)
    return stream.getvalue()


def _without_unset(value: Any, dumped: Any) -> Any:
    """Without the nulls that nobody wrote: one that stands there may mean something (``get: {expect: null}``)."""
    if isinstance(value, BaseModel):
        parts = {(field.alias or name): name for name, field in type(value).model_fields.items()}
        return {
            key: _without_unset(getattr(value, parts[key]), part)
            for key, part in dumped.items()
            if part is not None or parts[key] in value.model_fields_set
        }
    if isinstance(value, list | tuple) and isinstance(dumped, list):
        return [_without_unset(*pair) for pair in zip(value, dumped, strict=True)]
    return dumped


def _escaped(value: Any) -> Any:
    """The same with texts that would be read as variables escaped."""
    if isinstance(value, dict):
        return {_escaped(key): _escaped(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_escaped(part) for part in value]
    return value.replace("$", "$$") if isinstance(value, str) and VARIABLE.search(value) else value


def _validate(parsed: Parsed, registry: Registry) -> ScenarioSpec:
    """The model's value. Raises ``SpecInvalid``, ``SourceUnsupported``."""
    document, problems, broken = parsed.document, list(parsed.problems), parsed.broken
    if not isinstance(document.value, dict):
        raise SpecInvalid(problems or [document.problem((), "a scenario is a mapping of keys to values", EMPTY_HINT)])
    spec = _as_written(document.value, registry)
    if spec is None:
        model = scenario_model(registry)
        try:
            spec = model.model_validate(document.value, context=WRITTEN)
        except ValidationError as error:
            found = spec_problems.translate(error, model, document, _broken(registry))
            problems += [problem for problem in found if problem.path not in broken]
    unsupported = _uninstalled(document.value, registry)
    if unsupported is not None:
        path, message = unsupported
        if not problems:
            raise SourceUnsupported(message, hint=INSTALLED_HINT)
        problems.append(document.problem(path, message, INSTALLED_HINT))
    if problems or spec is None:
        raise SpecInvalid(problems)
    return spec


def _as_written(value: Mapping[str, Any], registry: Registry) -> ScenarioSpec | None:
    """A scenario in which nothing is wrong, by a model of the plugins that it names and no others: to load all takes
    longer than everything else together. What is wrong with another, and which word is near, takes the whole model.
    """
    try:
        model = scenario_model(registry.among(frozenset(_words(value))))
        return model.model_validate(value, context=WRITTEN)
    except (ValidationError, PluginInvalid):
        return None


def _words(value: object) -> Iterator[str]:
    """Every text in a document, keys as well."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _words(key)
            yield from _words(part)
    elif isinstance(value, list):
        for part in value:
            yield from _words(part)


def _broken(registry: Registry) -> spec_problems.Broken:
    groups: dict[str, Plugins[Any]] = {
        "deployer": registry.deployers,
        "attach provider": registry.attach,
        "step": registry.operations,
        "workload": registry.workloads,
        "fault": registry.faults,
        "expectation": registry.expectations,
    }
    attempts = [(what, name, plugins.attempt(name)) for what, plugins in groups.items() for name in plugins]
    return {(what, name): found for what, name, found in attempts if isinstance(found, NodeyardError)}


def _uninstalled(raw: Mapping[str, Any], registry: Registry) -> tuple[Path_, str] | None:
    """The place of a deployer or attach provider that every schema knows and this environment lacks."""
    source = raw.get("source")
    if not isinstance(source, dict):
        return None
    sides: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
        ("deployer", "deployer", registry.deployers),
        ("attach", "attach provider", registry.attach),
    )
    for key, what, installed in sides:
        options = source.get(key)
        name = options.get("type") if isinstance(options, dict) else None
        if name in KNOWN_SOURCES and name not in installed:
            return ("source", key, "type"), f"the {what} '{name}' is known, but not installed here"
    return None
