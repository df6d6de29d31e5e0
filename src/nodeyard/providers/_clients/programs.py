"""Which program of this machine a node runs: found, and refused with a reason where the kernel gives none."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nodeyard.ports.kind import GoModule, ProgramSpec
from nodeyard.providers._clients.program_sources import Source, fitting, parse_source, place_of, told

ELF_MACHINES = {"x86_64": 62, "aarch64": 183, "arm64": 183, "i686": 3, "riscv64": 243, "ppc64le": 21, "s390x": 22}
"""``e_machine`` of the ELF header, by the machine's own name (elf.h)."""
MACH_O = (b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"\xce\xfa\xed\xfe")


@dataclass(frozen=True)
class Found:
    """A program, and who said so; or what is wrong with it and what to do."""

    path: Path | None
    origin: str
    problem: str = ""
    hint: str = ""
    source: Source | None = None
    """How it can be had, where it is not here yet and can be; then ``problem`` only says so."""

    @property
    def text(self) -> str:
        """The problem as one line for people."""
        return f"{self.problem} ({self.hint})" if self.hint else self.problem


def locate(
    binary: str | None,
    spec: ProgramSpec | None,
    *,
    base: Path,
    environment: Mapping[str, str],
    cache: Path | None = None,
) -> Found:
    """Look where ``ProgramSpec`` says, in its order. The first place that is named decides; no later one is tried.

    Without a ``cache``, a program that must be built or downloaded first counts as not there.
    """
    if binary is not None:
        named = parse_source(binary)
        if isinstance(named, str):
            return Found(None, "the scenario's 'binary'", named, "correct 'binary'")
        if named is not None:
            return _obtainable(named, cache, environment)
        return _checked(_explicit(binary, base, environment), "the scenario's 'binary'", "correct 'binary'")
    if spec is None:
        return Found(None, "", "its kind names no program", "give the node a 'binary'")
    if given := environment.get(spec.variable):
        return _checked(_explicit(given, base, environment), f"${spec.variable}", f"correct or unset {spec.variable}")
    if packaged := _packaged(spec):
        return _checked(packaged, f"package {spec.package}", f"install {spec.package} again")
    if on_path := shutil.which(spec.program, path=environment.get("PATH", os.defpath)):
        return _checked(Path(on_path), "PATH", f"set {spec.variable} to another one")
    source = fitting(spec.downloads, spec.module)
    found = _obtainable(source, cache, environment) if source is not None else None
    if found is not None and (found.path or found.source):
        return found
    places = ", ".join(
        place for place in (f"${spec.variable}", spec.package and f"the package {spec.package}", "PATH") if place
    )
    return Found(None, "", f"program '{spec.program}' is not in {places}", spec.install_hint or f"set {spec.variable}")


def _obtainable(source: Source, cache: Path | None, environment: Mapping[str, str]) -> Found:
    """A program that is in the cache, or how it gets there."""
    if cache is not None and (place := place_of(source, cache)).exists():
        return _checked(place, told(source), f"remove {place.parent}")
    if isinstance(source, GoModule) and shutil.which("go", path=environment.get("PATH", os.defpath)) is None:
        return Found(None, told(source), f"there is no 'go' on the PATH for '{told(source)}'", "install Go")
    if cache is None:
        return Found(None, told(source), f"'{told(source)}' was not carried out yet", "name the program itself")
    return Found(None, told(source), f"is not here yet: {told(source)}", source=source)


def _explicit(text: str, base: Path, environment: Mapping[str, str]) -> Path:
    """A path relative to ``base``; a bare word that is no file there may also be on the PATH."""
    if text.startswith("~/") and (home := environment.get("HOME")):
        return Path(home) / text[2:]
    path = base / text
    if "/" not in text and not path.exists():
        on_path = shutil.which(text, path=environment.get("PATH", os.defpath))
        return Path(on_path) if on_path else path
    return path


def _packaged(spec: ProgramSpec) -> Path | None:
    """The file of an installed package, found without running the package's code."""
    if spec.package is None or spec.package_file is None:
        return None
    try:
        found = importlib.util.find_spec(spec.package)
    except (ImportError, ValueError):
        return None
    for place in (found.submodule_search_locations or ()) if found else ():
        if (path := Path(place) / spec.package_file).exists():
            return path
    return None


def _checked(path: Path, origin: str, remedy: str) -> Found:
    problem, hint = _defect(path)
    if problem:
        return Found(None, origin, f"{path} (from {origin}) {problem}", hint or remedy)
    return Found(path.absolute(), origin)


def _defect(path: Path) -> tuple[str, str]:
    """Why this file can't be run, and the remedy where it is not to name another file."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return ("is a link to nothing" if path.is_symlink() else "does not exist"), ""
    except OSError as error:
        return f"cannot be looked at: {error.strerror}", ""
    if stat.S_ISDIR(mode):
        return "is a directory", "name the program inside it"
    if not stat.S_ISREG(mode):
        return "is not a regular file", ""
    if not os.access(path, os.X_OK):
        return "is not executable", f"chmod +x {path}"
    try:
        with path.open("rb") as file:
            head = file.read(256)
    except OSError:
        return "", ""  # a program may be executable and not readable; the kernel will tell
    return _format_defect(head)


def _format_defect(head: bytes) -> tuple[str, str]:
    """What is wrong with a program by its first bytes. Pure, but for the interpreter of a script and the machine."""
    if not head:
        return "is empty", "download or build it again"
    if head.startswith(b"\x7fELF") and len(head) >= 20:
        order = "<" if head[5] == 1 else ">"
        (machine,) = struct.unpack_from(f"{order}H", head, 18)
        here = platform.machine()
        wanted = ELF_MACHINES.get(here)
        if platform.system() != "Linux":
            return f"is a Linux program and this is {platform.system()}", "get the build for this system"
        if wanted is not None and machine not in {wanted, 3 if here == "x86_64" else wanted}:
            names = [name for name, number in ELF_MACHINES.items() if number == machine]
            return (
                f"is built for {names[0] if names else f'machine {machine}'}, this is {here}",
                f"get the {here} build",
            )
        return "", ""
    if head.startswith(b"#!"):
        words = head[2:].split(b"\n", 1)[0].split()
        if not words or not os.access(os.fsdecode(words[0]), os.X_OK):
            name = os.fsdecode(words[0]) if words else "none"
            return f"is a script whose interpreter {name} is not there", "install the interpreter or correct line 1"
        return "", ""
    if head.startswith(MACH_O) and platform.system() == "Darwin":
        return "", ""
    if head.startswith((*MACH_O, b"MZ")):
        return "is a program for another system", "get the build for this one"
    return "is neither a program nor a script with '#!'", "name the program itself"
