"""Secrets as references. The value of a secret is never inside a spec, a handle or an error. Pure."""

from __future__ import annotations

from typing import Any, Protocol

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema


class Secret:
    """``env:NAME``, ``file:PATH``, or a text that stands in the file itself; prints as its reference or as ``***``."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    @property
    def is_reference(self) -> bool:
        return self._text.startswith(("env:", "file:"))

    @property
    def reference(self) -> str:
        """What may be shown and written: the reference, or ``***`` for a literal."""
        return self._text if self.is_reference else "***"

    def expose_literal(self) -> str:
        """The text of a literal; only whoever resolves secrets calls this."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({self.reference!r})"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls,
            core_schema.str_schema(min_length=1),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda s: s.reference),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "minLength": 1, "description": "env:NAME, file:PATH, or a literal (never printed)"}


class SecretSource(Protocol):
    """Whoever knows the values of secrets; handed to the adapters that send them."""

    def reveal(self, secret: Secret) -> str:
        """The value. Raises ``SpecInvalid`` when the variable or file is missing."""
