"""What marks a resource as belonging to one run. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

RUN_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
MARK_VARIABLE = "NODEYARD_RUN"
"""The environment variable that carries the mark in every process of a run."""


@dataclass(frozen=True)
class RunMark:
    """Run id, host id and boot id: a resource is ours only if its own mark says so, never by its name alone."""

    run: str
    host: str
    boot: str

    @property
    def text(self) -> str:
        return f"{self.run}@{self.host}@{self.boot}"

    @staticmethod
    def parse(text: str) -> RunMark | None:
        """The mark in ``text``, or ``None`` where it is none."""
        parts = text.split("@")
        if len(parts) != 3 or not RUN_ID.fullmatch(parts[0]) or not all(parts):
            return None
        return RunMark(*parts)
