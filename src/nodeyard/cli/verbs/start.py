"""``init``, ``schema`` and ``kinds``: where people begin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nodeyard.cli import options, output
from nodeyard.errors.base import ExitStatus


@click.command("init")
@click.argument("file", type=click.Path(path_type=Path), default="scenario.yaml")
@click.option(
    "--kind", default="etcd", show_default=True, help="The node software: a name, or the path of a kind file from here."
)
@click.option("--mode", type=click.Choice(["managed", "attached", "external-only"]),
              help="Where the nodes come from; managed by default, where the kind's nodes can be started.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@options.json_option
def init_verb(file: Path, kind: str, mode: str | None, force: bool, as_json: bool) -> int:
    """Write a commented scenario that runs."""
    from nodeyard.app.registry import installed
    from nodeyard.app.templates import known_kind, template, word_of_kind
    from nodeyard.errors.validation import UsageError
    from nodeyard.observability.files import write_text

    if file.exists() and not force:
        raise UsageError(f"{file} is there already", hint="choose another name, or replace it with --force")
    found = known_kind(installed(), kind)
    write_text(file, template(found, kind=word_of_kind(kind, file), mode=mode, name=_name_of(file)))
    if as_json:
        output.print_json({"file": str(file.absolute()), "exit_status": 0})
    else:
        click.echo(f"{file} is written; run it with: nodeyard run {file}")
    return 0


def _name_of(file: Path) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in file.stem)[:100] or "scenario"


@click.command("schema")
@click.argument("what", default="scenario")
@options.json_option
def schema_verb(what: str, as_json: bool) -> int:  # a schema is JSON either way; the option tells how errors look
    """Print a JSON Schema: of scenarios, of kind files, or of a file of a run.

    WHAT is scenario (if it is left out), kind, inventory, verdict, journal, plan, history or versions.
    """
    from nodeyard.errors.validation import UsageError
    from nodeyard.observability.schemas import schema, schema_names

    if what == "scenario":
        from nodeyard.app.registry import installed
        from nodeyard.app.scenario_model import scenario_schema

        output.print_json(scenario_schema(installed()))
        return 0
    if what == "kind":
        from nodeyard.app.kind_files import kind_schema
        from nodeyard.app.registry import installed

        output.print_json(kind_schema(installed()))
        return 0
    try:
        output.print_json(schema(what))
    except KeyError:
        raise UsageError(
            f"there is no schema '{what}'", hint=f"there are: scenario, kind, {', '.join(schema_names())}"
        ) from None
    return 0


@click.command("kinds")
@options.json_option
def kinds_verb(as_json: bool) -> int:
    """List what is installed: kinds, deployers, attach providers, steps and checks, with what each can do."""
    from nodeyard.app.catalogue import catalogue
    from nodeyard.app.registry import installed

    found = catalogue(installed())
    if as_json:
        output.print_json(found)
    else:
        output.print_tables([_table(group, entries) for group, entries in found.items()])
    broken = [
        entry
        for entries in found.values()
        for entry in entries
        if "not installed" not in entry.get("problem", "not installed")
    ]
    return int(ExitStatus.USAGE if broken else ExitStatus.PASS)


def _table(group: str, entries: list[dict[str, Any]]) -> Any:
    from nodeyard.observability.tables import Table

    rows = tuple((entry["name"], entry.get("summary", ""), entry.get("problem") or _can(entry)) for entry in entries)
    return Table(group, ("name", "what it is", "what it can do"), rows)


def _can(entry: dict[str, Any]) -> str:
    facts = ("protocols", "capabilities", "ports", "roles", "options")
    words = [f"{fact}: {', '.join(entry[fact])}" for fact in facts if entry.get(fact)]
    return "; ".join([*words, *(["join"] if entry.get("join") else [])])
