"""What an exception of the HTTP library means: was anything sent, and what is wrong in plain words.

Pure but for reading the exception. The decision that matters is *nothing was sent* (``NodeUnreachable``, the operation
did not happen) against *it may have happened* (``NodeTimeout``).
"""

from __future__ import annotations

import errno
import ssl
from dataclasses import dataclass

from nodeyard.domain.launch_plan import Endpoint
from nodeyard.errors import provider as errors
from nodeyard.kinds._tls import tls_reason
from nodeyard.kinds._wording import excerpt, seconds

NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)


@dataclass
class Attempt:
    """One request on its way. ``sent`` turns true when its first byte may have left."""

    endpoint: Endpoint
    url: str
    timeout: float
    sent: bool = False

    @property
    def operation(self) -> str:
        return f"request {self.url}"


def translate(error: Exception, attempt: Attempt) -> errors.ProviderError:
    """The typed error for ``error``; never quotes a header."""
    import aiohttp

    tls = _tls_error(error)
    if tls is not None:
        reason, hint = tls_reason(tls, attempt.endpoint.tls)
        return errors.TlsFailed(f"no TLS with {attempt.url}: {reason}", operation=attempt.operation, hint=hint)
    if isinstance(error, TimeoutError):
        return _timed_out(attempt)
    if isinstance(error, aiohttp.ClientResponseError):
        return errors.NodeAnswerInvalid(
            f"{attempt.url} answered something that is not HTTP",
            operation=attempt.operation,
            evidence=[excerpt(str(error.message))],
            hint="is this the node's API port, and not that of its peers?",
        )
    if isinstance(error, aiohttp.InvalidURL | ValueError):
        return errors.NodeUnreachable(
            f"{attempt.url} cannot be asked: {type(error).__name__}",
            operation=attempt.operation,
            hint="check the URL of this endpoint",
        )
    return _broken(error, attempt)


def _timed_out(attempt: Attempt) -> errors.NodeUnreachable:
    if attempt.sent:
        return errors.NodeTimeout(
            f"{attempt.url} gave no answer within {seconds(attempt.timeout)}",
            operation=attempt.operation,
            hint="the node accepted the request and may have carried it out; is it paused, or without a quorum?",
        )
    return errors.NodeUnreachable(
        f"no connection to {attempt.url} within {seconds(attempt.timeout)}",
        operation=attempt.operation,
        hint="is the address right, and does a firewall drop packets on the way?",
    )


def _broken(error: Exception, attempt: Attempt) -> errors.NodeUnreachable:
    reason = _plain(error)
    if attempt.sent:
        return errors.NodeTimeout(
            f"{attempt.url} broke the connection before its answer was complete ({reason})",
            operation=attempt.operation,
            hint="the node may have carried the request out; did it end meanwhile?" + _plainly(attempt),
        )
    if getattr(error, "errno", None) in NO_DESCRIPTORS:
        return errors.NodeUnreachable(
            f"no connection to {attempt.url}: this process may open no more files",
            operation=attempt.operation,
            hint="raise the limit with 'ulimit -n 4096'",
        )
    return errors.NodeUnreachable(
        f"no connection to {attempt.url}: {reason}",
        operation=attempt.operation,
        hint="is the node running, and is the address right?",
    )


def _plainly(attempt: Attempt) -> str:
    """Some servers that want TLS hang up on whoever speaks without, and say no word."""
    return " Or does it expect https://?" if attempt.endpoint.url.startswith("http://") else ""


def _plain(error: Exception) -> str:
    import aiohttp

    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"its host name is not known ({error.host})"
    if isinstance(error, aiohttp.ClientConnectorError):
        cause = error.os_error
        if cause.errno == errno.ECONNREFUSED or isinstance(cause, ConnectionRefusedError):
            return "connection refused"
        return cause.strerror or type(cause).__name__
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "it closed the connection"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__


def _tls_error(error: BaseException | None) -> ssl.SSLError | None:
    """The TLS error inside an exception of the library, however deep."""
    for _ in range(6):
        # The library's own error of a certificate is called an ``SSLError`` too, but has nothing of one.
        inner = getattr(error, "certificate_error", None) or getattr(error, "os_error", None)
        if isinstance(error, ssl.SSLError) and inner is None:
            return error
        if error is None:
            return None
        error = inner if isinstance(inner, BaseException) and inner is not error else error.__cause__
    return None
