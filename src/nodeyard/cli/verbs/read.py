"""``validate``, ``plan``, ``preflight`` and ``attach``: verbs that make nothing."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import click

from nodeyard.cli import options, output
from nodeyard.errors.base import ExitStatus, NodeyardError, worst_exit


@click.command("validate")
@options.files_argument
@options.var_option
@options.json_option
def validate_verb(files: tuple[Path, ...], variables: dict[str, str], as_json: bool) -> int:
    """Read and check scenarios; every problem of a file comes at once, with its place. Touches nothing."""
    settings = options.settings_of()
    documents: list[dict[str, Any]] = []
    statuses: list[ExitStatus] = []
    used: set[str] = set()
    for file in files:
        problems: list[dict[str, Any]] = []
        try:
            used |= options.load(file, settings, variables).used
            statuses.append(ExitStatus.PASS)
            if not as_json:
                click.echo(f"{file}: valid")
        except NodeyardError as error:
            statuses.append(error.exit_status)
            problems = output.error_records(error)
            for line in output.error_lines(error):
                output.say(line)
        documents.append({"file": str(file), "valid": not problems, "errors": problems})
    status = worst_exit(statuses)
    if as_json:
        output.print_json({"exit_status": int(status), "files": documents})
    elif status is ExitStatus.PASS:
        options.check_variables(variables, used)
    return int(status)


@click.command("plan")
@options.file_argument
@options.deployer_option
@options.seed_option
@options.var_option
@options.output_option
@click.option("--manifests", is_flag=True, help="Print what the deployer's backend would be given, and nothing else.")
@options.json_option
def plan_verb(
    file: Path,
    deployer: str | None,
    seed: int | None,
    variables: dict[str, str],
    output: str | None,
    manifests: bool,
    as_json: bool,
) -> int:
    """Show every node, seed, port, file and check that a run would make; what only the run can know is 'at-run'."""
    from nodeyard.app import dry
    from nodeyard.app.registry import installed

    settings = options.settings_of(output)
    scenario = options.load(file, settings, variables, deployer)
    options.check_variables(variables, set(scenario.used))
    if manifests:
        click.echo(asyncio.run(dry.manifests(scenario, settings, installed(), seed=seed)), nl=False)
        return int(ExitStatus.PASS)
    document = asyncio.run(dry.plan(scenario, settings, installed(), seed=seed))
    return _show_plan(document, as_json=as_json)


def _show_plan(document: dict[str, Any], *, as_json: bool) -> int:
    from nodeyard.observability.tables import plan_tables

    if as_json:
        output.print_json(document)
    else:
        output.print_tables(plan_tables(document))
    return int(ExitStatus.INFRASTRUCTURE if document["problems"] else ExitStatus.PASS)


@click.command("preflight")
@options.file_argument
@options.deployer_option
@options.var_option
@options.json_option
def preflight_verb(file: Path, deployer: str | None, variables: dict[str, str], as_json: bool) -> int:
    """Check what needs the world: programs, permissions, reachability and compatibility of borrowed nodes."""
    from nodeyard.app.dry import survey

    return _survey(file, variables, deployer, as_json=as_json, act=survey, done="preflight passed")


@click.command("attach")
@options.file_argument
@options.var_option
@options.json_option
def attach_verb(file: Path, variables: dict[str, str], as_json: bool) -> int:
    """Discover the borrowed nodes of a scenario and show their inventory; runs nothing and changes nothing."""
    from nodeyard.app.dry import attach

    return _survey(file, variables, None, as_json=as_json, act=attach, done="")


def _survey(file: Path, variables: dict[str, str], deployer: str | None, *, as_json: bool, act: Any, done: str) -> int:
    from nodeyard._aio.clock import SystemClock
    from nodeyard.app.registry import installed
    from nodeyard.observability.files import inventory_document
    from nodeyard.observability.progress import PlainProgress
    from nodeyard.observability.tables import inventory_table

    settings = options.settings_of()
    scenario = options.load(file, settings, variables, deployer)
    options.check_variables(variables, set(scenario.used))

    async def go() -> Any:
        shown = PlainProgress(sys.stderr, clock=SystemClock())
        return await act(scenario, settings, installed(), observers=[shown])

    inventory = asyncio.run(go())
    if as_json:
        output.print_json({**inventory_document("attach", inventory), "exit_status": 0})
        return 0
    if len(inventory):
        output.print_tables([inventory_table(inventory)])
    if done:
        click.echo(f"{file}: {done}")
    return 0
