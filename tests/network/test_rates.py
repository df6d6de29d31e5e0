"""Rates are written as they are read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nodeyard.faults.impairing import format_rate, parse_rate


@given(st.floats(0.001, 1e12, allow_nan=False))
def test_a_rate_that_was_written_is_read_as_it_was(rate: float) -> None:
    assert parse_rate(format_rate(rate)) == rate


def test_a_rate_is_written_in_a_unit_that_fits() -> None:
    assert [format_rate(rate) for rate in (2e6, 1.5e6, 1e9, 512.0)] == ["2mbit", "1500kbit", "1gbit", "512bit"]
