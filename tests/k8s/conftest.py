"""One namespace per module for tests that need any: one of a test's own would take seconds each to go away."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .clusters import a_namespace, kubeconfig


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    kubeconfig()
    with a_namespace() as name:
        yield name
