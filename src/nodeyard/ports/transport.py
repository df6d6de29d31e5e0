"""How kinds talk to nodes: requests over the run's one HTTP session, and plain exchanges over TCP."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from nodeyard.domain.launch_plan import Endpoint
from nodeyard.errors import provider as errors


@dataclass(frozen=True)
class Reply:
    """A complete HTTP answer. ``url`` names who gave it, without credentials."""

    status: int
    text: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        """The body as JSON. Raises ``NodeAnswerInvalid`` that quotes the start of what came instead."""
        try:
            return json.loads(self.text)
        except ValueError:
            start = " ".join(self.text.split())[:120]
            raise errors.NodeAnswerInvalid(
                f"{self.url} answered something that is not JSON",
                evidence=[f"HTTP {self.status}: {start or '(an empty body)'}"],
                hint="is this the node's API port, and is the kind right?",
            ) from None


class Transport(Protocol):
    """HTTP to nodes, with the endpoint's own authentication and TLS."""

    async def request(
        self,
        endpoint: Endpoint,
        method: str,
        path: str,
        *,
        json: Any = None,
        text: str | None = None,
        timeout: float,
    ) -> Reply:
        """One request, one complete answer, whatever its status but 401 and 403. Its body is ``json``, or ``text`` as
        it stands, or nothing.

        Never retries. Raises ``NodeUnreachable`` (nothing was sent), ``NodeTimeout`` (it may have happened),
        ``TlsFailed``, ``AuthenticationFailed`` (401, 403).
        """

    async def exchange(
        self, endpoint: Endpoint, sent: bytes, *, complete: Callable[[bytes], bool], timeout: float
    ) -> bytes:
        """Connect, send, and read until the answer is ``complete`` or the other side closes; what was read.

        Never retries. Raises ``NodeUnreachable`` (nothing was sent), ``NodeTimeout`` (it may have happened; what came
        by then is the evidence), ``TlsFailed``, ``NodeAnswerInvalid`` for an endless answer.
        """

    async def port_open(self, endpoint: Endpoint, *, timeout: float) -> bool:
        """Whether something accepts a TCP connection there."""


@runtime_checkable
class CanPrepare(Protocol):
    """A transport that has something to load before its first request."""

    def prepare(self) -> None:
        """Load it now, before a time limit runs that is meant for nodes. Idempotent."""
