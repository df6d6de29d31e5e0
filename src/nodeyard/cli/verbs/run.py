"""``run`` and ``up``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nodeyard.cli import options, output
from nodeyard.errors.base import ExitStatus, NodeyardError, worst_exit

if TYPE_CHECKING:
    from nodeyard.app.config import Settings
    from nodeyard.app.finishing import RunResult
    from nodeyard.app.running import UpResult
    from nodeyard.app.spec_loader import LoadedScenario
    from nodeyard.observability.repeats import Repeated, Repeats

DEFAULT_TTL = "8h"


@click.command("run")
@options.files_argument
@options.deployer_option
@options.seed_option
@click.option(
    "--repeat",
    "times",
    type=click.IntRange(min=1),
    default=1,
    metavar="N",
    help="Run each file N times, each time with a seed of its own if none is given; tells the pass rate.",
)
@options.keep_option
@options.var_option
@options.output_option
@options.json_option
def run_verb(
    files: tuple[Path, ...], deployer: str | None, seed: int | None, times: int, keep: str | None,
    variables: dict[str, str], output: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Run scenarios one after the other: bootstrap, steps, verdict, cleanup.

    With several files, the exit status is the worst one, and a file that cannot be read does not keep the others from
    being run. Ctrl-C once ends the run in order; twice ends this process at once, and the reaper takes over.
    """
    return _Runs(files, deployer, seed, keep, variables, output, as_json, times).all()


