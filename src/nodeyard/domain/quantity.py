"""Durations and names as they are written in a scenario. Pure."""

from __future__ import annotations

import re
from decimal import Decimal
from math import inf, isfinite
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, StringConstraints, WithJsonSchema

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
DURATION_PATTERN = r"^\d+(\.\d+)?(ms|s|m|h)$"


def parse_duration(value: Any) -> float:
    """Seconds from ``250ms``, ``20s``, ``5m`` or ``1h``. Raises ``ValueError`` with the right spelling."""
    if isinstance(value, float) and isfinite(value) and value >= 0:
        return value  # a value that was parsed before
    match = DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    seconds = float(match[1]) * UNITS[match[2]] if match is not None else inf
    if not isfinite(seconds):
        raise ValueError("a duration is a number with a unit, as in 250ms, 20s or 5m")
    return seconds


def format_duration(seconds: float) -> str:
    """A spelling that ``parse_duration`` reads back exactly; in milliseconds or minutes where that is short."""
    if seconds and seconds < 1:
        short = f"{seconds * 1000:g}ms"
    elif seconds and seconds % 60 == 0:
        short = f"{seconds / 60:g}m"
    else:
        short = f"{seconds:g}s"
    if DURATION.fullmatch(short) and parse_duration(short) == seconds:
        return short
    return f"{Decimal(repr(seconds).removesuffix('.0')):f}s"


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "examples": ["250ms", "20s", "5m"]}),
]
"""Seconds, written as ``250ms``, ``20s``, ``5m``; serialised the same way."""

PositiveDuration = Annotated[Duration, Field(gt=0)]

NAME_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
NodeName = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
"""A DNS label, because the same name becomes a host name, a container name and a pod name."""
