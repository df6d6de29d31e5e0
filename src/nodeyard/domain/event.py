"""The base of everything that a run tells. The events themselves are in ``events`` and ``bootstrap_events``."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any, ClassVar


@dataclass(frozen=True, kw_only=True)
class Event:
    """The base of all events. ``node`` is the id of the node that it is about, if it is about one."""

    node: str | None = None
    name: ClassVar[str] = "event"

    def __init_subclass__(cls) -> None:
        cls.name = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", cls.__name__).lower()

    def record(self) -> dict[str, Any]:
        """The event's own fields, as JSON values."""
        return {f.name: getattr(self, f.name) for f in fields(self)}
