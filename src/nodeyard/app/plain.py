"""A quick yes: whether a scenario is plainly valid, told without building any model.

To import the models takes longer than all else that ``validate`` does. So a scenario is held against the JSON Schema
that was made from them (``plain_schema.json``, see ``plain_schema``), and against rules that are stricter than those of
the loader. A yes means that ``load_scenario`` accepts the file. Anything unusual is no yes, and the loader is asked.
Must not live here: messages, and imports of pydantic or of plugins.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

LARGEST = 256 * 1024
SCHEMA_FILE = Path(__file__).with_name("plain_schema.json")
ASK = "x-ask-the-loader"
"""In the schema: a place with a rule that only its model knows."""

URL = re.compile(r"https?://[a-z0-9]([a-z0-9.-]*[a-z0-9])?:([1-9][0-9]{0,4})")
GROUP_NAME = re.compile(
    r"[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?|([a-z0-9][a-z0-9-]{0,40})?\{index\}([a-z0-9-]{0,15}[a-z0-9])?"
)
DURATION_LIKE = re.compile(r"[0-9]{1,9}(\.[0-9]{1,3})?(ms|s|m|h)", re.ASCII)
SELECTOR_WORDS = frozenset(
    ("all", "owned", "borrowed", "leader", "followers", "any", "origin:managed", "origin:attached", "origin:external")
)
ASKED_OF_NODES = frozenset(("config", "patches", "env", "role", "kind"))
ASKED_OF_EXTERNAL = frozenset(("auth", "tls", "role", "kind"))
TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


class NotPlain(Exception):
    """The loader has to decide."""


def plainly_valid(path: Path, variables: Mapping[str, str]) -> frozenset[str] | None:
    """The variables that a scenario uses if it is valid beyond doubt, else ``None``: then ``load_scenario`` knows."""
    try:
        document = json.loads(SCHEMA_FILE.read_bytes())
        if other_plugins(document["plugins"]):
            return None
        value, used = _values(path, variables)
        _Fit(document["schema"]).check(value, document["schema"])
        _whole(value, document["kinds"])
    except (NotPlain, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None  # the loader meets the same, and says what it is
    return used


def other_plugins(own: list[str], places: list[str] | None = None) -> bool:
    """Whether packages register plugins that the schema does not have, or might."""
    found: list[str] = []
    for place in sys.path if places is None else places:
        folder = place or "."
        if not os.path.isdir(folder):
            if os.path.exists(folder):
                return True  # an archive
            continue
        with os.scandir(folder) as entries:
            infos = [entry.path for entry in entries if entry.name.endswith((".dist-info", ".egg-info", ".egg"))]
        for info in infos:
            if info.endswith(".egg"):
                return True
            found += _registered(f"{info}/entry_points.txt")
    return sorted(set(found)) != sorted(own)


def _registered(file: str) -> Iterator[str]:
    try:
        with open(file, encoding="utf-8") as opened:
            content = opened.read()
    except OSError:
        return
    if "nodeyard." not in content:
        return
    group = ""
    for line in content.splitlines():
        if line.strip().startswith("["):
            group = line.strip()
        elif "=" in line and group.startswith("[nodeyard."):
            yield group + "".join(line.split())


def _values(path: Path, variables: Mapping[str, str]) -> tuple[Any, frozenset[str]]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    from nodeyard.app.variables import substitute
    from nodeyard.app.yaml_values import values_of

    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise NotPlain
    yaml = YAML(typ="safe", pure=True)
    try:
        tree = yaml.compose(content.decode("utf-8-sig"))
    except YAMLError:
        raise NotPlain from None
    done = substitute(tree, variables, yaml.resolver)
    values = values_of(tree, str(path))
    if done.missing or values.problems:
        raise NotPlain
    return values.value, frozenset(done.used)


class _Fit:
    """Holds values against the part of JSON Schema that our models make; any other keyword is not plain."""

    KEYWORDS = frozenset(
        ("$defs", "$schema", "title", "description", "default", "examples", "discriminator", "$ref", "type", "const",
         "enum", "oneOf", "anyOf", "allOf", "if", "then", "required", "properties", "additionalProperties", "items",
         "prefixItems", "pattern", "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties",
         "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
    )  # fmt: skip

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._defs = root["$defs"]

    def check(self, value: Any, schema: Mapping[str, Any]) -> None:
        """Raises ``NotPlain`` where a value does not fit."""
        if not self.KEYWORDS.issuperset(schema):
            raise NotPlain
        if "$ref" in schema:
            self.check(value, self._defs[schema["$ref"].rpartition("/")[2]])
        self._check_type(value, schema)
        if "const" in schema and (value != schema["const"] or type(value) is not type(schema["const"])):
            raise NotPlain
        if "enum" in schema and not (isinstance(value, str) and value in schema["enum"]):
            raise NotPlain
        for members in (schema.get("oneOf"), schema.get("anyOf")):
            if members is not None and not any(self._fits(value, member) for member in self._meant(value, members)):
                raise NotPlain
        for member in schema.get("allOf", ()):
            self.check(value, member)
        if "if" in schema and self._fits(value, schema["if"]):
            self.check(value, schema["then"])
        if isinstance(value, dict):
            self._check_mapping(value, schema)
        elif isinstance(value, list):
            self._check_list(value, schema)

    def _fits(self, value: Any, schema: Mapping[str, Any]) -> bool:
        try:
            self.check(value, schema)
        except NotPlain:
            return False
        return True

    def _meant(self, value: Any, members: list[Any]) -> list[Any]:
        """Of steps, the one with the word: to try all would cost most of the time."""
        if isinstance(value, dict) and len(value) == 1:
            word = next(iter(value))
            resolved = [self._defs.get(member.get("$ref", "").rpartition("/")[2], member) for member in members]
            named = [member for member in resolved if word in member.get("properties", {})]
            return named or members
        return members

    @staticmethod
    def _check_type(value: Any, schema: Mapping[str, Any]) -> None:
        name = schema.get("type")
        if name is not None and (
            not isinstance(value, TYPES[name]) or (isinstance(value, bool) and name in ("integer", "number"))
        ):
            raise NotPlain
        if isinstance(value, str):
            pattern = schema.get("pattern")
            if pattern is not None and not re.fullmatch(pattern.removeprefix("^").removesuffix("$"), value):
                raise NotPlain
            if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
                raise NotPlain
        elif isinstance(value, int | float) and not isinstance(value, bool):
            low, high = schema.get("minimum", value), schema.get("maximum", value)
            above, below = schema.get("exclusiveMinimum", value - 1), schema.get("exclusiveMaximum", value + 1)
            if not (low <= value <= high and above < value < below):
                raise NotPlain

    def _check_mapping(self, value: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
        known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
        if any(key not in value for key in schema.get("required", ())):
            raise NotPlain
        if not schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", len(value)):
            raise NotPlain
        for key, part in value.items():
            if key in known:
                self.check(part, known[key])
            elif others is False:
                raise NotPlain
            elif isinstance(others, dict):
                self.check(part, others)

    def _check_list(self, value: list[Any], schema: Mapping[str, Any]) -> None:
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            raise NotPlain
        first = schema.get("prefixItems", [])
        for part, member in zip(value, first, strict=False):
            self.check(part, member)
        for part in value[len(first) :]:
            if "items" in schema:
                self.check(part, schema["items"])


def _whole(value: Any, kinds: Mapping[str, Any]) -> None:
    """The rules across a scenario that fits the schema. Stricter than the loader's: raises ``NotPlain`` if in doubt."""
    source = value["source"]
    groups = source.get("nodes", [])
    managed = [name for group in ([groups] if isinstance(groups, dict) else groups) for name in _group(group)]
    external = [_external(node, kinds[value["kind"]]) for node in source.get("external", ())]
    names = frozenset((*managed, *external))
    _demand(len(names) == len(managed) + len(external))
    attached = source["mode"] == "attached"
    _demand(not attached or source["attach"]["type"] == "static")
    readiness = value.get("readiness", {})
    _readiness(readiness, len(managed), len(external), attached=attached)
    steps = [next(iter(step.items())) for step in value.get("steps", ())]
    _demand(all(word != "patch" for word, _ in steps))
    checks = [*(options for _, options in steps), *value.get("expectations", ())]
    for options in (readiness, *checks):
        _demand("readiness" not in options)
        for key in ("target", "nodes"):
            _selector(options.get(key), names, known=not attached)
        re.compile(options.get("pattern", ""))
    _durations(value)


