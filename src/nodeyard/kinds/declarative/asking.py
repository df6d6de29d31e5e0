"""Asking a node: questions of a kind file, carried out over HTTP, TCP, a command or the log.

Must not live here: what an answer means (``picking``), and what a client makes of it (``client``).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nodeyard.domain.launch_plan import Endpoint
from nodeyard.errors import provider as errors
from nodeyard.kinds._wording import excerpt, seconds
from nodeyard.kinds.declarative import picking
from nodeyard.kinds.declarative.model import Ask, Call, Check, CompareAndSetCall, Get, KindFile, Pick
from nodeyard.kinds.declarative.picking import Answer
from nodeyard.kinds.declarative.templates import TemplateWrong, compiled, compiled_json, rendered_json
from nodeyard.kinds.declarative.variables import Endpoints
from nodeyard.ports.kind import Beside, EndpointOf
from nodeyard.ports.transport import Reply, Transport


class NotPermitted(errors.NodeRefused):
    """The question needs something beside the node that its source does not support or grant; it never will."""


LOG_LINES = 10_000
"""Of the log, how many lines are looked at: the last ones."""
GRANT = "add 'allow: [{}]' to its source if its owner agrees, or ask in another way"


@dataclass(frozen=True)
class Question:
    """An ``Ask`` with its templates compiled. ``parts`` are those by the names of its fields."""

    ask: Ask
    port: str
    parts: Mapping[str, Any]

    @property
    def patterns(self) -> tuple[str, ...]:
        """What ends an answer over TCP: any pattern that the file looks for in it."""
        ask = self.ask
        found = [ask.match] if isinstance(ask, Pick | Check) else []
        whens = [ask.refused] if isinstance(ask, Call) else []
        if isinstance(ask, Get):
            whens.append(ask.absent)
        if isinstance(ask, CompareAndSetCall):
            whens += [ask.written, ask.not_written]
        found += [when.match for when in whens if when is not None]
        return tuple(pattern for pattern in found if pattern is not None)

    @cached_property
    def key(self) -> str:
        """Equal for questions that get one answer: the same words, and over TCP also the same end."""
        words = self.ask.model_dump_json(include=set(Ask.model_fields))
        return f"{words} {self.patterns if self.ask.tcp is not None else ''}"

    @property
    def label(self) -> str:
        """The question as messages name it."""
        way = self.ask.way
        said = getattr(self.ask, way)
        text = " ".join(said) if isinstance(said, tuple) else str(said)
        return f"{way} {excerpt(text, 60)}"


FIELDS = ("get", "post", "put", "delete", "path", "tcp", "body")


def question(ask: Ask, file: KindFile) -> Question:
    """Raises ``TemplateWrong``; ``checks`` has looked at every template before."""
    parts: dict[str, Any] = {name: compiled(getattr(ask, name)) for name in FIELDS if getattr(ask, name) is not None}
    for name, value in (("json", ask.json_), ("params", ask.params)):
        if value is not None:
            parts[name] = compiled_json(value)
    if ask.command is not None:
        parts["command"] = [compiled(word) for word in ask.command]
    return Question(ask, ask.port or file.api, parts)


class Asker:
    """Asks one node. Endpoints are looked up at each question, because they may move."""

    def __init__(self, file: KindFile, endpoint: EndpointOf, transport: Transport, beside: Beside) -> None:
        self._endpoint, self._transport, self._beside = endpoint, transport, beside
        self._variables = {"endpoint": Endpoints(tuple(file.ports), endpoint)}

    async def ask(self, question: Question, *, timeout: float, **variables: Any) -> Answer:
        """One question, one answer, whatever its status. Raises a ``ProviderError``."""
        known = {**self._variables, **variables}
        try:
            parts = {name: rendered_json(part, known) for name, part in question.parts.items()}
        except TemplateWrong as error:
            raise errors.NodeAnswerInvalid(
                f"'{question.label}' cannot be asked: {error.flaw.message}", hint="correct its template"
            ) from error
        ask = question.ask
        if ask.command is not None:
            return await self._command(parts["command"], timeout)
        if ask.log is not None:
            return await self._log(ask.log, timeout)
        if ask.tcp is not None:
            return await self._tcp(question, parts["tcp"], timeout)
        if ask.rpc is not None:
            return await self._rpc(question, parts, timeout)
        reply = await self._request(question, ask.way.upper(), parts[ask.way], parts, timeout)
        return Answer(reply.text, reply.url, reply.status)

    async def connects(self, port: str, *, timeout: float) -> bool:
        return await self._transport.port_open(self._endpoint(port), timeout=timeout)

    def endpoint(self, port: str) -> Endpoint:
        return self._endpoint(port)

    async def _request(
        self, question: Question, method: str, path: str, parts: Mapping[str, Any], timeout: float
    ) -> Reply:
        return await self._transport.request(
            self._endpoint(question.port),
            method,
            path if path.startswith("/") else f"/{path}",
            json=parts.get("json"),
            text=parts.get("body"),
            timeout=timeout,
        )

    async def _rpc(self, question: Question, parts: Mapping[str, Any], timeout: float) -> Answer:
        """The result of the call as the answer. Raises ``NodeRefused`` for an error that the node answered."""
        call = {"jsonrpc": "2.0", "id": 1, "method": question.ask.rpc, "params": parts.get("params", [])}
        reply = await self._request(question, "POST", parts.get("path", "/"), {"json": call}, timeout)
        answer = Answer(reply.text, f"{question.ask.rpc} of {reply.url}", reply.status)
        said = answer.json
        if isinstance(said, dict) and said.get("error") is not None:
            error = said["error"]
            message = error.get("message") if isinstance(error, dict) else error
            raise errors.NodeRefused(
                f"{answer.where} was refused: {excerpt(str(message), 200)}", evidence=[answer.quoted]
            )
        if not isinstance(said, dict) or "result" not in said:
            raise answer.invalid("answered no result of JSON-RPC")
        return Answer(json.dumps(said["result"]), answer.where)

    async def _tcp(self, question: Question, text: str, timeout: float) -> Answer:
        endpoint = self._endpoint(question.port)
        got = await self._transport.exchange(endpoint, text.encode(), complete=_complete(question), timeout=timeout)
        return Answer(got.decode("utf-8", "backslashreplace"), f"port '{question.port}' at {endpoint.url}")

    async def _command(self, argv: Sequence[str], timeout: float) -> Answer:
        """What a command prints. Raises ``NodeRefused`` when it ends with another status than 0."""
        if self._beside.commands is None:
            raise NotPermitted(
                f"'{argv[0]}' cannot be run beside it: its source does not grant 'exec'", hint=GRANT.format("exec")
            )
        try:
            async with asyncio.timeout(timeout):
                done = await self._beside.commands.exec(argv, timeout=timeout)
        except TimeoutError:
            raise errors.NodeTimeout(f"'{argv[0]}' did not end within {seconds(timeout)}") from None
        if done.status != 0:
            said = [f"it said: {line}" for line in (done.stderr or done.stdout).splitlines()[-3:]]
            raise errors.NodeRefused(f"'{argv[0]}' beside it ended with status {done.status}", evidence=said)
        return Answer(done.stdout, f"'{argv[0]}' beside it")

    async def _log(self, pattern: str, timeout: float) -> Answer:
        """The last line in which a pattern is found; an empty answer where there is none."""
        if self._beside.log is None:
            raise NotPermitted("its log cannot be read: its source does not grant 'logs'", hint=GRANT.format("logs"))
        async with asyncio.timeout(timeout):
            lines = await self._beside.log.logs(tail=LOG_LINES)
        return Answer(next((line for line in reversed(lines) if picking.matches(pattern, line)), ""), "its log")


def _complete(question: Question) -> Callable[[bytes], bool]:
    """Whether an answer over TCP is all there: what is looked for was found, or without that, a line."""
    patterns = question.patterns

    def complete(got: bytes) -> bool:
        if not patterns:
            return b"\n" in got
        text = got.decode("utf-8", "backslashreplace")
        return any(picking.matches(pattern, text) for pattern in patterns)

    return complete


def good(answer: Answer, *, writes: bool = False) -> Answer:
    """An answer whose status is a success. ``writes``: a server's failure leaves open whether it happened.

    Raises ``NodeRefused`` or ``NodeTimeout``.
    """
    status = answer.status
    if status is None or 200 <= status < 300:
        return answer
    if writes and status >= 500:
        raise errors.NodeTimeout(
            f"{answer.where} could not say whether it was done: HTTP {status}", evidence=[answer.quoted]
        )
    raise errors.NodeRefused(f"{answer.where} answered HTTP {status}", evidence=[answer.quoted])
