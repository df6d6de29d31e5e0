"""The examples of kinds that a file describes, on the real software."""

from __future__ import annotations

import os
import shutil

import pytest

from .support import REPOSITORY, Nodeyard

pytestmark = pytest.mark.real
EXAMPLES = REPOSITORY / "examples"


def needs(program: str, package: str) -> None:
    """Skip, loudly and never in CI, where a program of the distribution is missing."""
    if shutil.which(program) is None and not os.environ.get("CI"):
        pytest.skip(f"{program} is not installed: apt-get install {package}")


def test_redis_passes_and_leaves_only_its_folder(nodeyard: Nodeyard) -> None:
    needs("redis-server", "redis-server")
    done = nodeyard("run", EXAMPLES / "redis.yaml")
    assert done.status == 0, done.err
    assert done.out.startswith("PASS  redis: 7 of 7 checks passed")
    assert nodeyard.leftovers() == []
