"""A transport whose answers are scripted per method and URL."""

from __future__ import annotations

import asyncio
import json as json_text
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nodeyard.domain.launch_plan import Endpoint
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import AuthenticationFailed, NodeTimeout, NodeUnreachable
from nodeyard.ports.transport import Reply


@dataclass(frozen=True)
class Sent:
    """One request that was made."""

    method: str
    url: str
    json: Any = None
    text: str | None = None


@dataclass(frozen=True)
class _Answer:
    status: int
    text: str
    delay: float
    error: NodeyardError | None
    headers: Mapping[str, str] = field(default_factory=dict)


class FakeTransport:
    """Implements ``Transport``. Replies of one URL come in the order of ``reply``; the last one stays.

    A URL without a reply is unreachable, like a 401 or 403 is an authentication failure and a delay beyond the timeout
    a ``NodeTimeout``. ``requests`` lists what was sent.
    """

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], list[_Answer]] = {}
        self._open: set[str] = set()
        self._said: dict[tuple[str, bytes], bytes] = {}
        self.requests: list[Sent] = []

    def reply(
        self,
        method: str,
        url: str,
        *,
        json: Any = None,
        text: str | None = None,
        status: int = 200,
        delay: float = 0.0,
        error: NodeyardError | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> FakeTransport:
        """Script the next answer of a URL: JSON, or a text as it stands, or an error to raise; after ``delay`` s."""
        body = text if text is not None else json_text.dumps(json)
        answer = _Answer(status, body, delay, error, headers or {})
        self._answers.setdefault((method, url), []).append(answer)
        self._open.add(_base(url))
        return self

    def opens(self, url: str) -> FakeTransport:
        """A port that accepts connections, whatever it answers."""
        self._open.add(_base(url))
        return self

    async def request(
        self, endpoint: Endpoint, method: str, path: str, *, json: Any = None, text: str | None = None, timeout: float
    ) -> Reply:
        url = endpoint.url.rstrip("/") + path
        self.requests.append(Sent(method, url, json, text))
        answers = self._answers.get((method, url))
        if not answers:
            await asyncio.sleep(0)
            raise NodeUnreachable(f"{url}: no answer is scripted for {method}", operation=method)
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        await asyncio.sleep(min(answer.delay, timeout))
        if answer.delay > timeout:
            raise NodeTimeout(f"{url} gave no answer within {timeout:g} s", operation=method)
        if answer.error is not None:
            raise answer.error
        if answer.status in (401, 403):
            raise AuthenticationFailed(f"{url} refused our credentials (HTTP {answer.status})", operation=method)
        return Reply(answer.status, answer.text, url, answer.headers)

    def says(self, url: str, sent: str, answer: str) -> FakeTransport:
        """Script what a TCP port answers to a text; a port without answers is unreachable."""
        self._said[_base(url), sent.encode()] = answer.encode()
        return self.opens(url)

    async def exchange(
        self, endpoint: Endpoint, sent: bytes, *, complete: Callable[[bytes], bool], timeout: float
    ) -> bytes:
        base = _base(endpoint.url)
        self.requests.append(Sent("TCP", base, text=sent.decode()))
        if base not in self._open:
            await asyncio.sleep(0)
            raise NodeUnreachable(f"{base}: no answer is scripted", operation="TCP")
        answer = self._said.get((base, sent))
        if answer is None:
            await asyncio.sleep(timeout)
            raise NodeTimeout(f"{base} gave no answer within {timeout:g} s", operation="TCP")
        await asyncio.sleep(0)
        return answer

    async def port_open(self, endpoint: Endpoint, *, timeout: float) -> bool:
        await asyncio.sleep(0)
        return _base(endpoint.url) in self._open


def _base(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.split('/', 1)[0]}"


__all__ = ["FakeTransport", "Sent"]
