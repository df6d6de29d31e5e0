"""HTTP to nodes, and plain TCP: one session, one connector, every failure as a typed error.

Lives here: connections, credentials on the wire, TLS contexts, and what an exception of the HTTP library means for the
caller (was anything sent or not). Must not live here: what any node software answers, retries, and waiting.

aiohttp is imported at the first request and not before: reading and checking a scenario needs none, and where nodes are
started first, the import costs no time beside their own start.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json as jsonlib
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from nodeyard.domain.launch_plan import Endpoint
from nodeyard.domain.secrets import SecretSource
from nodeyard.domain.sources import Auth
from nodeyard.errors import provider as errors
from nodeyard.errors.base import InternalError
from nodeyard.kinds._http_errors import Attempt, translate
from nodeyard.kinds._tcp import exchange, host_and_port
from nodeyard.kinds._tls import TlsContexts
from nodeyard.kinds._wording import excerpt
from nodeyard.ports.transport import Reply

if TYPE_CHECKING:
    import aiohttp
    import yarl

AT_ONCE = 1024
"""Requests on the wire together; more wait for a connection, and a wait that times out has sent nothing."""
REMEMBERED = 4096
"""Parsed addresses that are kept: traffic asks the same few again and again."""
HERE = Path()
LARGEST_ANSWER = 64 * 1024 * 1024
KEEP_ALIVE = 30.0
"""Seconds that an idle connection is kept: longer than any pause between two probes of one node."""
HTTPS_EXPECTED = ("HTTP request to an HTTPS server", "HTTP request was sent to HTTPS port")
"""How Go's and nginx's servers tell a client that it should have spoken TLS."""


class HttpTransport:
    """``ports.transport.Transport`` over one aiohttp session. Use as ``async with HttpTransport(secrets) as http:``.

    No proxies from the environment, no redirects, no cookies, no retries. ``largest`` bounds one answer, in bytes.
    Paths of TLS files start from ``base``.
    """

    def __init__(
        self, secrets: SecretSource, base: Path = HERE, *, at_once: int = AT_ONCE, largest: int = LARGEST_ANSWER
    ) -> None:
        self._secrets = secrets
        self._at_once = at_once
        self._largest = largest
        self._opened = False
        self._sessions: tuple[aiohttp.ClientSession, aiohttp.ClientSession] | None = None
        self._contexts = TlsContexts(base)
        self._headers: dict[Auth, dict[str, str]] = {}

    async def __aenter__(self) -> HttpTransport:
        self._opened = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection. Idempotent."""
        self._opened = False
        sessions, self._sessions = self._sessions, None
        for session in sessions or ():
            await session.close()

    def prepare(self) -> None:
        """See ``ports.transport.CanPrepare``."""
        self._connected(marked=True)

    def _connected(self, *, marked: bool) -> aiohttp.ClientSession:
        """The session, made when it is first needed. A marked body tells by itself that it was sent; for requests
        without a body the session traces it, which costs a tenth of a request's time.
        """
        if not self._opened:
            raise InternalError("a request through a transport that is not open")
        if self._sessions is None:
            import aiohttp

            trace = aiohttp.TraceConfig()
            trace.on_request_headers_sent.append(_note_sent)
            connector = aiohttp.TCPConnector(limit=self._at_once, limit_per_host=0, keepalive_timeout=KEEP_ALIVE)
            self._sessions = _session(connector, [], owner=False), _session(connector, [trace], owner=True)
        return self._sessions[0 if marked else 1]

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
        """See ``ports.transport.Transport.request``.

        Also raises ``NodeAnswerInvalid`` when what answers does not speak HTTP, or answers more than ``largest`` bytes.
        """
        attempt = Attempt(endpoint, shown_url(endpoint.url, path), timeout)
        if not endpoint.url.startswith(("http://", "https://")):
            raise errors.NodeAnswerInvalid(
                f"{endpoint.url} is not an HTTP address",
                operation=attempt.operation,
                hint="write the endpoint of this port as http://HOST:PORT or https://HOST:PORT",
            )
        headers = self._credentials(endpoint)
        tls = self._contexts.of(endpoint) if endpoint.url.startswith("https://") else None
        body = jsonlib.dumps(json).encode() if json is not None else text.encode() if text is not None else None
        if body is not None:
            headers = {**headers, "Content-Type": "application/json" if json is not None else "text/plain"}
        try:
            reply = await self._exchange(attempt, method, path, body, headers, tls)
        except (TimeoutError, OSError, ValueError, _client_error()) as error:
            raise translate(error, attempt) from error
        return self._checked(reply, endpoint)

    async def _exchange(
        self, attempt: Attempt, method: str, path: str, body: bytes | None, headers: Mapping[str, str], tls: Any
    ) -> Reply:
        endpoint = attempt.endpoint
        async with self._connected(marked=body is not None).request(
            method,
            _url(endpoint.url, path),
            data=None if body is None else _marked(body, attempt),
            headers=headers,
            ssl=tls if tls is not None else True,
            server_hostname=endpoint.tls.server_name if tls is not None and endpoint.tls else None,
            allow_redirects=False,
            timeout=_timeout(attempt.timeout),
            trace_request_ctx=attempt,
        ) as response:
            attempt.sent = True
            raw = await self._bounded(response, attempt)
            return Reply(response.status, raw.decode("utf-8", "replace"), attempt.url, response.headers)

    async def _bounded(self, response: aiohttp.ClientResponse, attempt: Attempt) -> bytes:
        """The whole body. Raises ``NodeAnswerInvalid`` as soon as it is known to be too large."""
        length = response.content_length
        if length is not None and length <= self._largest:
            return await response.read()
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > self._largest:
                break
            chunks.append(chunk)
        else:
            return b"".join(chunks)
        response.close()
        raise errors.NodeAnswerInvalid(
            f"{attempt.url} answered more than {self._largest} bytes",
            operation=attempt.operation,
            hint="is this the node's API port?",
        )

    def _credentials(self, endpoint: Endpoint) -> dict[str, str]:
        """The header that proves who we are. Raises ``AuthenticationFailed`` for a value that no header can carry."""
        auth = endpoint.auth
        if auth is None:
            return {}
        known = self._headers.get(auth)
        if known is None:
            known = self._headers[auth] = credentials_header(auth, self._secrets, url=endpoint.url)
        return known

    def _checked(self, reply: Reply, endpoint: Endpoint) -> Reply:
        if reply.status in (401, 403):
            if endpoint.auth is not None:
                self._headers.pop(endpoint.auth, None)  # a file may hold a newer one the next time
            raise _refused(reply, endpoint)
        if reply.status == 400 and any(text in reply.text for text in HTTPS_EXPECTED):
            raise errors.TlsFailed(
                f"{reply.url} expects TLS, and was spoken to without",
                evidence=[excerpt(reply.text)],
                hint="write the endpoint with https:// and name its authority under 'tls: {ca: ...}'",
            )
        return reply

    async def exchange(
        self, endpoint: Endpoint, sent: bytes, *, complete: Callable[[bytes], bool], timeout: float
    ) -> bytes:
        """See ``ports.transport.Transport.exchange``."""
        tls = self._contexts.of(endpoint) if endpoint.tls is not None else None
        return await exchange(endpoint, sent, complete=complete, timeout=timeout, tls=tls, largest=self._largest)

    async def port_open(self, endpoint: Endpoint, *, timeout: float) -> bool:
        """Whether something accepts a TCP connection there."""
        host, port = host_and_port(endpoint)
        try:
            async with asyncio.timeout(timeout):
                _, writer = await asyncio.open_connection(host, port)
        except (TimeoutError, OSError):
            return False
        writer.close()
        with contextlib.suppress(OSError):  # the other side may close first, and differently
            await writer.wait_closed()
        return True


