"""The folder of a run: its name, its files, and the list of runs that are known here."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from nodeyard.errors.bootstrap import RunFolderUnusable
from nodeyard.errors.validation import UsageError

LONGEST_NAME = 30
LATEST = "latest"
"""What people may write for the newest run of the output folder."""


def new_run_id(scenario: str, now: datetime) -> str:
    """``NAME-DATE-TIME-RANDOM``: sorts by name and time, is a DNS label, and is unique beside runs of one second."""
    slug = re.sub(r"[^a-z0-9]+", "-", scenario.lower()).strip("-")[:LONGEST_NAME].strip("-") or "run"
    return f"{slug}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


@dataclass(frozen=True)
class RunFolder:
    """Where the files of one run stand."""

    path: Path

    @property
    def run(self) -> str:
        return self.path.name

    @property
    def scenario(self) -> Path:
        return self.path / "scenario.yaml"

    @property
    def plan(self) -> Path:
        return self.path / "plan.json"

    @property
    def versions(self) -> Path:
        return self.path / "versions.json"

    @property
    def inventory(self) -> Path:
        return self.path / "inventory.json"

    @property
    def journal(self) -> Path:
        return self.path / "journal.jsonl"

    @property
    def history(self) -> Path:
        return self.path / "history.jsonl"

    @property
    def verdict(self) -> Path:
        return self.path / "verdict.json"

    @property
    def junit(self) -> Path:
        return self.path / "junit.xml"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def nodes(self) -> Path:
        return self.path / "nodes"

    @property
    def traceback(self) -> Path:
        return self.path / "internal-error.txt"

    def forget_nodes(self) -> None:
        """Remove the evidence of the nodes; what cannot be removed stays."""
        shutil.rmtree(self.nodes, ignore_errors=True)


def make_run_folder(output: Path, name_of: Callable[[], str]) -> RunFolder:
    """A new folder below ``output``; ``name_of`` gives another name each time. Raises ``RunFolderUnusable``."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        for _ in range(100):
            with suppress(FileExistsError):
                path = output.absolute() / name_of()
                path.mkdir()
                return RunFolder(path)
    except OSError as error:
        raise RunFolderUnusable(
            f"no run folder can be made in {output}: {error.strerror or error}",
            operation="start",
            hint="free some space, or choose another folder with --output",
        ) from error
    raise RunFolderUnusable(f"every run folder in {output} exists already", hint="choose another folder with --output")


def runs_in(output: Path) -> tuple[RunFolder, ...]:
    """Every run folder of an output folder, oldest first."""
    try:
        found = [path for path in output.iterdir() if (path / "journal.jsonl").is_file()]
    except OSError:
        return ()
    return tuple(RunFolder(path.absolute()) for path in sorted(found, key=_began))


def _began(path: Path) -> tuple[float, str]:
    try:
        return (path / "scenario.yaml").stat().st_mtime, path.name
    except OSError:
        return 0.0, path.name


def find_run(output: Path, run: str) -> RunFolder:
    """A run by its id, a unique beginning of it, its folder's path, or ``latest``. Raises ``UsageError``."""
    as_path = Path(run)
    if (as_path / "journal.jsonl").is_file():
        return RunFolder(as_path.absolute())
    known = runs_in(output)
    if run == LATEST and known:
        return known[-1]
    exact = [folder for folder in known if folder.run == run]
    close = exact or [folder for folder in known if folder.run.startswith(run)]
    if len(close) == 1:
        return close[0]
    some = [folder.run for folder in (close or known)[-10:]]
    fact = f"'{run}' is the beginning of several runs" if close else f"there is no run '{run}' in {output}"
    raise UsageError(fact, evidence=some, hint="'nodeyard ps --all' lists the runs")
