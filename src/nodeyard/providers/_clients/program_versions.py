"""Asking programs for their version, once per file: the answer is kept in the user's cache."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from nodeyard.ports.kind import ProgramSpec
from nodeyard.providers._clients.process_run import run_briefly

ASKING = 10.0
"""Seconds that a program may take to print its version; a cold disk needs one."""


def parse_version(text: str) -> tuple[int, ...]:
    """The numbers of a dotted version."""
    return tuple(int(part) for part in re.findall(r"\d+", text))


def version_problem(path: Path, answer: str, spec: ProgramSpec) -> str:
    """What is wrong with a program by what it printed; empty when nothing is. Pure."""
    found = re.search(spec.version_pattern, answer)
    if not spec.minimum:
        return ""
    wanted = ".".join(map(str, spec.minimum))
    if found is None:
        shown = " ".join(answer.split())[:80] or "nothing"
        return f"{path} does not tell its version, which must be {wanted} or later; it printed: {shown}"
    if parse_version(found[1]) < spec.minimum:
        remedy = f" ({spec.install_hint})" if spec.install_hint else ""
        return f"{path} is version {found[1]}, and {wanted} or later is needed{remedy}"
    return ""


class Versions:
    """What programs say of themselves. ``cache`` is a folder of the user; it may vanish at any time.

    A program is run inside of ``announced``, which makes sure that one that hangs does not outlive us.
    """

    def __init__(
        self,
        cache: Path,
        environment: Mapping[str, str],
        announced: Callable[[], AbstractAsyncContextManager[None]] = contextlib.nullcontext,
    ) -> None:
        self._folder = cache / "versions"
        self._environment = environment
        self._announced = announced

    def answer(self, path: Path, spec: ProgramSpec) -> str:
        """What this program answered when it was asked; empty where nobody asked."""
        try:
            return self._remembered(self._key(path, spec)) or ""
        except OSError:
            return ""

    async def problem(self, path: Path, spec: ProgramSpec) -> str:
        """What is wrong with the version of this program; empty when nothing is."""
        if not spec.version_args:
            return ""
        key = self._key(path, spec)
        answer = self._remembered(key)
        if answer is None:
            try:
                async with self._announced():
                    done = await run_briefly(
                        [str(path), *spec.version_args], cwd=Path("/"), env=self._environment, timeout=ASKING
                    )
            except TimeoutError:
                return f"{path} {' '.join(spec.version_args)} did not end within {ASKING:g}s"
            except OSError as error:
                return f"{path} cannot be run: {error.strerror}"
            answer = done.stdout + done.stderr
            if done.code:
                shown = " ".join(answer.split())[:80] or "it printed nothing"
                return f"{path} {' '.join(spec.version_args)} ended with {done.status}: {shown}"
            self._remember(key, answer)
        return version_problem(path, answer, spec)

    def _key(self, path: Path, spec: ProgramSpec) -> Path:
        """The same path with other content has another time or size, and so another key."""
        known = path.stat()
        identity = json.dumps([str(path), known.st_mtime_ns, known.st_size, spec.version_args])
        return self._folder / hashlib.sha256(identity.encode()).hexdigest()

    @staticmethod
    def _remembered(key: Path) -> str | None:
        try:
            return key.read_text()
        except (OSError, UnicodeDecodeError):
            return None

    def _remember(self, key: Path, answer: str) -> None:
        with contextlib.suppress(OSError):  # without a cache it is asked again next time, which is only slower
            self._folder.mkdir(parents=True, exist_ok=True)
            fd, draft = tempfile.mkstemp(dir=self._folder)
            with os.fdopen(fd, "w") as out:
                out.write(answer[:10_000])
            os.replace(draft, key)
