"""Durations and names as they are written in a scenario. Pure."""

from __future__ import annotations

import re
from decimal import Decimal
from math import inf, isfinite
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, StringConstraints, ValidationInfo, WithJsonSchema

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


WRITTEN = "written"
"""Validation context of what a person wrote: there a number without a unit is no duration."""


def _duration(value: Any, info: ValidationInfo) -> float:
    return parse_duration(str(value) if info.context == WRITTEN else value)


def parse_switch(value: Any) -> bool:
    """True or false, also as the texts ``true`` and ``false``, which a variable in quotes gives."""
    texts = {"true": True, "false": False}
    if isinstance(value, bool) or (isinstance(value, str) and value in texts):
        return texts[value] if isinstance(value, str) else value
    raise ValueError("Input should be true or false")


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
    BeforeValidator(_duration),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "examples": ["250ms", "20s", "5m"]}),
]
"""Seconds, written as ``250ms``, ``20s``, ``5m``; serialised the same way."""

RATE = re.compile(r"(\d+(?:\.\d+)?)/(s|m|h)")
RATE_PATTERN = r"^\d+(\.\d+)?/(s|m|h)$"


def parse_rate(value: Any) -> float:
    """Times per second from ``200/s``, ``30/m`` or ``1/h``. Raises ``ValueError`` with the right spelling."""
    if isinstance(value, float) and isfinite(value) and value > 0:
        return value  # a value that was parsed before
    match = RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    rate = float(match[1]) / UNITS[match[2]] if match is not None else 0.0
    if not isfinite(rate) or rate <= 0:
        raise ValueError("a rate is a number above 0 with a unit, as in 200/s or 30/m")
    return rate


def format_rate(rate: float) -> str:
    """A spelling that ``parse_rate`` reads back exactly."""
    for unit, seconds in UNITS.items():
        short = f"{rate * seconds:g}/{unit}"
        if RATE.fullmatch(short) and parse_rate(short) == rate:
            return short
    return f"{Decimal(repr(rate).removesuffix('.0')):f}/s"


def _rate(value: Any, info: ValidationInfo) -> float:
    return parse_rate(str(value) if info.context == WRITTEN else value)


Rate = Annotated[
    float,
    BeforeValidator(_rate),
    PlainSerializer(format_rate, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": RATE_PATTERN, "examples": ["200/s", "30/m"]}),
]
"""Times per second, written as ``200/s`` or ``30/m``; serialised the same way."""

PositiveDuration = Annotated[Duration, Field(gt=0)]

Switch = Annotated[bool, BeforeValidator(parse_switch), WithJsonSchema({"type": "boolean"})]
"""Not pydantic's own reading, for which ``yes`` and ``off`` are booleans: in YAML 1.2 they are texts."""

NAME_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
NodeName = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
"""A DNS label, because the same name becomes a host name, a container name and a pod name."""
