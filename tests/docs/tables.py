"""The tables of the documentation that are made from the code. ``make docs`` writes them; a test compares them.

A table stands between ``<!-- table: NAME ARGUMENT -->`` and ``<!-- end -->``. Links between tables follow the pages:
whoever adds a mapping, a step or a check puts its table or heading on a page, and the other tables find it there.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from inspect import getdoc
from pathlib import Path
from typing import Any

import click

from nodeyard.app.config import KEYS, PREFIX
from nodeyard.app.kind_files import kind_schema
from nodeyard.app.registry import GROUPS, installed
from nodeyard.app.scenario_model import scenario_schema
from nodeyard.cli import HELP, WIDE
from nodeyard.cli.group import VERBS, nodeyard
from nodeyard.domain import node_client
from nodeyard.domain.capability import ALWAYS_GRANTED, Capability
from nodeyard.domain.events import event_types
from nodeyard.domain.node_client import Rung
from nodeyard.domain.quantity import DURATION_PATTERN, NAME_PATTERN
from nodeyard.errors import bootstrap, provider, runtime, validation
from nodeyard.errors.base import WORST_FIRST, InternalError, Interrupted, NodeyardError
from nodeyard.kinds.cometbft import settings as cometbft
from nodeyard.kinds.declarative import variables
from nodeyard.kinds.declarative.model import KindFile
from nodeyard.kinds.etcd import flags
from nodeyard.observability.schemas import schema as file_schema
from nodeyard.ports.node_control import PROTOCOL_OF

from .pages import Page, pages, slug

Schema = Mapping[str, Any]
MARKED = re.compile(r"<!-- table: (?P<what>[^>]+?) -->\n.*?<!-- end -->", re.DOTALL)
SCALARS = {"boolean", "integer", "number", "string"}
COMMON = ("name", "readiness", "use")
"""Keys of steps and checks that are described once for all."""
OF_FAULTS = ("at", "every", "for", "keep", "target")
"""The same of faults."""


# --- texts ----------------------------------------------------------------------------------------------------------


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def code(text: str) -> str:
    return f"`{text}`"


def plain(doc: str | None) -> str:
    """A docstring's first paragraph as Markdown."""
    first = (doc or "").split("\n\n")[0]
    return " ".join(first.split()).replace("``", "`")


def lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def first_sentence(doc: str | None) -> str:
    return re.split(r"(?<=[.;])\s", plain(doc), maxsplit=1)[0].rstrip(".;")


# --- places ---------------------------------------------------------------------------------------------------------


@cache
def place_of_keys(name: str) -> str | None:
    """The link from ``docs/`` to the heading under which ``keys NAME`` or ``options NAME`` stands, if a page has it."""
    for page in pages():
        before, *found = re.split(f"<!-- table: (?:keys|options) {name} -->", page.text, maxsplit=1)
        if found and page.name.startswith("docs/"):
            return f"{page.name.removeprefix('docs/')}#{slug(Page(page.name, before).headings[-1])}"
    return None


@cache
def place_of_word(word: str) -> str | None:
    """The link from ``docs/`` to the heading of a step, check, fault or workload, if a page has it."""
    for page in pages():
        if page.name.startswith("docs/") and code(word) in page.headings and page.name != "docs/cli.md":
            return f"{page.name.removeprefix('docs/')}#{slug(word)}"
    return None


def mappings() -> set[str]:
    """Every mapping that a scenario can have and that must be described somewhere, by the name of its model."""
    named = {ref.rpartition("/")[2] for ref in re.findall(r'"#/\$defs/[^"]+(?=")', json.dumps(scenario()))}
    apart = ("Step", "Check", "Fault", "Workload")
    return {name for name in named if not name.endswith(apart) and not name.startswith("Uninstalled")
            and "enum" not in part(name)}  # fmt: skip


def link(text: str, place: str | None) -> str:
    return text if place is None else f"[{text}]({place})"


# --- the scenario ---------------------------------------------------------------------------------------------------


@cache
def scenario() -> Schema:
    return scenario_schema(installed())


def part(name: str) -> Schema:
    return scenario() if name == "scenario" else scenario()["$defs"][name]  # type: ignore[no-any-return]


def keys(name: str) -> str:
    """Every key of one mapping of a scenario."""
    return _keys(part(name))


def options(name: str) -> str:
    """The keys of a step or check that are its own."""
    found = part(name)
    common = (*COMMON, *OF_FAULTS) if "keep" in found["properties"] else COMMON
    own = {key: value for key, value in found["properties"].items() if key not in common}
    return _keys({**found, "properties": own}) if own else "It has no keys of its own."


