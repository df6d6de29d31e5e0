"""The scenario as one model with what is installed: ``ScenarioSpec`` with its unions narrowed to the plugins' options.

Lives here: composing models. Must not live here: reading files and checks that a model cannot express.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal, cast

from pydantic import ConfigDict, Discriminator, Field, Tag, create_model

from nodeyard.app.registry import EXPECT, Plugins, Registry
from nodeyard.domain.scenario_spec import CheckOptions, ScenarioSpec, StepSpec
from nodeyard.domain.sources import Attached, AttachOptions, DeployerOptions, ExternalOnly, Managed, Spec
from nodeyard.errors.validation import PluginInvalid

KNOWN_SOURCES = ("compose", "k8s")
"""Deployers and attach providers that every schema knows, whether this environment has them or not."""


class Uninstalled(Spec):
    """The marker of options for something that is known but not installed: anything is permitted under it."""

    model_config = ConfigDict(extra="allow")


def scenario_model(registry: Registry) -> type[ScenarioSpec]:
    """The model of a scenario file. Plugins that cannot be loaded are left out, as if they were not installed."""
    managed = create_model(
        "Managed", __base__=Managed, __doc__=Managed.__doc__,
        deployer=(_sources("deployer", registry.deployers, DeployerOptions), ...),
    )  # fmt: skip
    attached = create_model(
        "Attached", __base__=Attached, __doc__=Attached.__doc__,
        attach=(_sources("attach", registry.attach, AttachOptions), ...),
    )  # fmt: skip
    checks = _checks(registry)
    source: Any = Annotated[managed | attached | ExternalOnly, Field(discriminator="mode")]
    fields: dict[str, Any] = {
        "source": (source, ...),
        "steps": (_many(_steps(registry, checks)), ()),
        "expectations": (_many(checks), ()),
    }
    made = create_model("Scenario", __base__=ScenarioSpec, __doc__=ScenarioSpec.__doc__, **fields)
    return cast("type[ScenarioSpec]", made)


def scenario_schema(registry: Registry) -> dict[str, Any]:
    """The JSON Schema of a scenario file, with what is installed; editors complete and check by it."""
    made = scenario_model(registry).model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "Nodeyard scenario"}


def _sources(what: str, plugins: Plugins[Any], base: type[Spec]) -> Any:
    options: list[Any] = [plugin.options for plugin in plugins.usable().values()]
    for name in KNOWN_SOURCES:
        if name not in plugins:
            fields: dict[str, Any] = {"type": (Literal[name], ...)}
            title = f"Uninstalled{name.capitalize()}{what.capitalize()}"
            options.append(create_model(title, __base__=(base, Uninstalled), **fields))
    return _union(options, "type")


def _checks(registry: Registry) -> Any:
    """Each expectation's options with its word as the only value of ``use``."""
    options = []
    for word, plugin in registry.expectations.usable().items():
        fields: dict[str, Any] = {"use": (Literal[word], ...)}
        options.append(create_model(f"{_title(word)}Check", __base__=plugin.options, __doc__=plugin.summary, **fields))
    return _union(options, "use") if options else CheckOptions


def _steps(registry: Registry, checks: Any) -> Any:
    bodies: dict[str, tuple[Any, str]] = {
        word: (plugin.options, plugin.summary) for word, plugin in registry.operations.usable().items()
    }
    if EXPECT in bodies:
        raise PluginInvalid(f"an operation is called '{EXPECT}', which is the word for checks")
    bodies[EXPECT] = (checks, "make a check now; a failed one skips the later steps")
    steps = []
    for word, (body, summary) in bodies.items():
        model = create_model(f"{_title(word)}Step", __base__=StepSpec, __doc__=summary, body=(body, Field(alias=word)))
        steps.append(Annotated[model, Tag(word)])
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
