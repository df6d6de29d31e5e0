"""Programs that are not on this machine yet: how they are named, and where they are kept once they are had. Pure.

Must not live here: building, downloading, locking (``program_store``).
"""

from __future__ import annotations

import hashlib
import platform
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from nodeyard.ports.kind import Download, GoModule

Source = GoModule | Download

GO = "go:"
MAJOR = re.compile(r"v\d+")
GO_PATH = re.compile(r"[a-z0-9][a-z0-9.-]*\.[a-z]+(/[A-Za-z0-9._~-]+)+")
GO_VERSION = re.compile(r"v\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?")
SHA256 = re.compile(r"[0-9a-f]{64}")
ARCHIVES = (".tar.gz", ".tgz", ".zip")


def parse_source(text: str) -> Source | str | None:
    """What a spec's ``binary`` names: a source, a sentence about what is wrong with it, or ``None`` for a path.

    Forms: ``go:MODULE/PATH@vX.Y.Z``, and ``https://HOST/FILE#sha256=HEX`` with ``&member=PATH`` for an archive.
    """
    if text.startswith(GO):
        path, _, version = text.removeprefix(GO).partition("@")
        if not GO_PATH.fullmatch(path) or not GO_VERSION.fullmatch(version):
            return f"'{text}' is not go:MODULE@VERSION with an exact version, as in go:example.org/tool/cmd/tool@v1.2.3"
        return GoModule(path, version)
    if text.startswith(("https://", "http://")):
        return _parse_url(text)
    return None


def _parse_url(text: str) -> Download | str:
    url, _, fragment = text.partition("#")
    facts = dict(pair.partition("=")[::2] for pair in fragment.split("&") if pair)
    digest, member = facts.pop("sha256", "").lower(), facts.pop("member", "")
    if facts or not SHA256.fullmatch(digest) or not urlsplit(url).hostname:
        return f"'{text}' is not a URL followed by #sha256= and 64 hexadecimal digits (and &member=PATH for an archive)"
    if url.endswith(ARCHIVES) != bool(member):
        return f"'{text}' needs &member=PATH exactly if the file is one of {', '.join(ARCHIVES)}"
    return Download(url, digest, member)


def this_system() -> str:
    """This machine, as ``Download.system`` names it."""
    return f"{platform.system().lower()}-{platform.machine().lower()}"


def fitting(downloads: Sequence[Download], module: GoModule | None) -> Source | None:
    """The source for this machine: a download before a build, because it needs no compiler."""
    return next((d for d in downloads if d.system in ("", this_system())), module)


def program_name(source: Source) -> str:
    """The name of the program's file."""
    if isinstance(source, Download):
        return (source.member or urlsplit(source.url).path).rpartition("/")[2] or "program"
    parts = source.path.split("/")
    return parts[-2] if MAJOR.fullmatch(parts[-1]) and len(parts) > 1 else parts[-1]


def place_of(source: Source, cache: Path) -> Path:
    """Where the program is kept: one folder for each different source."""
    name = program_name(source)
    if isinstance(source, Download):
        label = hashlib.sha256(f"{source.sha256}/{source.member}".encode()).hexdigest()[:16]
    else:
        label = f"{source.version}-{hashlib.sha256(f'{source.path}@{source.version}'.encode()).hexdigest()[:8]}"
    return cache / "programs" / f"{name}-{label}" / name


def told(source: Source) -> str:
    """A source for people."""
    return source.url if isinstance(source, Download) else f"go install {source.path}@{source.version}"
