"""An image FROM scratch out of one static program, in the form that the engine loads. Deterministic in its content."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from nodeyard.providers.deployer.compose.resources import CONFIG_DIR, DATA_DIR

BIN = "usr/local/bin"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
FOLDERS = ("tmp", DATA_DIR.lstrip("/"), CONFIG_DIR.lstrip("/"))
"""Folders that any user may write to: a fresh volume takes over the mode of the folder that it is mounted on."""
INTERPRETER = 3
"""``PT_INTERP``: the program header of programs that need a dynamic linker (elf.h)."""


def content_hash(program: Path) -> str:
    """SHA-256 of a program, as hexadecimal."""
    with program.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def static_problem(program: Path) -> str:
    """Why no image can be made of a program alone; empty when one can."""
    with program.open("rb") as file:
        if file.read(4) != b"\x7fELF":
            return f"{program} is no Linux program by itself"
        if _has_interpreter(file):
            return f"{program} needs shared libraries"
    return ""


def _has_interpreter(file: IO[bytes]) -> bool:
    file.seek(0)
    head = file.read(64)
    order, wide = "<" if head[5] == 1 else ">", head[4] == 2
    offset = struct.unpack_from(f"{order}{'Q' if wide else 'I'}", head, 32 if wide else 28)[0]
    size, count = struct.unpack_from(f"{order}HH", head, 54 if wide else 42)
    for number in range(count):
        file.seek(offset + number * size)
        if struct.unpack(f"{order}I", file.read(4))[0] == INTERPRETER:
            return True
    return False


def dockerfile(program: str, file: str) -> str:
    """The Dockerfile that makes the same image, for whoever uses the Compose file without Nodeyard."""
    return f'FROM scratch\nCOPY ["{file}", "/{BIN}/{program}"]\nENV PATH={PATH}\n'


def archive(program: Path, name: str, *, reference: str, machine: str, labels: Mapping[str, str]) -> bytes:
    """An image with ``program`` as ``name`` on its PATH, as ``docker save`` would write it."""
    layer = _layer(program.read_bytes(), name)
    config = json.dumps(
        {
            "architecture": machine,
            "os": "linux",
            "config": {"Env": [f"PATH={PATH}"], "Labels": dict(labels), "Cmd": [name]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": f"COPY {program.name} /{BIN}/{name}"}],
        }
    ).encode()
    name_of_config = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": name_of_config, "RepoTags": [reference], "Layers": ["layer.tar"]}]).encode()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path, content in ((name_of_config, config), ("layer.tar", layer), ("manifest.json", manifest)):
            _add(tar, path, content, 0o644)
    return out.getvalue()


def _layer(program: bytes, name: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        made: set[str] = set()
        for folder in FOLDERS:
            parents = [str(parent) for parent in reversed(Path(folder).parents) if str(parent) != "."]
            for path in (*parents, folder):
                if path not in made:
                    made.add(path)
                    info = tarfile.TarInfo(path)
                    info.type, info.mode = tarfile.DIRTYPE, 0o1777 if path in FOLDERS else 0o755
                    tar.addfile(info)
        _add(tar, f"{BIN}/{name}", program, 0o755)
    return out.getvalue()


def _add(tar: tarfile.TarFile, path: str, content: bytes, mode: int) -> None:
    info = tarfile.TarInfo(path)
    info.size, info.mode = len(content), mode
    tar.addfile(info, io.BytesIO(content))
