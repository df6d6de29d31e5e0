"""Runners of a test, ended with everything that came of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .support import RunnerProcess


@pytest.fixture
def runner_of(tmp_path: Path) -> Iterator[Callable[[str], RunnerProcess]]:
    """Starts a runner of the run with this name, its state in ``tmp_path``."""
    started: list[RunnerProcess] = []

    def start(run: str = "r1") -> RunnerProcess:
        started.append(RunnerProcess(tmp_path, run))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def runner(runner_of: Callable[[str], RunnerProcess]) -> RunnerProcess:
    """One runner."""
    return runner_of("r1")
