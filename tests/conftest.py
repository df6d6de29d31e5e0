"""What all tests share: settings of their own, and a look for what they left behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from nodeyard.domain.run_identity import MARK_VARIABLE

SETTINGS = ("NODEYARD_OUTPUT", "NODEYARD_KEEP", "NODEYARD_STATE_DIR", "NODEYARD_CACHE_DIR", MARK_VARIABLE)


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell without job control starts what runs in the background so, and runners of tests would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def own_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test sees the runs, caches and settings of whoever runs the tests.

    The cache is one for all workers of a session, because the locks of ports are in it.
    """
    base = Path(os.environ.get("PYTEST_XDIST_TESTRUNUID", "") or str(os.getpid())).name
    root = tmp_path_factory.getbasetemp()
    shared = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / f"nodeyard-{base}"
    with pytest.MonkeyPatch.context() as patch:
        for name in SETTINGS:
            patch.delenv(name, raising=False)
        patch.setenv("NODEYARD_STATE_DIR", str(root / "state"))
        patch.setenv("NODEYARD_CACHE_DIR", str(shared / "cache"))
        yield


@pytest.fixture(scope="session", autouse=True)
def nothing_left() -> Iterator[None]:
    """No child of this worker outlives its tests."""
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    yield
    left = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
    alive = [child for child in left if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert not alive, f"tests left processes behind: {[child.cmdline() for child in alive]}"