def _keys(found: Schema) -> str:
    needed = found.get("required", ())
    rows = [
        (code(key), "kind" if key == "kind" else type_of(value), _default(value, key in needed), _meaning(value))
        for key, value in found["properties"].items()
    ]
    return table(("key", "value", "default", "meaning"), rows)


def _default(value: Schema, needed: bool) -> str:
    if needed:
        return "*required*"
    default = value.get("default")
    if "default" not in value or default == [] or isinstance(default, dict):
        return ""
    return "" if default is None else code(default if isinstance(default, str) else json.dumps(default))


def _meaning(value: Schema) -> str:
    if "description" in value:
        return plain(value["description"])
    name = _name_of(value)
    return plain(part(name).get("description")) if name else ""


def _name_of(value: Schema) -> str:
    return str(value.get("$ref", "")).removeprefix("#/$defs/")


def type_of(value: Schema) -> str:
    """What may be written for a key, in words."""
    if name := _name_of(value):
        return _named(name)
    if "const" in value:
        return code(str(value["const"]))
    if "enum" in value:
        return ", ".join(code(word) for word in value["enum"])
    if str(value.get("description", "")).startswith("a name, a list of names"):
        return "[selector](steps-and-checks.md#node-selectors)"
    if str(value.get("description", "")).startswith("env:NAME"):
        return "[secret](scenario.md#secrets)"
    several = value.get("oneOf") or value.get("anyOf")
    if several and {one.get("type") for one in several} == SCALARS:
        return "number, text or switch"
    if several:
        words = dict.fromkeys(type_of(one) for one in several if one.get("type") != "null")
        return " or ".join(word for word in words if word)
    return _simple(value)


def _named(name: str) -> str:
    found = part(name)
    if name.startswith("Uninstalled"):
        return ""
    if "enum" in found:
        return type_of(found) if len(found["enum"]) < 6 else "[capability](safety.md#capabilities)"
    if name.endswith("Step"):
        return "[step](steps-and-checks.md#steps)"
    if name.endswith("Check"):
        return "[check](steps-and-checks.md#checks)"
    words = [str(v["const"]) for k, v in found["properties"].items() if k in ("mode", "type") and "const" in v]
    return link(next(iter(words), "mapping"), place_of_keys(name))


def _simple(value: Schema) -> str:
    kind = value.get("type")
    if kind == "string":
        named = {DURATION_PATTERN: "[duration](scenario.md#durations)", NAME_PATTERN: "node name"}
        return named.get(value.get("pattern", ""), "text")
    if kind in ("integer", "number"):
        return _number("whole number" if kind == "integer" else "number", value)
    if kind == "array":
        if "prefixItems" in value:
            return f"list of {len(value['prefixItems'])} numbers"
        return f"list: {type_of(value['items'])}"
    if kind == "object":
        inner = value.get("additionalProperties") or next(iter(value.get("patternProperties", {"": {}}).values()))
        return f"mapping to {type_of(inner)}" if isinstance(inner, Mapping) and inner else "mapping"
    return {"boolean": "true or false"}.get(str(kind), str(kind))


def _number(word: str, value: Schema) -> str:
    least, most = value.get("minimum"), value.get("maximum")
    if "exclusiveMinimum" in value:
        word += f" above {value['exclusiveMinimum']}"
    if most is not None and least is not None:
        return f"{word}, {least} to {most}"
    return f"{word}, {least} or more" if least is not None else word + (f", at most {most}" if most is not None else "")


def steps() -> str:
    """Every step with what it does and what it takes."""
    rows = [(linked(word), found.summary) for word, found in installed().operations.usable().items()]
    return table(("step", "what it does"), [*rows, (linked("expect"), "make a check now")])


def faults() -> str:
    """Every fault with what it does."""
    rows = [(linked(word), found.summary) for word, found in installed().faults.usable().items()]
    return table(("fault", "what it does"), rows)


def workloads() -> str:
    """Every workload with what it does."""
    rows = [(linked(word), found.summary) for word, found in installed().workloads.usable().items()]
    return table(("workload", "what it does"), rows)


def checks() -> str:
    found = installed().expectations.usable().items()
    rows = [(linked(word), check.summary, "yes" if check.from_record else "no") for word, check in found]
    return table(("check", "passes when", "can be decided after the deadline"), rows)


