"""The line that says why a program ended stands before its last lines."""

from __future__ import annotations

import pytest

from nodeyard.bootstrap.last_words import FREE_SPACE, SEE_LINES, SILENT, last_words

STACK = [f"    at frame {i}" for i in range(30)]


@pytest.mark.parametrize(
    ("lines", "shown", "hint"),
    [
        ([], (), SILENT),
        (["a", "b", "c"], ("b", "c"), SEE_LINES),
        (["ok", "panic: no such bucket", *STACK], ("panic: no such bucket", "...", *STACK[-2:]), SEE_LINES),
        (["panic: old", "panic: new", *STACK], ("panic: new", "...", *STACK[-2:]), SEE_LINES),
        ([*STACK, "panic: at the end"], (STACK[-1], "panic: at the end"), SEE_LINES),
        (
            ["write /d: no space left on device", "panic: cannot go on", *STACK],
            ("write /d: no space left on device", "...", *STACK[-2:]),
            FREE_SPACE,
        ),
        (["a", "OSError: No space left on device"], ("a", "OSError: No space left on device"), FREE_SPACE),
        (["do not panic: it is fine", *STACK], tuple(STACK[-2:]), SEE_LINES),
    ],
)
def test_the_reason_is_kept(lines: list[str], shown: tuple[str, ...], hint: str) -> None:
    assert last_words(lines, 2) == (shown, hint)
