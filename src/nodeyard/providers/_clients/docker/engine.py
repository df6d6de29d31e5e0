"""Asking an engine: one short-lived client per call, its errors in Nodeyard's words.

A client per call costs a millisecond on a socket, and leaves nothing to be closed when a run is cut short.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiodocker
import aiohttp

from nodeyard.errors.provider import BackendUnavailable
from nodeyard.providers._clients.docker import refusals
from nodeyard.providers._clients.docker.address import EngineAddress

T = TypeVar("T")
CALL = 30.0
"""Seconds that an engine may take for a call that does not wait for anything: even a loaded one needs one or two."""
UNREACHABLE = 900
"""The status by which aiodocker tells that there was no connection."""


class Missing(Exception):
    """The engine does not know what was asked for."""


@dataclass(frozen=True)
class EngineFacts:
    """What an engine says of itself."""

    version: str
    os: str
    machine: str


class Engine:
    """One engine. Cheap to make; connects at each call."""

    def __init__(self, address: EngineAddress) -> None:
        self.address = address
        self._api = "auto"

    async def facts(self) -> EngineFacts:
        """Raises ``BackendUnavailable``."""
        said: dict[str, Any] = await self.call(lambda docker: docker.version(), "ask the engine who it is")
        return EngineFacts(str(said.get("Version")), str(said.get("Os")), str(said.get("Arch")))

    async def call(
        self,
        act: Callable[[Any], Coroutine[Any, Any, T]],
        operation: str,
        *,
        node: str | None = None,
        within: float | None = CALL,
    ) -> T:
        """``act`` with a client, for at most ``within`` seconds.

        Raises ``BackendUnavailable`` when the engine does not answer, ``Missing`` when it does not know the thing, and
        what ``refusals`` makes of everything else.
        """
        try:
            async with asyncio.timeout(within), self.client() as docker:
                return await act(docker)
        except aiodocker.DockerError as error:
            raise self._refusal(error, operation, node) from error
        except TimeoutError:
            raise self.unavailable(f"does not answer within {within:g} s", operation, node) from None
        except (aiohttp.ClientError, OSError) as error:
            raise self.unavailable(f"broke off: {error or type(error).__name__}", operation, node) from error

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Any]:
        """A client of this engine; its errors are aiodocker's own."""
        address = self.address
        if address.local:
            url, connector = "unix://localhost", aiohttp.UnixConnector(address.socket, limit=0)
        else:
            scheme = "https" if address.certificates or address.url.startswith("https") else "http"
            url = f"{scheme}://{address.url.partition('://')[2]}"
            connector = aiohttp.TCPConnector(limit=0, ssl=self._ssl() if scheme == "https" else False)  # type: ignore[assignment]
        async with connector, aiodocker.Docker(url, connector=connector, api_version=self._api) as docker:
            yield docker
            self._api = docker.api_version

    def _ssl(self) -> ssl.SSLContext | bool:
        if self.address.certificates is None:
            return True
        folder = Path(self.address.certificates)
        try:
            authority = folder / "ca.pem"
            context = ssl.create_default_context(cafile=str(authority) if authority.exists() else None)
            context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        except OSError as error:  # an SSLError is one, too
            raise BackendUnavailable(
                f"the certificates in {folder} cannot be used: {error}", hint="see DOCKER_CERT_PATH"
            ) from error
        if not self.address.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    def _refusal(self, error: aiodocker.DockerError, operation: str, node: str | None) -> Exception:
        if error.status == UNREACHABLE:
            return self._unreachable(error, operation, node)
        if error.status == 404 and "image" not in error.message.lower():
            return Missing(error.message)
        return refusals.of_message(error.message, node=node, operation=operation)

    def _unreachable(self, error: Exception, operation: str, node: str | None) -> BackendUnavailable:
        cause = error.__context__
        reason = cause.os_error if isinstance(cause, aiohttp.ClientConnectorError) else cause
        if isinstance(cause, aiohttp.ClientSSLError):
            return self.unavailable(
                "refuses TLS", operation, node, [str(cause)], "check ca.pem, cert.pem and key.pem in DOCKER_CERT_PATH"
            )
        if isinstance(reason, PermissionError):
            hint = "add your user to the group 'docker' and log in again, or set DOCKER_HOST to an engine that is yours"
            return self.unavailable("may not be used by this user", operation, node, [str(reason)], hint)
        return self.unavailable("does not answer", operation, node, [str(reason)] if reason else ())

    def unavailable(
        self,
        fact: str,
        operation: str,
        node: str | None = None,
        evidence: Any = (),
        hint: str = "start it ('docker version' shows whether it answers), or set DOCKER_HOST",
    ) -> BackendUnavailable:
        """The error of an engine that cannot be used."""
        where = f"the Docker engine at {self.address.url} ({self.address.origin})"
        return BackendUnavailable(f"{where} {fact}", node=node, operation=operation, evidence=evidence, hint=hint)


def label_filter(labels: Mapping[str, str | None]) -> Mapping[str, list[str]]:
    """The engine's filter for resources that carry all these labels; ``None`` is any value."""
    return {"label": [name if value is None else f"{name}={value}" for name, value in labels.items()]}