def linked(word: str) -> str:
    return link(code(word), place_of_word(word))


# --- the command line -----------------------------------------------------------------------------------------------


def verbs() -> str:
    return table(("verb", "does"), [(f"[`{name}`](#{name})", summary) for name, (_, summary) in VERBS.items()])


def verb(name: str) -> str:
    """The usage of a verb, and its options."""
    context = click.Context(nodeyard, info_name="nodeyard")
    command = nodeyard.get_command(context, name)
    assert command is not None
    inner = click.Context(command, info_name=name, parent=context)
    usage = " ".join([f"nodeyard {name}", *command.collect_usage_pieces(inner)])
    rows = [_option(one, inner) for one in command.params if isinstance(one, click.Option)]
    shown = f"```text\n{usage}\n```"
    return f"{shown}\n\n{table(('option', 'meaning', 'default'), rows)}" if rows else shown


def _option(option: click.Option, context: click.Context) -> tuple[str, str, str]:
    record = option.get_help_record(context)
    assert record is not None
    spelled = re.sub(r" RANGE$| (INTEGER|TEXT)( RANGE)?$", r" N", record[0]) if "INTEGER" in record[0] else record[0]
    default = "" if option.default in (None, False, ()) or option.is_flag else str(option.default)
    default = "" if default.startswith("Sentinel") else default
    return code(spelled), option.help or "", code(default) if default else ""


def settings() -> str:
    """Every setting by its three names."""
    options_of = {"output": "--output FOLDER", "keep": "--keep WHEN"}
    rows = [
        (code(options_of[key]) if key in options_of else "", code(PREFIX + key.upper().replace("-", "_")), code(key))
        for key in KEYS
    ]
    return table(("option", "environment", "`nodeyard.toml`"), rows)


# --- errors, events, files ------------------------------------------------------------------------------------------

EXITS = {
    "PASS": "every check passed",
    "FAIL": "a check failed",
    "INTERRUPTED": "a person or a signal ended the run",
    "INTERNAL": "a defect of Nodeyard; the traceback is in a file that the error names",
    "USAGE": "the command line or the scenario is wrong, a program or a secret is missing",
    "VACUOUS": "nothing was shown: no check was made, or one had nothing to look at",
    "UNKNOWN": "a check could not be decided",
    "INFRASTRUCTURE": "provisioning, discovery, readiness, preflight, a step's operation or cleanup failed",
}


def exits() -> str:
    rows = sorted((str(int(status)), status.name.lower(), EXITS[status.name]) for status in WORST_FIRST)
    return table(("status", "name", "meaning"), rows)


def errors() -> str:
    """Every error that a run can end with."""
    found = [e for module in (validation, bootstrap, provider, runtime) for e in _errors_of(module)]
    rows = [
        (code(f"{e.layer}/{e.code}"), str(int(e.exit_status)), plain(e.__doc__))
        for e in (*found, Interrupted, InternalError)
    ]
    return table(("error", "exit status", "meaning"), rows)


def _errors_of(module: Any) -> Iterator[type[NodeyardError]]:
    for value in vars(module).values():
        mine = isinstance(value, type) and value.__module__ == module.__name__
        if mine and issubclass(value, NodeyardError) and "code" in vars(value):
            yield value


MEANINGS = {
    "spec-resolved": "bootstrap step 1 is done: what the scenario needs was found",
    "reaper-ready": "a reaper watches; from now on things may be made",
    "reaper-replaced": "the reaper ended, and another one watches",
    "node-provisioned": "the names, folder and ports of a managed node are reserved",
    "node-discovered": "a borrowed node was found, or is listed",
    "discovery-partial": "fewer nodes than declared were found, or some do not answer",
    "node-identified": "a node said who it is",
    "identity-changed": "a node's peer id or address is another one than before",
    "grants-revoked": "a borrowed node changed without us, and may only be asked from now on",
    "inventory-merged": "the inventory has a new revision",
    "conflict-overridden": "a node is owned and borrowed, and `ownership.on_conflict` decided",
    "seeds-chosen": "which nodes a managed node is told of",
    "node-started": "a process, container or pod was started",
    "node-ready": "a node climbed the readiness ladder",
    "readiness-reached": "a readiness barrier opened",
    "preflight-passed": "every planned operation is permitted",
    "step-started": "a step of the scenario begins",
    "step-ended": "a step ended: `done`, `failed`, `error`, `deadline`, `skipped` or `cancelled`",
    "operation-started": "something is about to be done to a node",
    "operation-ended": "it is done, or it failed",
    "operation-denied": "it was not permitted, and not done",
    "fault-injected": "a fault was made",
    "fault-proven": "a fault was seen to have taken effect",
    "fault-healed": "a fault was undone, and seen to be",
    "check-evaluated": "a check was decided",
    "evidence-saved": "logs and diagnostics of the nodes are on disk",
    "cleanup-started": "a ledger is carried out",
    "resource-removed": "something that the run made is gone, or a change is undone",
    "cleanup-failed": "something could not be removed",
    "error-recorded": "an error, as it stands in `verdict.json`",
    "run-ended": "the last event of a run",
}
"""What events mean that do not say it themselves."""