def _session(
    connector: aiohttp.TCPConnector, traces: list[aiohttp.TraceConfig], *, owner: bool
) -> aiohttp.ClientSession:
    import aiohttp

    return aiohttp.ClientSession(
        connector=connector,
        connector_owner=owner,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept": "application/json, */*", "Accept-Encoding": "identity", "User-Agent": "nodeyard"},
        trace_configs=traces,
        trust_env=False,
        auto_decompress=False,
    )


def _marked(body: bytes, attempt: Attempt) -> aiohttp.BytesPayload:
    """A body that notes when it is written: from then on a failure leaves open whether the node has acted."""
    made: aiohttp.BytesPayload = _marked_payload()(body, attempt)
    return made


@cache
def _marked_payload() -> Any:
    import aiohttp

    class Marked(aiohttp.BytesPayload):
        def __init__(self, body: bytes, attempt: Attempt) -> None:
            super().__init__(body, content_type="application/octet-stream")
            self._attempt = attempt

        async def write_with_length(self, writer: Any, content_length: int | None) -> None:
            self._attempt.sent = True
            await super().write_with_length(writer, content_length)

    return Marked


@lru_cache(maxsize=REMEMBERED)
def _url(base: str, path: str) -> yarl.URL:
    import yarl

    return yarl.URL(base.rstrip("/") + path, encoded=True)


@lru_cache(maxsize=REMEMBERED)
def _timeout(seconds: float) -> aiohttp.ClientTimeout:
    import aiohttp

    return aiohttp.ClientTimeout(total=seconds)


@lru_cache(maxsize=REMEMBERED)
def shown_url(url: str, path: str) -> str:
    """A URL that may stand in an error: without user info and without the query, either of which may hold secrets."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}{path.partition('?')[0]}"


def credentials_header(auth: Auth, secrets: SecretSource, *, url: str) -> dict[str, str]:
    """The one header of an ``auth:``, with values revealed. Raises ``AuthenticationFailed`` without naming a value."""
    if auth.basic is not None:
        pair = f"{secrets.reveal(auth.basic.username)}:{secrets.reveal(auth.basic.password)}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    if auth.bearer is not None:
        name, value = "Authorization", f"Bearer {secrets.reveal(auth.bearer)}"
    elif auth.header is not None:
        name, value = auth.header.name, secrets.reveal(auth.header.value)
    else:
        return {}
    if not value.isprintable():
        raise errors.AuthenticationFailed(
            f"the {auth.kind} credential for {shown_url(url, '')} has characters that no HTTP header can carry",
            hint="look for a line break or a control character in the variable or file that 'auth:' names",
        )
    return {name: value}


def _refused(reply: Reply, endpoint: Endpoint) -> errors.AuthenticationFailed:
    auth = endpoint.auth
    if auth is None:
        message = f"{reply.url} demands credentials, and none were given"
        hint = "add 'auth:' with basic, bearer or header to this node's source"
    else:
        verb = "refused" if reply.status == 401 else "does not permit this to"
        message = f"{reply.url} {verb} our {auth.kind} credentials"
        hint = "check what 'auth:' of this node's source refers to"
    return errors.AuthenticationFailed(message, evidence=[f"HTTP {reply.status}"], hint=hint)


async def _note_sent(session: object, context: Any, params: object) -> None:
    """A hook of the session: from here on a failure leaves open whether the node has acted."""
    context.trace_request_ctx.sent = True


def _client_error() -> type[Exception]:
    import aiohttp

    return aiohttp.ClientError
