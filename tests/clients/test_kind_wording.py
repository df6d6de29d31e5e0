"""How kinds quote what a node said, and how long it was given."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeyard.domain.launch_plan import Endpoint
from nodeyard.kinds._http_errors import Attempt, translate
from nodeyard.kinds._wording import excerpt, seconds
from nodeyard.kinds.declarative.picking import Answer


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.999978, "1 s"),
        (1, "1 s"),
        (0.25, "0.25 s"),
        (12.3456, "12.346 s"),
        (1200, "1200 s"),
        (1e-5, "less than 1 ms"),
    ],
)
def test_a_limit_is_told_to_the_millisecond(value: float, said: str) -> None:
    assert seconds(value) == said


@given(st.text(), st.integers(2, 40))
def test_an_excerpt_shows_that_it_was_cut(text: str, most: int) -> None:
    line, shown = " ".join(text.split()), excerpt(text, most)
    assert len(shown) <= most
    assert shown == line or (shown.endswith("…") and line.startswith(shown[:-1]))


def test_a_limit_that_passed_and_a_long_answer_are_told_so() -> None:
    attempt = Attempt(Endpoint(url="http://127.0.0.1:1"), "http://127.0.0.1:1/x", 0.999978, sent=True)
    assert Answer("x" * 200, "get /x", 200).quoted.endswith("x…")
    assert "gave no answer within 1 s" in translate(TimeoutError(), attempt).message
