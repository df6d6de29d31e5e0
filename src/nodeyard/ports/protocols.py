"""Whether something has the methods of a protocol, as ``isinstance`` says it, but remembered by class.

``isinstance`` with a protocol looks at each of its members again every time, which for a thousand nodes takes longer
than all else that is done with them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeGuard, TypeVar

P = TypeVar("P")


@cache
def class_implements(kind: type[Any], protocol: type[Any]) -> bool:
    """Whether instances of a class have every method of a protocol that is ``runtime_checkable``."""
    return issubclass(kind, protocol)


def implements(thing: object, protocol: Callable[..., P]) -> TypeGuard[P]:
    """Whether this object has every method of a protocol."""
    return class_implements(type(thing), protocol)  # type: ignore[arg-type]  # a protocol, given as what mypy takes
