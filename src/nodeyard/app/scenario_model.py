"""The scenario as one model with what is installed: ``ScenarioSpec`` with its unions narrowed to the plugins' options.

Lives here: composing models. Must not live here: reading files and checks that a model cannot express.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import fields
from functools import lru_cache, reduce
from operator import or_
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, Tag, create_model

from nodeyard.app.registry import EXPECT, STRUCTURE, Plugins, Registry
from nodeyard.domain.quantity import DURATION_PATTERN, format_duration
from nodeyard.domain.scenario_spec import (
    CheckOptions,
    FaultOptions,
    ParallelStep,
    RunOptions,
    ScenarioSpec,
    StepSpec,
    WorkloadOptions,
)
from nodeyard.domain.selectors import Selector, SelectorKind
from nodeyard.domain.sources import Attached, AttachOptions, DeployerOptions, ExternalOnly, Managed, Spec
from nodeyard.errors.validation import PluginInvalid

KNOWN_SOURCES = ("compose", "k8s")
"""Deployers and attach providers that every schema knows, whether this environment has them or not."""


SELECTOR_PARTS = frozenset(part.name for part in fields(Selector))


class Uninstalled(Spec):
    """Known, but not installed here."""

    model_config = ConfigDict(extra="allow")


@lru_cache(maxsize=64)
def scenario_model(registry: Registry) -> type[ScenarioSpec]:
    """The model of a scenario file. Plugins that cannot be loaded are left out, as if they were not installed."""
    managed = create_model(
        "Managed", __base__=Managed, __doc__=Managed.__doc__,
        deployer=(_sources("deployer", registry.deployers, DeployerOptions), Field(description="who starts the nodes")),
    )  # fmt: skip
    attached = create_model(
        "Attached", __base__=Attached, __doc__=Attached.__doc__,
        attach=(_sources("attach", registry.attach, AttachOptions), Field(description="who finds the nodes")),
    )  # fmt: skip
    checks = _uses(registry.expectations, "check", CheckOptions)
    run = _run(registry, checks)
    source: Any = Annotated[managed | attached | ExternalOnly, Field(discriminator="mode")]
    narrowed: dict[str, Any] = {
        "source": (source, _inherited("source")),
        "steps": (_many(_steps(registry, checks, run)), _inherited("steps")),
        "run": (run | None, _inherited("run")),
        "expectations": (_many(checks), _inherited("expectations")),
    }
    made = create_model("Scenario", __base__=ScenarioSpec, __doc__=ScenarioSpec.__doc__, **narrowed)
    return cast("type[ScenarioSpec]", made)


def scenario_schema(registry: Registry) -> dict[str, Any]:
    """The JSON Schema of a scenario file, with what is installed; editors complete and check by it."""
    made: dict[str, Any] = scenario_model(registry).model_json_schema(by_alias=True)
    for part in (made, *made["$defs"].values()):
        for name, value in part.get("properties", {}).items():
            _complete(name, value, part, registry)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "Nodeyard scenario"}


def _complete(name: str, schema: dict[str, Any], owner: Mapping[str, Any], registry: Registry) -> None:
    """What an editor shows and completes, and a model cannot say: installed kinds, defaults as people write them."""
    schema.pop("title", None)
    if isinstance(schema.get("default"), float) and schema.get("pattern") == DURATION_PATTERN:
        schema["default"] = format_duration(schema["default"])
    if isinstance(schema.get("default"), dict) and schema["default"].keys() == SELECTOR_PARTS:
        parts = schema["default"]
        schema["default"] = Selector(**{**parts, "kind": SelectorKind(parts["kind"])}).written()
    if "anyOf" in schema:
        schema.pop("minLength", None)  # of the list alternative, which has it as minItems
    if name == "kind":
        texts = [schema, *schema.get("anyOf", ())]
        text = next(text for text in texts if text.get("type") == "string")
        suffixes = "|".join(registry.kind_formats)
        paths = [{"pattern": rf"[./].*\.({suffixes})$", "description": "path of a kind file"}] if suffixes else []
        text["anyOf"] = [{"enum": list(registry.kinds)}, *paths]
    if "const" in schema and "description" in owner:
        schema.setdefault("description", owner["description"])


def _inherited(name: str) -> Any:
    return _field(ScenarioSpec, name)


def _field(base: type[Spec], name: str) -> Any:
    """A field of a base, whose type alone is narrowed."""
    return copy(base.model_fields[name])


def _sources(what: str, plugins: Plugins[Any], base: type[Spec]) -> Any:
    options: list[Any] = [plugin.options for plugin in plugins.usable().values()]
    for name in KNOWN_SOURCES:
        if name not in plugins:
            narrowed: dict[str, Any] = {"type": (Literal[name], ...)}
            title = f"Uninstalled{name.capitalize()}{what.capitalize()}"
            options.append(create_model(title, __base__=(base, Uninstalled), __doc__=Uninstalled.__doc__, **narrowed))
    return _union(options, "type")


def _uses(plugins: Plugins[Any], what: str, base: type[Spec]) -> Any:
    """The options of each plugin of a group, with its word as the only value of ``use``."""
    options = []
    for word, plugin in plugins.usable().items():
        use: Any = (Literal[word], ...)
        title = f"{_title(word)}{what.capitalize()}"
        options.append(create_model(title, __base__=plugin.options, __doc__=plugin.summary, use=use))
    return _union(options, "use") if options else _nothing(what, base)


def _nothing(what: str, base: type[Spec]) -> Any:
    """The model of a group without plugins: it refuses every word."""

    def refuse(word: str) -> str:
        raise ValueError(f"no {what} is installed")

    use: Any = (Annotated[str, AfterValidator(refuse)], Field(description=f"which {what}"))
    return create_model(f"No{what.capitalize()}", __base__=base, __doc__=f"No {what} is installed.", use=use)


def _run(registry: Registry, checks: Any) -> type[RunOptions]:
    """A phase, with what is installed."""
    narrowed: dict[str, Any] = {
        "workloads": (_many(_uses(registry.workloads, "workload", WorkloadOptions)), _field(RunOptions, "workloads")),
        "faults": (_many(_uses(registry.faults, "fault", FaultOptions)), _field(RunOptions, "faults")),
        "always": (_many(checks), _field(RunOptions, "always")),
    }
    return cast("type[RunOptions]", create_model("Run", __base__=RunOptions, __doc__=RunOptions.__doc__, **narrowed))


def _steps(registry: Registry, checks: Any, run: Any) -> Any:
    """A step: its word decides. Groups hold steps, but no groups."""
    bodies: dict[str, tuple[Any, str]] = {
        word: (plugin.options, plugin.summary) for word, plugin in registry.operations.usable().items()
    }
    taken = next((word for word in STRUCTURE if word in bodies), None)
    if taken is not None:
        raise PluginInvalid(f"an operation is called '{taken}', which is a word of the format")
    bodies[EXPECT] = (checks, "make a check now; a failed one skips the later steps")
    bodies["run"] = (run, "workloads and faults side by side, with checks throughout")
    single = [_step(word, StepSpec, body, summary) for word, (body, summary) in bodies.items()]
    group: Any = Annotated[_many(_one_of(single)), Field(min_length=1)]
    return _one_of([*single, _step("parallel", ParallelStep, group, "steps side by side")])


def _step(word: str, base: type[StepSpec], body: Any, summary: str) -> Any:
    field: Any = (body, Field(alias=word, description=summary))
    return Annotated[create_model(f"{_title(word)}Step", __base__=base, __doc__=summary, body=field), Tag(word)]


def _one_of(steps: Iterable[Any]) -> Any:
    return Annotated[reduce(or_, steps), Discriminator(_word_of)]


def _word_of(value: Any) -> str | None:
    """The word of a step: the only key of its mapping. A step with none or several keys has no word."""
    if isinstance(value, StepSpec):
        return value.word
    if isinstance(value, str):
        return value  # a bare word is told apart from no step at all
    return str(next(iter(value))) if isinstance(value, dict) and len(value) == 1 else None


def _union(members: Iterable[Any], discriminator: str) -> Any:
    options = list(members)
    return options[0] if len(options) == 1 else Annotated[reduce(or_, options), Field(discriminator=discriminator)]


def _many(item: Any) -> Any:
    return tuple[item, ...]


def _title(word: str) -> str:
    return "".join(part.capitalize() for part in word.replace("_", "-").split("-"))


__all__ = ["KNOWN_SOURCES", "scenario_model", "scenario_schema"]