def events() -> str:
    """Every event of the journal with its fields."""
    journal = {rule["if"]["properties"]["event"]["const"]: rule["then"] for rule in file_schema("journal")["allOf"]}
    rows = []
    for event in event_types():
        meaning = MEANINGS.get(event.name) or first_sentence(event.__doc__)
        rows.append((code(event.name), meaning, ", ".join(code(name) for name in journal[event.name]["properties"])))
    return table(("event", "meaning", "fields"), rows)


def file(name: str) -> str:
    """The fields of one file of a run."""
    found = file_schema(name)
    needed = found["required"]
    rows = [
        (code(key), _file_type(value), "" if key in needed else "may be missing")
        for key, value in found["properties"].items()
    ]
    return table(("field", "value", ""), rows)


def _file_type(value: Schema) -> str:
    if "enum" in value:
        return ", ".join(code(str(word)) for word in value["enum"])
    kind = value.get("type", "anything")
    if kind == "array":
        inner = value["items"]
        fields = inner.get("properties")
        if fields:
            return "list of objects: " + ", ".join(code(field) for field in fields)
        return f"list of {_file_type(inner)}"
    if kind == "object" and "properties" in value:
        return "object: " + ", ".join(code(field) for field in value["properties"])
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


# --- plugins --------------------------------------------------------------------------------------------------------

CAN = {
    Capability.QUERY: "ask the node: who it is, its state, reads",
    Capability.SUBMIT: "write to it, as any user of it may",
    Capability.NETWORK: "change what reaches it over the network",
    Capability.JOIN: "let managed nodes become members of its network",
}


def capabilities() -> str:
    """Each capability, and what a control must be able to do for it."""
    rows = []
    for capability in Capability:
        protocol = PROTOCOL_OF.get(capability)
        methods = [name for name in vars(protocol) if not name.startswith("_")] if protocol else []
        docs = "; ".join(first_sentence(getdoc(getattr(protocol, name))) for name in methods)
        borrowed = "always" if capability in ALWAYS_GRANTED else "by `allow`"
        rows.append((code(capability), CAN.get(capability, lower(docs)), borrowed))
    return table(("capability", "what it permits", "on a borrowed node"), rows)


def protocols() -> str:
    """The client protocols with their methods."""
    rows = []
    for name, protocol in vars(node_client).items():
        if not getattr(protocol, "_is_protocol", False) or protocol.__module__ != node_client.__name__:
            continue
        methods = [member for member in vars(protocol) if not member.startswith("_")]
        rows.append((code(name), plain(protocol.__doc__), ", ".join(code(method) for method in methods)))
    return table(("protocol", "what it is", "methods"), rows)


def rungs() -> str:
    meaning = {
        Rung.NOTHING: "no sign of it",
        Rung.ALIVE: "its process or container runs",
        Rung.PORT_OPEN: "something accepts connections on its API port",
        Rung.API_ANSWERS: "its API answers",
        Rung.PEERS: "it sees enough peers",
        Rung.NETWORK_AGREED: "it agrees with its peers on a network",
        Rung.HEIGHT: "its history has begun and it keeps up",
    }
    return table(("rung", "meaning"), [(rung.label, meaning[rung]) for rung in Rung])


def groups() -> str:
    rows = [(code(f"nodeyard.{group}"), ", ".join(code(need) for need in needs)) for group, needs in GROUPS.items()]
    return table(("entry-point group", "what a plugin must have"), rows)


def etcd_own() -> str:
    """Flags that Nodeyard sets itself, by the reason."""
    reasons: dict[str, list[str]] = {}
    for flag, reason in flags.CONTROLLED.items():
        reasons.setdefault(reason, []).append(flag)
    rows = [(", ".join(code(flag) for flag in found), reason) for reason, found in reasons.items()]
    return table(("settings", "why a scenario cannot set them"), rows)


