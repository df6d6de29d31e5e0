"""Options that several verbs share, and what they become."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from nodeyard.app.config import Settings
    from nodeyard.app.spec_loader import LoadedScenario

F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
output_option = click.option(
    "--output", metavar="FOLDER", help="Folder of run folders; nodeyard-runs by default.", type=click.Path()
)
seed_option = click.option(
    "--seed", type=click.IntRange(min=0, max=2**63 - 1), help="Repeat the random choices of a run."
)
var_option = click.option(
    "--var", "variables", metavar="NAME=VALUE", multiple=True, callback=lambda c, p, v: _variables(v),
    help="A value for ${NAME} in the scenario; may be given several times.",
)  # fmt: skip
deployer_option = click.option(
    "--deployer", metavar="NAME", help="Start the managed nodes by this deployer, with its default options."
)
keep_option = click.option(
    "--keep", type=click.Choice(["never", "on-failure", "always"]),
    help="When to keep the logs, config and diagnostics of nodes; on-failure by default.",
)  # fmt: skip
SCENARIO_PATH = click.Path(path_type=Path, readable=False)
"""Whether it can be read says whoever reads it, as of every other file."""
files_argument = click.argument("files", nargs=-1, required=True, type=SCENARIO_PATH)
file_argument = click.argument("file", type=SCENARIO_PATH)
run_argument = click.argument("run", metavar="RUN")
ttl_type_help = "How long the network may stay, as in 30m or 8h."


class DurationType(click.ParamType):  # type: ignore[type-arg, unused-ignore]  # generic in new versions only
    """``250ms``, ``20s``, ``5m``, ``8h``, as seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        from nodeyard.domain.quantity import parse_duration

        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _variables(given: tuple[str, ...]) -> dict[str, str]:
    wrong = [text for text in given if not text.partition("=")[0] or "=" not in text]
    if wrong:
        raise click.BadParameter(f"'{wrong[0]}' is not NAME=VALUE", param_hint="--var")
    return {name: value for name, _, value in (text.partition("=") for text in given)}


def settings_of(output: str | None = None, keep: str | None = None) -> Settings:
    """The settings of this process with these options."""
    from nodeyard.app.config import Settings

    return Settings.load({"output": output, "keep": keep})


def load(file: Path, settings: Settings, variables: dict[str, str], deployer: str | None = None) -> LoadedScenario:
    """A scenario file with the plugins that are installed."""
    from nodeyard.app.registry import installed
    from nodeyard.app.spec_loader import load_scenario

    return load_scenario(file, installed(), settings.environment, variables, deployer=deployer)


def check_variables(variables: dict[str, str], used: set[str]) -> None:
    """Raise ``UsageError`` for a ``--var`` that no file uses: it is most likely misspelt."""
    from nodeyard.domain.document import nearest
    from nodeyard.errors.validation import UsageError

    for name in variables:
        if name not in used:
            raise UsageError(f"--var {name}: no scenario uses ${{{name}}}", hint=nearest(name, used))
