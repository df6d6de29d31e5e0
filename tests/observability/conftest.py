"""Fixtures of the tests of observability."""

from __future__ import annotations

import pytest

from .samples import HandClock


@pytest.fixture
def clock() -> HandClock:
    return HandClock()
