"""Images of programs of this machine that need shared libraries, as a user would have built them somewhere else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from .engine import BUSYBOX, docker


def _libraries(program: Path) -> list[Path]:
    done = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    return [Path(word) for line in done.stdout.splitlines() for word in line.split() if word.startswith("/")]


def _copy(path: Path, root: Path) -> None:
    """A file of this machine at its own place below ``root``."""
    target = root / path.relative_to("/")
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path.resolve(), target)


@contextmanager
def image_of(folder: Path, name: str, programs: Mapping[str, Path], *, python: bool = False) -> Iterator[str]:
    """An image with these programs on its PATH; with Python too, where one is a script."""
    root = folder / "root"
    for word, program in programs.items():
        (root / "bin").mkdir(parents=True, exist_ok=True)
        shutil.copy(program.resolve(), root / "bin" / word)
        for library in _libraries(program):
            _copy(library, root)
    if python:
        _add_python(root)
    reference = f"nodeyard-test/{name}:{os.getpid()}-{uuid.uuid4().hex[:8]}"
    with subprocess.Popen(["tar", "-C", root, "-cf", "-", "."], stdout=subprocess.PIPE) as packed:
        docker("import", "--change", "ENV PATH=/bin:/usr/bin", "-", reference, stdin=packed.stdout)
    try:
        yield reference
    finally:
        docker("rmi", "--force", reference)


def _add_python(root: Path) -> None:
    """The interpreter that runs the tests, with its standard library, and ``env`` to find it."""
    home = Path(sys.base_prefix)
    program = home / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    library = home / "lib" / program.name
    ignored = shutil.ignore_patterns("test", "tests", "site-packages", "dist-packages", "__pycache__", "idlelib",
                                     "ensurepip", "tkinter", "config-*", "lib2to3")  # fmt: skip
    shutil.copytree(library, root / library.relative_to("/"), ignore=ignored)
    _copy(program, root)
    for binary in (program, *library.glob("lib-dynload/*.so")):
        for needed in _libraries(binary):
            _copy(needed, root)
    (root / "bin" / "python3").symlink_to(program)
    (root / "usr/bin").mkdir(parents=True, exist_ok=True)
    shutil.copy(BUSYBOX, root / "usr/bin/env")
    (root / "tmp").mkdir(exist_ok=True)