def etcd_settings() -> str:
    rows = [
        ("whole number", ", ".join(code(flag) for flag in sorted(flags.NUMBERS))),
        ("true or false", ", ".join(code(flag) for flag in sorted(flags.SWITCHES))),
        ("duration as Go writes it", ", ".join(code(flag) for flag in sorted(flags.DURATIONS))),
        ("text", ", ".join(code(flag) for flag in sorted(flags.TEXTS))),
        *((", ".join(code(word) for word in words), code(flag)) for flag, words in sorted(flags.CHOICES.items())),
    ]
    return table(("value", "settings"), rows)


def cometbft_own() -> str:
    """Settings that Nodeyard makes itself, by the reason."""
    reasons: dict[str, list[str]] = {}
    for key, reason in cometbft.CONTROLLED.items():
        reasons.setdefault(reason, []).append(key)
    rows = [(", ".join(code(key) for key in found), reason) for reason, found in reasons.items()]
    return table(("settings", "why a scenario cannot set them"), rows)


def cometbft_settings() -> str:
    rows = [
        ("whole number", ", ".join(code(key) for key in sorted(cometbft.NUMBERS))),
        ("true or false", ", ".join(code(key) for key in sorted(cometbft.SWITCHES))),
        ("duration as Go writes it", ", ".join(code(key) for key in sorted(cometbft.DURATIONS))),
        ("text", ", ".join(code(key) for key in sorted(cometbft.TEXTS))),
        *((", ".join(code(word) for word in words), code(key)) for key, words in sorted(cometbft.CHOICES.items())),
    ]
    return table(("value", "settings"), rows)


def cometbft_genesis() -> str:
    numbers = {cometbft.POWER: cometbft.POWER_DEFAULT, **cometbft.GENESIS_NUMBERS}
    return table(("setting", "default"), [(code(key), str(value)) for key, value in numbers.items()])


# --- pages ----------------------------------------------------------------------------------------------------------

# --- kind files ------------------------------------------------------------------------------------------------------

PLACES_OF_KINDS = {"Launch": "launch", "Port": "ports", "Stop": "launch", "File": "launch", "Arg": "launch",
                   "NetworkAsks": "facts", "Weights": "facts", "KeyValueCalls": "calls", "Submit": "calls"}  # fmt: skip
"""Under which heading of its page a mapping of a kind file is described; all others are questions."""
MEANINGS_OF_VARIABLES = {
    "name": "name of the node",
    "index": "its position among all managed nodes, from 0",
    "role": "its role, or none",
    "data_dir": "its data folder",
    "config_dir": "the folder of the files under `files`",
    "listen": "address to bind, by port",
    "advertise": "address at which others reach it, by port",
    "peers": "list of all managed nodes of the kind",
    "seeds": "list of the nodes that it is told of",
    "config": "its settings, with the defaults of `config`",
    "network": "the network",
    "run": "the run",
    "endpoint": "URL at which the tester reaches the node, by port, with `.host` and `.port`",
    "key": "the key",
    "value": "the value to write",
    "expected": "the value that must be there; empty where `absent`",
    "absent": "whether the key must not be there",
    "tx": "the transaction: UTF-8 text, `0x` with hexadecimal digits, or base64",
    "tx_id": "id of the transaction, as `send` picked it",
    "height": "height of the block",
}


def kind_keys(name: str) -> str:
    """Every key of one mapping of a kind file."""
    whole = kind_schema(installed())
    found = whole if name == "KindFile" else whole["$defs"][name]
    rows = []
    for key, value in found["properties"].items():
        meaning = _meaning_in_kinds(value, whole)
        rows.append((code(key), _type_in_kinds(value), _default(value, key in found.get("required", ())), meaning))
    return table(("key", "value", "default", "meaning"), rows)


def _meaning_in_kinds(value: Schema, whole: Schema) -> str:
    refs = [_name_of(one) for one in (value, *value.get("anyOf", ())) if _name_of(one)]
    described = value.get("description") or (whole["$defs"][refs[0]].get("description") if refs else "")
    return lower(plain(described)).rstrip(".")


