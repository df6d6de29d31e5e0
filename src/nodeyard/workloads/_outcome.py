"""What the end of a call says of the operation: it happened, it did not, or nobody knows. Pure."""

from __future__ import annotations

from nodeyard.domain.history import Outcome
from nodeyard.errors import provider as errors
from nodeyard.errors.base import NodeyardError

LONGEST = 200


def outcome_of(error: BaseException) -> Outcome | None:
    """What an error leaves of its operation; ``None`` for one that is not about a node: it ends the workload.

    ``info`` wherever the node may have acted: it did not answer in time, it broke off, or what it answered was
    nonsense. ``fail`` where nothing was sent, or where it said no.
    """
    if isinstance(error, errors.NodeTimeout | errors.NodeAnswerInvalid | TimeoutError):
        return Outcome.INFO
    if isinstance(error, errors.NodeUnreachable | errors.NodeRefused | ConnectionRefusedError):
        return Outcome.FAIL
    return Outcome.INFO if isinstance(error, errors.ProviderError | OSError) else None


def said(error: BaseException) -> str:
    """An error as the result of its operation."""
    text = error.message if isinstance(error, NodeyardError) else f"{type(error).__name__}: {error}"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
