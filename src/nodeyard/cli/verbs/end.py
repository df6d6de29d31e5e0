"""``down`` and ``gc``: taking down what stands."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from nodeyard.cli import options, output
from nodeyard.errors.base import ExitStatus

if TYPE_CHECKING:
    from nodeyard.app.gc import GcReport, GcRow
    from nodeyard.bootstrap.cleanup import CleanupReport


@click.command("down")
@options.run_argument
@options.output_option
@options.json_option
def down_verb(run: str, output: str | None, as_json: bool) -> int:
    """Take down a network that 'up' left running."""
    from nodeyard.app.looking import take_down

    settings = options.settings_of(output)
    name, report = asyncio.run(take_down(settings, run))
    return _show_down(name, report, as_json=as_json)


def _show_down(run: str, report: CleanupReport, *, as_json: bool) -> int:
    from nodeyard.bootstrap.cleanup import resource_name

    removed = [resource_name(entry) for entry, outcome in report.removed if not outcome.absent]
    failed = [(resource_name(entry), error.message) for entry, error in report.failed]
    status = ExitStatus.PASS if report.complete else ExitStatus.INFRASTRUCTURE
    if as_json:
        output.print_json({"run": run, "removed": removed, "failed": failed, "exit_status": int(status)})
        return int(status)
    click.echo(f"down: {run}, {len(removed)} resources removed")
    for name, reason in failed:
        output.say(f"error: {name}: {reason}")
    return int(status)


@click.command("gc")
@click.option("--dry-run", is_flag=True, help="Say what would be removed; remove nothing.")
@click.option("--older-than", type=options.DurationType(), default="0s", help="Only runs that began before.")
@click.option(
    "--context", metavar="NAME", help="Also in the cluster of this context, what dead runs of any machine left there."
)
@options.json_option
def gc_verb(dry_run: bool, older_than: float, context: str | None, as_json: bool) -> int:
    """Remove what dead runs of this machine left behind. Live runs, and those of other hosts, are never touched."""
    from nodeyard.app.looking import collect_garbage

    report = asyncio.run(
        collect_garbage(options.settings_of(), dry_run=dry_run, older_than=older_than, context=context)
    )
    return _show_gc(report, as_json=as_json)


def _show_gc(report: GcReport, *, as_json: bool) -> int:
    error = report.error()
    status = error.exit_status if error is not None else ExitStatus.PASS
    if as_json:
        output.print_json({"exit_status": int(status), "runs": [_document(row) for row in report.rows]})
        return int(status)
    if not report.rows:
        click.echo("nothing to remove: no run of this user is known")
    for row in report.rows:
        click.echo(_line(row))
        for name, reason in row.failed:
            output.say(f"error: {row.run}: {name}: {reason}")
    return int(status)


def _document(row: GcRow) -> dict[str, Any]:
    return {
        "run": row.run,
        "action": row.action.value,
        "state": row.judgement.value if row.judgement is not None else None,
        "resources": list(row.resources),
        "failed": [{"resource": name, "reason": reason} for name, reason in row.failed],
        "reason": row.reason,
    }


def _line(row: GcRow) -> str:
    state = f" ({row.judgement})" if row.judgement is not None else ""
    what = f": {', '.join(row.resources)}" if row.resources else ""
    reason = f": {row.reason}" if row.reason else ""
    return f"{row.run}{state}: {row.action.value.replace('-', ' ')}{what}{reason}"
