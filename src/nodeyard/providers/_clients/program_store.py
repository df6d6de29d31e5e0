"""Getting programs that are not on this machine yet, each once for all runs of this user.

A program is complete or absent: it is made beside its place and then moved there. Who makes it holds a lock that the
kernel releases with its holder, however that ends. Must not live here: how programs are named (``program_sources``).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from nodeyard._aio import poll
from nodeyard._aio.clock import Clock
from nodeyard.domain import events
from nodeyard.domain.run_identity import MARK_VARIABLE
from nodeyard.errors.provider import ProvisioningFailed
from nodeyard.ports.kind import Download, GoModule
from nodeyard.ports.plugins import PluginContext
from nodeyard.providers._clients.process_run import run_briefly
from nodeyard.providers._clients.program_sources import Source, place_of, program_name, told

LONGEST = 900.0
"""Seconds for one program, and for waiting for another run that makes it: a cold build downloads much."""
LARGEST = 1024 * 1024 * 1024
CHUNK = 1024 * 1024
DRAFT = "draft-"
BY, COMMAND = "deployer:local", "command"
"""Whose remover ends processes of this machine by the run's mark alone, and what it calls them."""
FOREIGN = ("GOOS", "GOARCH", "GOARM", "GOBIN")
"""Variables that would build for another machine, or put the program elsewhere."""


@dataclass(frozen=True)
class ProgramStore:
    """The programs in the user's cache. ``environment`` is that of the tools that make them, with the run's mark."""

    cache: Path
    environment: Mapping[str, str]
    clock: Clock

    async def get(self, source: Source) -> Path:
        """The program, made now if it was not yet. Raises ``ProvisioningFailed``; leaves nothing half-made behind."""
        place = place_of(source, self.cache)
        if place.exists():
            return place
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            async with self._locked(place.parent):
                if not place.exists():
                    await self._make(source, place)
        except OSError as error:
            fact = f"{place.parent} cannot be used: {error.strerror or error}"
            raise _failed(source, fact, hint="free or mend the user's cache") from error
        return place

    @asynccontextmanager
    async def _locked(self, folder: Path) -> AsyncIterator[None]:
        """Hold the folder's lock. There is no event for a lock that becomes free, so it is tried again."""
        with (folder / ".lock").open("w") as lock:

            async def attempt() -> poll.Done[None] | None:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return None
                return poll.Done(None)

            try:
                await poll.until(attempt, clock=self.clock, deadline=self.clock.now() + LONGEST)
            except poll.Timeout:
                raise ProvisioningFailed(
                    f"another run has been making {folder.name} for {LONGEST:g}s",
                    operation="provision",
                    hint=f"end that run; if there is none, remove {folder}",
                ) from None
            yield

    async def _make(self, source: Source, place: Path) -> None:
        for stale in place.parent.glob(f"{DRAFT}*"):  # of holders that were killed: whoever has the lock is alone here
            shutil.rmtree(stale, ignore_errors=True)
        draft = Path(tempfile.mkdtemp(prefix=DRAFT, dir=place.parent))
        try:
            make = self._build(source, draft) if isinstance(source, GoModule) else self._download(source, draft)
            made = await make
            made.chmod(0o755)
            os.replace(made, place)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    async def _build(self, module: GoModule, draft: Path) -> Path:
        environment = {name: value for name, value in self.environment.items() if name not in FOREIGN}
        environment |= {"GOBIN": str(draft), "CGO_ENABLED": "0"}
        go = shutil.which("go", path=environment.get("PATH", os.defpath))
        if go is None:
            raise _failed(module, "there is no 'go' on the PATH", hint="install Go, or name the program itself")
        argv = [go, "install", f"{module.path}@{module.version}"]
        try:
            done = await run_briefly(argv, cwd=draft, env=environment, timeout=LONGEST)
        except TimeoutError:
            raise _failed(module, f"did not end within {LONGEST:g}s", hint="is the module proxy reachable?") from None
        if done.code:
            lines = [line for line in done.stderr.splitlines() if not line.startswith("go: downloading")]
            raise _failed(module, f"ended with {done.status}", evidence=lines[-12:], hint="try that command by hand")
        return draft / program_name(module)

    async def _download(self, source: Download, draft: Path) -> Path:
        target = draft / "download"
        with target.open("wb") as file:
            found = await _fetch(source, file)
        if found != source.sha256:
            raise _failed(
                source,
                "is not the file that was wanted",
                evidence=[f"wanted sha256 {source.sha256}", f"found  sha256 {found}"],
                hint="is the digest right, or does something else answer there?",
            )
        if not source.member:
            return target
        return await asyncio.to_thread(_unpack, source, target, draft / "member")


async def obtain(sources: Collection[Source], context: PluginContext) -> None:
    """Get these programs for a run, in whichever deployer. Raises ``ProvisioningFailed``.

    The tools that make them carry the run's mark, and an entry of the ledger stands for them: whatever ends the run,
    they end with it.
    """
    environment = {**context.environment, MARK_VARIABLE: context.mark.text}
    store = ProgramStore(context.cache, environment, context.clock)
    for source in sources:
        context.emit(events.ProgramWanted(program=program_name(source), source=told(source)))
        begun = context.clock.now()
        entry = await context.ledger.record(BY, COMMAND, node=None, data={})
        path = await store.get(source)
        context.ledger.settle(entry)
        after = context.clock.now() - begun
        context.emit(events.ProgramMade(program=program_name(source), path=str(path), after=after))


async def _fetch(source: Download, file: IO[bytes]) -> str:
    """Write what the URL answers; returns its SHA-256."""
    import aiohttp

    digest, size = hashlib.sha256(), 0
    limit = aiohttp.ClientTimeout(total=LONGEST, sock_connect=30, sock_read=60)
    try:
        async with (
            aiohttp.ClientSession(trust_env=True, timeout=limit, auto_decompress=False) as session,
            session.get(source.url) as response,
        ):
            if response.status != 200:
                raise _failed(source, f"answered HTTP {response.status}", hint="is the URL right?")
            async for chunk in response.content.iter_chunked(CHUNK):
                size += len(chunk)
                if size > LARGEST:
                    raise _failed(source, f"is larger than {LARGEST} bytes", hint="is the URL right?")
                digest.update(chunk)
                file.write(chunk)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise _failed(
            source, f"cannot be downloaded: {str(error) or type(error).__name__}", hint="is it reachable?"
        ) from error
    return digest.hexdigest()


def _unpack(source: Download, archive: Path, target: Path) -> Path:
    """Copy one member, and nothing else, out of an archive."""
    try:
        with contextlib.ExitStack() as stack:
            member: IO[bytes] | None
            if source.url.endswith(".zip"):
                member = stack.enter_context(stack.enter_context(zipfile.ZipFile(archive)).open(source.member))
            else:
                member = stack.enter_context(tarfile.open(archive, "r:gz")).extractfile(source.member)
            if member is None:
                raise KeyError(source.member)
            with target.open("wb") as out:
                shutil.copyfileobj(member, out, CHUNK)
    except KeyError:
        raise _failed(
            source, f"has no file '{source.member}' in it", hint="list the archive and correct 'member'"
        ) from None
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise _failed(source, f"cannot be unpacked: {error}", hint="is it a .tar.gz or .zip?") from error
    return target


def _failed(source: Source, fact: str, *, evidence: list[str] | tuple[str, ...] = (), hint: str) -> ProvisioningFailed:
    return ProvisioningFailed(f"{told(source)}: {fact}", operation="provision", evidence=evidence, hint=hint)