def _type_in_kinds(value: Schema) -> str:
    if name := _name_of(value):
        if name == "Scheme":
            return "`http`, `tcp`"
        return f"[mapping](#{PLACES_OF_KINDS[name]})" if name in PLACES_OF_KINDS else "[question](#questions)"
    marks = {"x-template": "template", "x-jmespath": "JMESPath", "x-pattern": "pattern"}
    if mark := next((word for key, word in marks.items() if key in value), ""):
        return mark
    several = value.get("anyOf")
    if several and {one.get("type") for one in several} == SCALARS:
        return "number, text or switch"
    if several:
        words = dict.fromkeys(_type_in_kinds(one) for one in several if one.get("type") != "null")
        return " or ".join(words)
    if value.get("type") == "array":
        return f"list: {_type_in_kinds(value['items'])}"
    if value.get("type") == "object":
        inner = value.get("additionalProperties") or next(iter(value.get("patternProperties", {"": {}}).values()))
        return f"mapping to {_type_in_kinds(inner)}"
    return type_of(value)


def kind_variables(where: str) -> str:
    """The variables of templates: those under ``launch``, or those of ``questions``."""
    file = _toy_file()
    if where == "launch":
        rows = [("", name, shape) for name, shape in variables.launch_shapes(file).items()]
    else:
        rows = [("every question", "endpoint", variables.ask_shapes(file)["endpoint"])]
        for path, names in variables.CALL_VARIABLES.items():
            shapes = variables.ask_shapes(file, names)
            rows += [(code(".".join(path)), name, shapes[name]) for name in names]
    told = [
        [place] * (where != "launch") + [_spelled(name, shape), MEANINGS_OF_VARIABLES[name]]
        for place, name, shape in rows
    ]
    return table((*(("where",) if where != "launch" else ()), "variable", "meaning"), told)


def _toy_file() -> Any:
    ports = {"api": 1}
    return KindFile.model_validate(
        {"nodeyard-kind": 1, "name": "x", "summary": "x", "ports": ports, "config": {"key": 1}}
    )


def _spelled(name: str, shape: Any) -> str:
    """A variable as it is written, with the parts that it has; ``PORT`` and ``KEY`` stand for names of the file."""
    if isinstance(shape, list):
        parts = ", ".join(
            code(f".{part}" + (".PORT" if isinstance(inner, dict) else "")) for part, inner in shape[0].items()
        )
        return f"{code(name)}, each with {parts}"
    if isinstance(shape, dict):
        words = [{"api": "PORT", "key": "KEY"}.get(part, part) for part in shape]
        return ", ".join(code(f"{name}.{word}") for word in words)
    return code(name)


MAKERS: Mapping[str, Callable[..., str]] = {
    "kind-keys": kind_keys,
    "kind-variables": kind_variables,
    "capabilities": capabilities,
    "checks": checks,
    "errors": errors,
    "cometbft-genesis": cometbft_genesis,
    "cometbft-own": cometbft_own,
    "cometbft-settings": cometbft_settings,
    "etcd-own": etcd_own,
    "etcd-settings": etcd_settings,
    "events": events,
    "exits": exits,
    "faults": faults,
    "workloads": workloads,
    "file": file,
    "groups": groups,
    "keys": keys,
    "options": options,
    "protocols": protocols,
    "rungs": rungs,
    "settings": settings,
    "steps": steps,
    "verb": verb,
    "verbs": verbs,
}


def tables_of(text: str) -> Iterator[str]:
    """What the tables of a page are called."""
    return (match["what"] for match in MARKED.finditer(text))


def rewritten(text: str, *, folder: str = "docs") -> str:
    """A page with its tables as they should be; ``folder`` is the page's, which links start from."""

    def make(match: re.Match[str]) -> str:
        what, *arguments = match["what"].split()
        made = MAKERS[what](*arguments)
        if folder != "docs":
            up = "docs/" if folder == "" else "../"
            made = re.sub(r"\]\((?=[a-z0-9/-]+\.md)", f"]({up}", made)
        return f"<!-- table: {match['what']} -->\n{made}\n<!-- end -->"

    return MARKED.sub(make, text)


def help_text(columns: int) -> str:
    """What the command line says of itself on a terminal of this width."""
    shown = {**nodeyard.context_settings, "terminal_width": min(columns, 100)}
    with nodeyard.make_context("nodeyard", [], resilient_parsing=True, **shown) as context:
        return context.get_help() + "\n"


def main() -> int:
    """Rewrite every page whose tables are out of date."""
    for page in pages():
        folder = page.name.rpartition("/")[0]
        fresh = rewritten(page.text, folder=folder)
        if fresh != page.text:
            page.path.write_text(fresh, encoding="utf-8")
            sys.stdout.write(f"rewritten: {page.name}\n")
    Path(HELP).write_text(help_text(WIDE), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