def _demand(plain: bool) -> None:
    if not plain:
        raise NotPlain


def _group(group: Mapping[str, Any]) -> list[str]:
    _demand(ASKED_OF_NODES.isdisjoint(group) and group.get("on_demand") is not True)
    count, template = group.get("count", 1), group.get("name", "n{index}")
    _demand(GROUP_NAME.fullmatch(template) is not None and (count == 1 or "{index}" in template))
    return [template.replace("{index}", str(index)) for index in range(count)]


def _external(node: Mapping[str, Any], kind: Mapping[str, Any]) -> str:
    _demand(ASKED_OF_EXTERNAL.isdisjoint(node))
    endpoints = node["endpoints"]
    _demand(kind["api_port"] in endpoints and frozenset(endpoints) <= frozenset(kind["ports"]))
    for url in endpoints.values():
        found = URL.fullmatch(url)
        _demand(found is not None and int(found[2]) <= 65535)
    return str(node["name"])


def _readiness(spec: Mapping[str, Any], managed: int, external: int, *, attached: bool) -> None:
    policy = spec.get("policy", "all")
    if policy == "quorum":
        _demand(not attached and spec.get("min", 1) <= managed + external)
    elif policy == "source-aware":
        least = {key: spec.get(key) for key in ("managed", "attached", "external", "total")}
        have = {"managed": managed, "attached": 0, "external": external, "total": managed + external}
        _demand(not attached and all(number in (None, "all") or number <= have[key] for key, number in least.items()))


def _selector(selector: Any, names: frozenset[str], *, known: bool) -> None:
    if isinstance(selector, str) and selector not in SELECTOR_WORDS:
        _demand(bool(selector) and not selector.startswith("origin:") and (not known or selector in names))
    elif isinstance(selector, list):
        _demand(all(bool(name) and (not known or name in names) for name in selector))


def _durations(value: Any) -> None:
    """The schema permits a duration of zero, and one beyond all numbers."""
    for key in ("deadline",):
        _duration(value.get(key))
    _duration(value.get("readiness", {}).get("timeout"))
    deployer = value["source"].get("deployer", {})
    _duration(deployer.get("stop_grace"))
    for step in value.get("steps", ()):
        for options in step.values():
            _duration(options.get("within"))
            _duration(options.get("for"))
    for options in value.get("expectations", ()):
        _duration(options.get("within"))


def _duration(written: Any) -> None:
    if written is not None:
        _demand(DURATION_LIKE.fullmatch(written) is not None and any(digit in "123456789" for digit in written))
