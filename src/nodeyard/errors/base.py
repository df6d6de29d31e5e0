"""The root of every error that Nodeyard raises on purpose.

Lives here: the common shape (layer, code, node, operation, evidence, hint) and the exit statuses.
Must not live here: errors of one layer, and anything that formats for a terminal.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import ClassVar


class ExitStatus(IntEnum):
    """What a process of Nodeyard ends with."""

    PASS = 0
    FAIL = 1
    INTERRUPTED = 2
    INTERNAL = 3
    USAGE = 4
    VACUOUS = 5
    UNKNOWN = 6
    INFRASTRUCTURE = 7


WORST_FIRST: tuple[ExitStatus, ...] = (
    ExitStatus.INTERNAL,
    ExitStatus.INTERRUPTED,
    ExitStatus.USAGE,
    ExitStatus.INFRASTRUCTURE,
    ExitStatus.FAIL,
    ExitStatus.UNKNOWN,
    ExitStatus.VACUOUS,
    ExitStatus.PASS,
)


def worst_exit(statuses: Sequence[ExitStatus]) -> ExitStatus:
    """The status of several runs: the one that comes first in ``WORST_FIRST``; no run at all is vacuous."""
    return min(statuses, key=WORST_FIRST.index) if statuses else ExitStatus.VACUOUS


class NodeyardError(Exception):
    """An error with a fact, its evidence and what to do about it.

    ``message`` states the fact in one sentence. ``evidence`` are lines seen on the way (log lines, answers).
    ``hint`` is one action that a newcomer can take; ``remedy`` a text that does it when it is applied, or empty.
    ``layer`` and ``code`` are stable and machine-readable.
    """

    layer: ClassVar[str] = "internal"
    code: ClassVar[str] = "error"
    exit_status: ClassVar[ExitStatus] = ExitStatus.INTERNAL
    remedy: str = ""

    def __init__(
        self,
        message: str,
        *,
        node: str | None = None,
        operation: str | None = None,
        evidence: Sequence[str] = (),
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.node = node
        self.operation = operation
        self.evidence = tuple(evidence)
        self.hint = hint

    def __str__(self) -> str:
        where = f"{self.node}: " if self.node else ""
        lines = [f"{where}{self.message}"]
        lines += [f"  | {line}" for line in self.evidence]
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


class Interrupted(NodeyardError):
    """A person or a signal asked the run to end."""

    layer = "run"
    code = "interrupted"
    exit_status = ExitStatus.INTERRUPTED


class InternalError(NodeyardError):
    """A defect of Nodeyard itself; its traceback is written into the run's folder, not to the terminal."""

    code = "internal"
