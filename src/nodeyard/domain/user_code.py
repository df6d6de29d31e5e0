"""A function that somebody wrote for a scenario, as the scenario names it. Pure; nothing is imported here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

PATTERN = re.compile(r"(?P<where>[^:]+):(?P<function>[^\W\d]\w*)")
FUNCTION_PATTERN = r"^[^:]+:[^\W\d]\w*$"


@dataclass(frozen=True)
class FunctionRef:
    """``where`` is a file, relative to the scenario's folder, or the name of a module."""

    where: str
    function: str

    @property
    def is_file(self) -> bool:
        return self.where.endswith(".py") or "/" in self.where

    def __str__(self) -> str:
        return f"{self.where}:{self.function}"


def parse_function(value: Any) -> FunctionRef:
    """From ``file.py:function`` or ``package.module:function``. Raises ``ValueError`` with the right spelling."""
    if isinstance(value, FunctionRef):
        return value
    match = PATTERN.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("a function is written as file.py:function or package.module:function")
    return FunctionRef(match["where"].strip(), match["function"])


FunctionField = Annotated[
    FunctionRef,
    BeforeValidator(parse_function),
    PlainSerializer(str, return_type=str, when_used="always"),
    WithJsonSchema({"type": "string", "pattern": FUNCTION_PATTERN, "examples": ["traffic.py:transfer"]}),
]
"""A function inside a spec. Whether it is there is checked with the scenario, by reading and not by importing."""
