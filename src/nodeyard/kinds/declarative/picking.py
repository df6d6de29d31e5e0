"""What an answer says: values out of JSON by JMESPath and out of text by regular expressions. Pure.

Every wrong answer becomes a ``NodeAnswerInvalid`` that quotes its start. Must not live here: asking (``asking``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import isfinite
from typing import Any

import jmespath
from jmespath import exceptions, functions

from nodeyard.errors import provider as errors
from nodeyard.kinds._wording import excerpt
from nodeyard.kinds.declarative.model import Pick, When

NUMBER = re.compile(r"[+-]?[0-9]{1,100}|0x[0-9a-fA-F]{1,100}")


@dataclass(frozen=True)
class Answer:
    """What came back: text, where from, and the status where it came by HTTP. ``json`` reads it."""

    text: str
    where: str
    status: int | None = None

    @cached_property
    def json(self) -> Any:
        """Raises ``NodeAnswerInvalid`` for a text that is no JSON."""
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            raise self.invalid("answered something that is not JSON") from None

    def invalid(
        self, why: str, *, hint: str = "is this the right port, and is the kind right?"
    ) -> errors.ProviderError:
        return errors.NodeAnswerInvalid(f"{self.where} {why}", evidence=[self.quoted], hint=hint)

    @property
    def quoted(self) -> str:
        """Its start on one line."""
        start = excerpt(self.text) or "(an empty answer)"
        return f"HTTP {self.status}: {start}" if self.status is not None else f"it said: {start}"


class _Functions(functions.Functions):
    """JMESPath's own functions, and ``number``."""

    @functions.signature({"types": []})
    def _func_number(self, value: Any) -> int | float | None:
        """A number from a number, or from a text with decimal or ``0x`` hexadecimal digits; else null."""
        return number_of(value)


OPTIONS = jmespath.Options(custom_functions=_Functions())


def number_of(value: Any) -> int | float | None:
    if isinstance(value, str) and NUMBER.fullmatch(value.strip()):
        return int(value, 16) if "x" in value.lower() else int(value)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def expression_problem(text: str) -> str:
    """What is wrong with a JMESPath expression, or an empty text."""
    try:
        jmespath.compile(text)
    except exceptions.IncompleteExpressionError:
        return "not a valid JMESPath expression: it ends too early"
    except exceptions.ParseError as error:
        return f"not a valid JMESPath expression: '{error.token_value}' at column {error.lex_position + 1} does not fit"
    except exceptions.JMESPathError as error:
        return f"not a valid JMESPath expression: {str(error).splitlines()[0]}"
    names = re.findall(r"\b([a-z_]+)\s*\(", re.sub(r"'[^']*'|\"[^\"]*\"|`[^`]*`", "", text))
    unknown = [name for name in names if name not in _Functions.FUNCTION_TABLE]
    return f"JMESPath has no function '{unknown[0]}'" if unknown else ""


def pattern_problem(text: str) -> str:
    """What is wrong with a regular expression, or an empty text."""
    try:
        re.compile(text)
    except re.error as error:
        return f"not a valid regular expression: {error}"
    return ""


@lru_cache(maxsize=512)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.MULTILINE)


def matches(pattern: str, text: str) -> re.Match[str] | None:
    return _pattern(pattern).search(text)


def found_in(expression: str, answer: Answer) -> Any:
    """What a JMESPath expression finds. Raises ``NodeAnswerInvalid`` also for an answer of another shape."""
    document = answer.json
    try:
        return jmespath.search(expression, document, OPTIONS)
    except (exceptions.JMESPathError, ArithmeticError, ValueError, TypeError) as error:
        said = str(error).splitlines()[0]
        raise answer.invalid(f"answered something that '{expression}' does not fit: {said}") from None


def picked(pick: Pick, answer: Answer) -> Any:
    """The value that is meant, ``None`` where the answer has none."""
    if pick.find is not None:
        value = found_in(pick.find, answer)
    elif pick.match is not None or pick.log is not None:
        hit = matches(pick.match or pick.log or "", answer.text)
        value = None if hit is None else hit[1] if hit.re.groups else hit[0]
    elif pick.rpc is not None:
        value = answer.json
    else:
        value = answer.text.strip() or None
    return pick.map.get(value, value) if isinstance(value, str) else value


def text_of(value: Any, what: str, answer: Answer) -> str | None:
    """A value as text; numbers as digits. Raises ``NodeAnswerInvalid`` for a list or mapping."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise answer.invalid(f"gives {_named(value)} as {what}, where a text is wanted", hint="look at its 'find'")


def whole_number_of(value: Any, what: str, answer: Answer) -> int:
    """Raises ``NodeAnswerInvalid`` for anything that is no whole number."""
    number = number_of(value)
    if number is None or not isfinite(number) or number != int(number):
        shown = "nothing" if value is None else f"'{str(value)[:40]}'" if isinstance(value, str) else _named(value)
        raise answer.invalid(f"gives {shown} as {what}, where a whole number is wanted", hint="look at its 'find'")
    return int(number)


def texts_of(value: Any, what: str, answer: Answer) -> tuple[str, ...]:
    """A list of texts. Raises ``NodeAnswerInvalid`` for anything else, null included: that is not said, not none."""
    if not isinstance(value, list) or not all(isinstance(item, str | int) for item in value):
        named = "nothing" if value is None else _named(value)
        named += " of other things" if isinstance(value, list) else ""
        raise answer.invalid(f"gives {named} as {what}, where a list of texts is wanted", hint="look at its 'find'")
    return tuple(sorted(str(item) for item in value))


def holds(when: When | None, answer: Answer) -> bool:
    """Whether an answer is as it is described; nothing described is not met."""
    if when is None or (when.status is not None and when.status != answer.status):
        return False
    if when.match is not None and matches(when.match, answer.text) is None:
        return False
    if when.find is None:
        return True
    try:
        return is_true(found_in(when.find, answer))
    except errors.NodeAnswerInvalid:
        return False


def is_true(value: Any) -> bool:
    """JMESPath's own notion: not null, false, or empty. A zero is true."""
    return value is not None and value is not False and value not in ("", [], {})


def _named(value: Any) -> str:
    if isinstance(value, list):
        return "a list"
    if isinstance(value, Mapping):
        return "a mapping"
    return "true or false" if isinstance(value, bool) else "a text" if isinstance(value, str) else "a broken number"


def group_count(pattern: str) -> int:
    """How many groups a valid pattern has."""
    return _pattern(pattern).groups
