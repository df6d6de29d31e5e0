"""Settings of one process: command line over environment over project file over default. The only reader of both.

Everything below gets explicit values from here. Must stay cheap to import: ``--help`` passes through it.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from nodeyard.errors.validation import Problem, SpecInvalid

if TYPE_CHECKING:
    from nodeyard.domain.secrets import Secret

PROJECT_FILE = "nodeyard.toml"
PREFIX = "NODEYARD_"
KEYS = ("output", "state-dir", "cache-dir", "keep")
"""Keys of the project file; the environment has each as ``NODEYARD_OUTPUT`` and so on."""
LARGEST_SECRET = 1024 * 1024


class Keep(StrEnum):
    """Which runs keep the evidence of their nodes (``nodes/`` in the run's folder)."""

    NEVER = "never"
    ON_FAILURE = "on-failure"
    ALWAYS = "always"


@dataclass(frozen=True)
class Settings:
    """Explicit settings. ``environment`` is handed to adapters, which look for DOCKER_HOST, KUBECONFIG and so on.

    ``step_summary`` is the file in which GitHub Actions wants a summary of a job, where there is one.
    """

    output: Path
    state: Path
    cache: Path
    keep: Keep
    cwd: Path
    environment: Mapping[str, str] = field(repr=False)
    step_summary: Path | None = None

    @staticmethod
    def load(options: Mapping[str, str | None] | None = None) -> Settings:
        """The settings of this process; ``options`` are what the command line said, by the names in ``KEYS``.

        Raises ``SpecInvalid`` with everything that is wrong with the project file or a value.
        """
        return resolve(dict(os.environ), Path.cwd(), options or {})

    @property
    def default_output(self) -> bool:
        return self.output == self.cwd / "nodeyard-runs"


def resolve(environment: Mapping[str, str], cwd: Path, options: Mapping[str, str | None]) -> Settings:
    """Merge the four sources of settings. Reads the project file and nothing else."""
    project_file = _find_project_file(cwd)
    project = _read_project(project_file) if project_file is not None else {}
    problems: list[Problem] = []

    def choose(key: str) -> tuple[str | None, Path]:
        """The value of a key, and the folder that a relative path in it starts from."""
        variable = PREFIX + key.upper().replace("-", "_")
        if options.get(key):
            return options[key], cwd
        if environment.get(variable):
            return environment[variable], cwd
        return project.get(key), (project_file.parent if project_file is not None else cwd)

    def folder(key: str, default: Path) -> Path:
        value, base = choose(key)
        return (base / Path(value).expanduser()) if value else default

    home = Path(environment.get("HOME") or Path.home())
    state_home = Path(environment.get("XDG_STATE_HOME") or home / ".local" / "state")
    cache_home = Path(environment.get("XDG_CACHE_HOME") or home / ".cache")
    keep, _ = choose("keep")
    if keep is not None and keep not in list(Keep):
        problems.append(Problem(path="keep", message=f"'{keep}' is not one of {', '.join(Keep)}"))
    if problems:
        raise SpecInvalid(problems, hint=f"it comes from an option, NODEYARD_KEEP or {PROJECT_FILE}")
    return Settings(
        output=folder("output", cwd / "nodeyard-runs"),
        state=folder("state-dir", state_home / "nodeyard"),
        cache=folder("cache-dir", cache_home / "nodeyard"),
        keep=Keep(keep) if keep is not None else Keep.ON_FAILURE,
        cwd=cwd,
        environment=dict(environment),
        step_summary=Path(environment["GITHUB_STEP_SUMMARY"]) if environment.get("GITHUB_STEP_SUMMARY") else None,
    )


def _find_project_file(cwd: Path) -> Path | None:
    """The project file of this folder or of the nearest one above it."""
    for folder in (cwd, *cwd.parents):
        if (folder / PROJECT_FILE).is_file():
            return folder / PROJECT_FILE
    return None


def _read_project(path: Path) -> dict[str, str]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SpecInvalid([Problem(str(path), message=f"cannot be read: {error}")]) from error
    except tomllib.TOMLDecodeError as error:
        raise SpecInvalid([Problem(str(path), message=f"not valid TOML: {error}")]) from error
    problems = [
        Problem(str(path), path=key, message=f"unknown key '{key}'", hint=f"the keys are {', '.join(KEYS)}")
        for key in content
        if key not in KEYS
    ]
    problems += [
        Problem(str(path), path=key, message="Input should be a text")
        for key, value in content.items()
        if key in KEYS and not isinstance(value, str)
    ]
    if problems:
        raise SpecInvalid(problems)
    return content


class Secrets:
    """Resolves references; implements ``domain.secrets.SecretSource``. ``base``: the folder that ``file:`` starts from.

    Every value that was revealed is handed to ``learned`` first, so that a redactor knows it before anybody can say it.
    """

    def __init__(self, environment: Mapping[str, str], base: Path) -> None:
        self._environment = environment
        self._base = base
        self.learned: Callable[[str], None] = _nobody

    def reveal(self, secret: Secret) -> str:
        """The value. Raises ``SpecInvalid`` when the variable or file is missing."""
        value, problem = self._look_up(secret)
        if problem:
            raise SpecInvalid([Problem(message=problem)], hint="set it where nodeyard runs")
        self.learned(value)
        return value

    def problem(self, secret: Secret) -> str:
        """What is wrong with a reference, or an empty text."""
        return self._look_up(secret)[1]

    def _look_up(self, secret: Secret) -> tuple[str, str]:
        if not secret.is_reference:
            return secret.expose_literal(), ""
        scheme, _, name = secret.reference.partition(":")
        if not name:
            return "", f"'{scheme}:' refers to nothing; write {scheme}:{'NAME' if scheme == 'env' else 'PATH'}"
        if scheme == "env":
            value = self._environment.get(name, "")
            return value, "" if value else f"the environment variable {name} is not set, or is empty"
        path = self._base / name
        try:
            with path.open(encoding="utf-8") as file:
                value = file.read(LARGEST_SECRET).removesuffix("\n").removesuffix("\r")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            return "", f"the secret file {name} cannot be read: {reason}"
        return value, "" if value else f"the secret file {name} is empty"


def _nobody(_: str) -> None:
    """Until a redactor listens."""
