"""A chain of our own as containers."""

from __future__ import annotations

import pytest

from cometbft.chain_processes import binary
from e2e.support import REPOSITORY

from .command import Yard

pytestmark = pytest.mark.real


def test_the_example_runs_as_containers(engine: None, yard: Yard) -> None:
    yard.home.extra = {**yard.home.extra, "NODEYARD_COMETBFT": binary()}
    done = yard.home("run", REPOSITORY / "examples" / "cometbft.yaml", "--deployer", "compose", patience=240)
    assert done.status == 0, done.out + done.err
    assert yard.left() == []