class _Runs:
    """One command's runs."""

    def __init__(
        self, files: tuple[Path, ...], deployer: str | None, seed: int | None, keep: str | None,
        variables: dict[str, str], folder: str | None, as_json: bool, times: int,
    ) -> None:  # fmt: skip
        self.times = times
        self.files, self.seed, self.variables, self.as_json = files, seed, variables, as_json
        self.deployer = deployer
        self.settings: Settings = options.settings_of(folder, keep)
        self.repeat = [word for name, value in variables.items() for word in ("--var", f"{name}={value}")]
        self.repeat += ["--deployer", deployer] if deployer else []
        self.repeat += ["--keep", keep] if keep else []
        self.documents: list[dict[str, Any]] = []
        self.repeats: list[Repeats] = []
        self._last: Repeated | None = None

    def all(self) -> int:
        """Every file in turn; an interrupted one is the last."""
        loaded = [(file, self._load(file)) for file in self.files]
        good = [scenario for _, scenario in loaded if not isinstance(scenario, NodeyardError)]
        if len(good) == len(loaded):
            options.check_variables(self.variables, {name for scenario in good for name in scenario.used})
        statuses: list[ExitStatus] = []
        for file, scenario in loaded:
            statuses += self._times(file, scenario)
            if statuses[-1] is ExitStatus.INTERRUPTED:
                break
        status = worst_exit(statuses)
        if self.as_json:
            output.print_json(self._document(status))
        return int(status)

    def _document(self, status: ExitStatus) -> dict[str, Any]:
        if len(self.documents) == 1 and self.times == 1:
            return self.documents[0]
        repeats = {"repeats": [one.document() for one in self.repeats]} if self.times > 1 else {}
        return {"exit_status": int(status), **repeats, "runs": self.documents}

    def _times(self, file: Path, scenario: LoadedScenario | NodeyardError) -> list[ExitStatus]:
        """One file as often as was asked for; one that cannot be read, and an interrupted run, are not repeated."""
        if self.times == 1 or isinstance(scenario, NodeyardError):
            return [self._one(file, scenario)]
        from nodeyard.observability.repeats import Repeated, Repeats
        from nodeyard.observability.summary import summary_text

        runs: list[Repeated] = []
        while len(runs) < self.times and not (runs and runs[-1].status is ExitStatus.INTERRUPTED):
            self._last = None
            status = self._one(file, scenario)
            runs.append(self._last or Repeated(status))
        self.repeats.append(Repeats(scenario.spec.name, tuple(runs)))
        stream = sys.stderr if self.as_json else sys.stdout
        text = summary_text(self.repeats[-1].lines(), colour=output.is_terminal(stream))
        click.echo(text, file=stream, nl=False)
        return [run.status for run in runs]

    def _load(self, file: Path) -> LoadedScenario | NodeyardError:
        try:
            return options.load(file, self.settings, self.variables, self.deployer)
        except NodeyardError as error:
            return error

    def _one(self, file: Path, scenario: LoadedScenario | NodeyardError) -> ExitStatus:
        if isinstance(scenario, NodeyardError):
            return self._refused(file, scenario)
        try:
            result = asyncio.run(_run(scenario, self.settings, self.seed, self.repeat))
        except NodeyardError as error:
            return self._refused(file, error)
        self._show(file, scenario, result)
        self._note(result)
        return result.exit_status

    def _note(self, result: RunResult) -> None:
        from nodeyard.observability.repeats import Repeated, reason_of

        outcome = result.outcome
        checks = [(check.name, check.verdict.value, check.reason) for check in outcome.checks]
        reason = reason_of(checks, [error.message for error in outcome.errors])
        self._last = Repeated(result.exit_status, outcome.seed, reason, result.repeat)

    def _refused(self, file: Path, error: NodeyardError) -> ExitStatus:
        for line in output.error_lines(error):
            output.say(line)
        self.documents.append(
            {"file": str(file), "exit_status": int(error.exit_status), "errors": output.error_records(error)}
        )
        return error.exit_status

    def _show(self, file: Path, scenario: LoadedScenario, result: RunResult) -> None:
        from nodeyard.observability.files import verdict_document
        from nodeyard.observability.summary import summary_lines, summary_text

        stream = sys.stderr if self.as_json else sys.stdout
        lines = summary_lines(
            result.outcome, scenario=scenario.spec.name, folder=str(result.folder), why=result.why,
            repeat=result.repeat, after=result.after,
        )  # fmt: skip
        click.echo(summary_text(lines, colour=output.is_terminal(stream)), file=stream, nl=False)
        self._summarise(scenario, result)
        document = verdict_document(result.outcome)
        document["exit_status"] = int(result.exit_status)
        self.documents.append({"file": str(file), "folder": str(result.folder), **document})

    def _summarise(self, scenario: LoadedScenario, result: RunResult) -> None:
        """The summary of a job, where the run is a step of one; a file that cannot be written is told and no more."""
        from nodeyard.observability.github import step_summary

        if self.settings.step_summary is None:
            return
        text = step_summary(
            result.outcome, scenario=scenario.spec.name, folder=str(result.folder), repeat=result.repeat
        )
        try:
            with self.settings.step_summary.open("a", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            output.say(f"the step summary {self.settings.step_summary} cannot be written: {error.strerror or error}")


async def _run(scenario: LoadedScenario, settings: Settings, seed: int | None, repeat: list[str]) -> RunResult:
    from nodeyard._aio.clock import SystemClock
    from nodeyard.app.registry import installed
    from nodeyard.app.running import run_scenario
    from nodeyard.app.session import SessionRequest
    from nodeyard.observability.progress import progress
    from nodeyard.observability.tables import inventory_table

    clock = SystemClock()
    terminal = output.is_terminal(sys.stderr)
    with progress(sys.stderr, terminal=terminal, clock=clock, deadline=clock.now() + scenario.spec.deadline) as shown:
        request = SessionRequest(
            scenario, settings, installed(), seed=seed, observers=[shown], repeat=repeat, clock=clock,
            on_network=lambda inventory: shown.line(output.table_text([inventory_table(inventory)], sys.stderr)),
        )  # fmt: skip
        return await run_scenario(request, say=shown.line)


@click.command("up")
@options.file_argument
@click.option("--ttl", type=options.DurationType(), default=DEFAULT_TTL, show_default=True, help=options.ttl_type_help)
@options.deployer_option
@options.seed_option
@options.keep_option
@options.var_option
@options.output_option
@options.json_option
def up_verb(
    file: Path, ttl: float, deployer: str | None, seed: int | None, keep: str | None, variables: dict[str, str],
    output: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Bring a network up and leave it running under its reaper's care, until 'nodeyard down' or its time is over.

    The steps of the scenario are not run.
    """
    settings = options.settings_of(output, keep)
    scenario = options.load(file, settings, variables, deployer)
    options.check_variables(variables, set(scenario.used))
    return _show_up(asyncio.run(_up(scenario, settings, seed, ttl)), scenario, as_json=as_json)


async def _up(scenario: LoadedScenario, settings: Settings, seed: int | None, ttl: float) -> UpResult | RunResult:
    from nodeyard._aio.clock import SystemClock
    from nodeyard.app.registry import installed
    from nodeyard.app.running import bring_up
    from nodeyard.app.session import SessionRequest
    from nodeyard.observability.progress import progress

    clock = SystemClock()
    terminal = output.is_terminal(sys.stderr)
    with progress(sys.stderr, terminal=terminal, clock=clock, deadline=clock.now() + scenario.spec.deadline) as shown:
        request = SessionRequest(scenario, settings, installed(), seed=seed, observers=[shown], clock=clock)
        return await bring_up(request, ttl=ttl, say=shown.line)


def _show_up(result: UpResult | RunResult, scenario: LoadedScenario, *, as_json: bool) -> int:
    from nodeyard.app.running import UpResult
    from nodeyard.domain.quantity import format_duration
    from nodeyard.observability.files import inventory_document, verdict_document
    from nodeyard.observability.summary import summary_lines, summary_text
    from nodeyard.observability.tables import inventory_table

    if not isinstance(result, UpResult):
        lines = summary_lines(
            result.outcome, scenario=scenario.spec.name, folder=str(result.folder), why=result.why,
            repeat=f"nodeyard up {scenario.path}", after=result.after,
        )  # fmt: skip
        click.echo(summary_text(lines, colour=output.is_terminal(sys.stderr)), err=True, nl=False)
        if as_json:
            status = int(result.exit_status)
            output.print_json({**verdict_document(result.outcome), "folder": str(result.folder), "exit_status": status})
        return int(result.exit_status)
    if as_json:
        document = inventory_document(result.run, result.inventory)
        output.print_json({**document, "folder": str(result.folder), "ttl": result.ttl, "exit_status": 0})
        return 0
    output.print_tables([inventory_table(result.inventory)])
    click.echo(f"up: {result.run}, for {format_duration(result.ttl)}")
    click.echo(f"folder:  {result.folder}")
    click.echo(f"down:    nodeyard down {result.run}")
    return 0
