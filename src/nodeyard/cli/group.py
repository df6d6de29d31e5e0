"""The group of verbs: each is imported when it is used, so that ``--help`` stays quick."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

import click

from nodeyard.errors.base import ExitStatus

VERBS: dict[str, tuple[str, str]] = {
    "init": ("start", "Write a commented scenario that runs."),
    "validate": ("read", "Read and check scenarios; touches nothing."),
    "plan": ("read", "Show everything that a run would make and do."),
    "preflight": ("read", "Check programs, reachability and compatibility; makes nothing."),
    "run": ("run", "Run scenarios: bootstrap, steps, verdict, cleanup."),
    "up": ("run", "Bring a network up and leave it running."),
    "down": ("end", "Take down a network that 'up' left running."),
    "ps": ("look", "List runs."),
    "inspect": ("look", "Show one run: its verdict, its nodes, what went wrong."),
    "logs": ("look", "Show the output of a node."),
    "exec": ("look", "Run a command beside a node of a running network."),
    "attach": ("read", "Discover borrowed nodes and show their inventory."),
    "report": ("look", "Write the report of a run again from its journal."),
    "gc": ("end", "Remove what dead runs left behind."),
    "schema": ("start", "Print a JSON Schema: of scenarios, kind files, or a run's files."),
    "kinds": ("start", "List what is installed: kinds, sources, steps, checks."),
}
"""Each verb: its module below ``cli.verbs``, and what ``--help`` says of it."""


class Verbs(click.Group):
    """Loads a verb's module when the verb is used; lists verbs in the order in which people need them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = import_module(f"nodeyard.cli.verbs.{VERBS[cmd_name][0]}")
        command: click.Command = getattr(module, f"{cmd_name}_verb")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            from difflib import get_close_matches

            close = get_close_matches(args[0], VERBS, n=1)
            hint = f" Did you mean '{close[0]}'?" if close else ""
            raise click.UsageError(f"No such verb '{args[0]}'.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, summary) for name, (_, summary) in VERBS.items()])


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    help="Show the version and exit.",
    callback=lambda c, p, v: _version(c, v),
)
def nodeyard() -> None:
    """One test scenario over a network of nodes, wherever the nodes come from.

    \b
    Begin with:   nodeyard init first.yaml
                  nodeyard run first.yaml

    \b
    Exit status: 0 pass, 1 fail, 2 interrupted, 3 internal error,
    4 usage or validation, 5 vacuous, 6 unknown, 7 infrastructure.
    """


def _version(ctx: click.Context, asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        click.echo(f"nodeyard {version('nodeyard')}")
        ctx.exit(0)


def invoke(argv: Sequence[str] | None = None) -> int:
    """Carry out a command line; returns the exit status. Shows errors, never a traceback."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        status = nodeyard.main(args=arguments, prog_name="nodeyard", standalone_mode=False)
        return int(status) if isinstance(status, int) else int(ExitStatus.PASS)
    except click.exceptions.Exit as ended:
        return int(ended.exit_code)
    except click.ClickException as error:
        from nodeyard.cli.output import show_usage_error

        return show_usage_error(error, as_json="--json" in arguments)
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return int(ExitStatus.INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has gone; nothing that is written now would be seen.
        sys.stdout = None
        return int(ExitStatus.PASS)
    except Exception as error:  # noqa: BLE001 - the last line of defence: people get an error, never a traceback
        from nodeyard.cli.output import show_error

        return show_error(error, as_json="--json" in arguments)
