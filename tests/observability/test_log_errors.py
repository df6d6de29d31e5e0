"""Which lines of a log tell of an error, and when they were written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from nodeyard.observability.log_errors import MOST, find

BEGAN = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "line",
    [
        '{"level":"error","ts":"2030-01-02T03:04:07.500Z","msg":"lost"}',
        '{"level":"fatal","ts":"2030-01-02T03:04:07.500Z","msg":"gone"}',
        "time=2030-01-02T03:04:07.500Z level=error msg=lost",
        "2030-01-02 03:04:07.500+00:00 ERROR lost",
        "2030-01-02T03:04:07,500Z [ERR] lost",
        "2030/01/02 03:04:07.500Z FATAL lost",
    ],
)
def test_an_error_is_found_at_the_time_that_it_states(line: str) -> None:
    found = find([line], began=BEGAN)
    assert found is not None
    assert found.at == (2.5,)
    assert found.lines == (line,)


def test_a_time_without_a_zone_is_local() -> None:
    local = (BEGAN + timedelta(seconds=3)).astimezone().strftime("%Y-%m-%d|%H:%M:%S.000")
    found = find([f"E[{local}] consensus failure"], began=BEGAN)
    assert found is not None
    assert found.at == (3.0,)


@pytest.mark.parametrize(
    "line",
    [
        '{"level":"info","ts":"2030-01-02T03:04:07Z","msg":"no error here"}',
        "2030-01-02T03:04:07Z INFO error-free since /var/ERROR.log",
        "I[2030-01-02|03:04:07.000] Ensure peers  numOutPeers=3",
        "everything is fine",
        "",
    ],
)
def test_other_lines_are_not(line: str) -> None:
    assert find([line], began=BEGAN) is None


def test_a_panic_has_the_time_of_the_line_before_it() -> None:
    found = find(['{"level":"info","ts":"2030-01-02T03:04:09Z"}', "panic: runtime error"], began=BEGAN)
    assert found is not None
    assert found.at == (4.0,)


def test_what_was_written_before_the_run_is_left_out() -> None:
    assert find(["2030-01-02T03:04:01Z ERROR of yesterday"], began=BEGAN) is None


def test_many_are_counted() -> None:
    found = find(["2030-01-02T03:04:09Z ERROR again"] * (MOST + 7), began=BEGAN)
    assert found is not None
    assert (len(found.lines), found.left_out) == (MOST, 7)
