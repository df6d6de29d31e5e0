"""Runners of a test, ended with everything that came of them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .support import RunnerProcess


@pytest.fixture
def runner_of(tmp_path: Path) -> Iterator[Callable[[], RunnerProcess]]:
    """Starts runners with their state in ``tmp_path``; no two tests of this machine have a run of the same name."""
    started: list[RunnerProcess] = []

    def start() -> RunnerProcess:
        started.append(RunnerProcess(tmp_path, f"r-{uuid.uuid4().hex[:12]}"))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def runner(runner_of: Callable[[], RunnerProcess]) -> RunnerProcess:
    """One runner."""
    return runner_of()
