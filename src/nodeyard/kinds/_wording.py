"""How messages of kinds quote what a node said, and how long it was given. Pure; no advice lives here."""

from __future__ import annotations

SHOWN = 120


def excerpt(text: str, most: int = SHOWN) -> str:
    """Its start on one line, at most ``most`` characters; what was cut ends with an ellipsis."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def seconds(value: float) -> str:
    """A limit to the millisecond, as people gave it: what is left of a budget is ``1 s``, not ``0.999978 s``."""
    return f"{value:.3f}".rstrip("0").rstrip(".") + " s" if value >= 0.0005 else "less than 1 ms"
