"""``ps``, ``inspect``, ``logs``, ``exec`` and ``report``: looking into runs."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from nodeyard.cli import options, output

if TYPE_CHECKING:
    from nodeyard.app.looking import RunView


@click.command("ps")
@click.option("--all", "everything", is_flag=True, help="Also runs that ended, from the output folder.")
@options.output_option
@options.json_option
def ps_verb(everything: bool, output: str | None, as_json: bool) -> int:
    """List runs that stand: running, up, or dead and not yet cleaned up."""
    from nodeyard.app.looking import list_runs

    return _show_runs(list_runs(options.settings_of(output), everything=everything), as_json=as_json)


def _show_runs(rows: Any, *, as_json: bool) -> int:
    from nodeyard.observability.tables import runs_table

    if as_json:
        output.print_json({"runs": [asdict(row) for row in rows]})
    elif rows:
        output.print_tables([runs_table(rows)])
    else:
        click.echo("no run stands; 'nodeyard ps --all' lists those that ended")
    return 0


@click.command("inspect")
@options.run_argument
@options.output_option
@options.json_option
def inspect_verb(run: str, output: str | None, as_json: bool) -> int:
    """Show one run: its verdict and checks, its errors with hints, its nodes. RUN may be 'latest'."""
    from nodeyard.app.looking import view

    return _show_run(view(options.settings_of(output), run), as_json=as_json)


def _show_run(found: RunView, *, as_json: bool) -> int:
    from nodeyard.app.inspecting import inspection

    if as_json:
        output.print_json({**asdict(found.row), "verdict": found.verdict, "inventory": found.inventory})
        return 0
    for part in inspection(found):
        if isinstance(part, str):
            click.echo(part)
        else:
            output.print_tables([part])
    return 0


@click.command("logs")
@options.run_argument
@click.argument("node")
@click.option("--tail", type=click.IntRange(min=0), help="Only the last lines.")
@options.output_option
@options.json_option
def logs_verb(run: str, node: str, tail: int | None, output: str | None, as_json: bool) -> int:
    """Show the output of a node: its standard output, then its errors."""
    import asyncio

    from nodeyard.app.visiting import logs_of

    lines = asyncio.run(logs_of(options.settings_of(output), run, node, tail=tail))
    return _show_lines(lines, node, as_json=as_json)


def _show_lines(lines: tuple[str, ...], node: str, *, as_json: bool) -> int:
    if as_json:
        output.print_json({"node": node, "lines": list(lines)})
    else:
        for line in lines:
            click.echo(line)
    return 0


@click.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@options.output_option
@click.option("--timeout", type=options.DurationType(), default="30s", show_default=True, help="How long it may take.")
@options.run_argument
@click.argument("node")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@options.json_option
def exec_verb(run: str, node: str, command: tuple[str, ...], output: str | None, timeout: float, as_json: bool) -> int:
    """Run a command where a node of a standing network runs; its exit status is this one's.

    The command sees the node's own environment and starts in its data folder.
    """
    import asyncio

    from nodeyard.app.visiting import exec_in

    argv = command[1:] if command[0] == "--" else command
    done = asyncio.run(exec_in(options.settings_of(output), run, node, argv, timeout=timeout))
    if as_json:
        _show({"node": node, "stdout": done.stdout, "stderr": done.stderr, "exit_status": done.status})
        return done.status
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    sys.stdout.flush()
    return done.status


@click.command("report")
@options.run_argument
@options.output_option
@options.json_option
def report_verb(run: str, output: str | None, as_json: bool) -> int:
    """Write the report of a run again from its journal."""
    from nodeyard.app.looking import locate
    from nodeyard.observability.report import write_report

    folder = locate(options.settings_of(output), run)
    write_report(folder.journal, folder.report)
    if as_json:
        _show({"report": str(folder.report), "exit_status": 0})
    else:
        click.echo(str(folder.report))
    return 0


def _show(document: dict[str, Any]) -> None:
    output.print_json(document)
