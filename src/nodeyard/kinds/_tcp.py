"""One exchange over TCP: connect, send, read until the answer is complete.

Must not live here: what any node software says, retries, and HTTP (``_http``).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

from nodeyard.domain.identity import DEFAULT_PORTS
from nodeyard.domain.launch_plan import Endpoint
from nodeyard.errors import provider as errors
from nodeyard.kinds._wording import excerpt, seconds

CHUNK = 65536


def host_and_port(endpoint: Endpoint) -> tuple[str | None, int]:
    """Where a URL of any scheme leads to."""
    parts = urlsplit(endpoint.url if "://" in endpoint.url else f"tcp://{endpoint.url}")
    return parts.hostname, parts.port or DEFAULT_PORTS.get(parts.scheme, 0)


async def exchange(
    endpoint: Endpoint,
    sent: bytes,
    *,
    complete: Callable[[bytes], bool],
    timeout: float,
    tls: ssl.SSLContext | None,
    largest: int,
) -> bytes:
    """See ``ports.transport.Transport.exchange``."""
    host, port = host_and_port(endpoint)
    name = endpoint.tls.server_name if endpoint.tls is not None else None
    where = f"{host}:{port}"
    begun = False
    got = bytearray()
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(host, port, ssl=tls, server_hostname=name if tls else None)
            begun = True
            writer.write(sent)
            await writer.drain()
            while not complete(bytes(got)):
                chunk = await reader.read(CHUNK)
                if not chunk:
                    break
                got += chunk
                if len(got) > largest:
                    raise errors.NodeAnswerInvalid(f"{where} answered more than {largest} bytes")
        return bytes(got)
    except ssl.SSLError as error:
        raise errors.TlsFailed(f"no TLS with {where}: {error.reason or error}", hint="check 'tls:'") from error
    except TimeoutError as error:
        raise _silent(where, timeout, bytes(got), begun=begun) from error
    except OSError as error:
        raise _broken(where, error, begun=begun) from error
    finally:
        if writer is not None:
            writer.transport.abort()


def _silent(where: str, timeout: float, got: bytes, *, begun: bool) -> errors.NodeUnreachable:
    if not begun:
        return errors.NodeUnreachable(
            f"no connection to {where} within {seconds(timeout)}",
            hint="is the address right, and does a firewall drop packets on the way?",
        )
    said = excerpt(got[:200].decode("utf-8", "backslashreplace"))
    return errors.NodeTimeout(
        f"{where} gave no complete answer within {seconds(timeout)}",
        evidence=[f"it said: {said or '(nothing)'}"],
        hint="the node accepted the connection; is it paused, or does it speak another protocol there?",
    )


def _broken(where: str, error: OSError, *, begun: bool) -> errors.NodeUnreachable:
    if begun:
        return errors.NodeTimeout(
            f"{where} broke the connection before its answer was complete ({error.strerror or error})",
            hint="the node may have carried the request out; did it end meanwhile?",
        )
    refused = isinstance(error, ConnectionRefusedError)
    return errors.NodeUnreachable(
        f"no connection to {where}: {'connection refused' if refused else error.strerror or error}",
        hint="is the node running, and is the address right?",
    )
