"""The right word for a wrong one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches


def nearest(word: str, known: Sequence[str]) -> str | None:
    """A hint that names the known word nearest to ``word``, or ``None`` where none is near."""
    close = get_close_matches(word, known, n=1)
    return f"did you mean '{close[0]}'?" if close else None
