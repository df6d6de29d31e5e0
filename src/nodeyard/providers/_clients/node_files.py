"""Rendered files of a node below its config folder on this machine: written whole or not at all, removed again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from nodeyard.domain.launch_plan import FileToWrite
from nodeyard.errors.provider import ProvisioningFailed


def unusable(node: str, path: Path, error: OSError) -> ProvisioningFailed:
    return ProvisioningFailed(
        f"{path} cannot be written: {error.strerror or error}",
        node=node,
        operation="provision",
        hint="free space on that disk, or choose another folder with --output",
    )


def write_files(config_dir: Path, files: Sequence[FileToWrite], *, node: str) -> None:
    """Write rendered files below ``config_dir``; a file is complete or absent. Raises ``ProvisioningFailed``."""
    for file in files:
        target = target_of(config_dir, file, node=node)
        draft = _draft(target)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            draft.unlink(missing_ok=True)
            fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if file.secret else 0o644)
            with os.fdopen(fd, "wb") as out:
                out.write(file.content)
            draft.rename(target)
        except OSError as error:
            raise unusable(node, target, error) from error


def write_missing(data_dir: Path, files: Sequence[FileToWrite], *, node: str) -> None:
    """Write those files below the data folder that are not there yet. Raises ``ProvisioningFailed``."""
    missing = [file for file in files if not target_of(data_dir, file, node=node).exists()]
    write_files(data_dir, missing, node=node)


def target_of(config_dir: Path, file: FileToWrite, *, node: str) -> Path:
    """Where a rendered file belongs. Raises ``ProvisioningFailed`` for a path that leaves the folder."""
    path = Path(file.path)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ProvisioningFailed(
            f"the rendered file '{file.path}' is not below the config folder",
            node=node,
            operation="start",
            hint="this is a defect of the node kind: its files need relative paths",
        )
    return config_dir / path


def _draft(target: Path) -> Path:
    return target.with_name(f".{target.name}.draft")


def digests(config_dir: Path, paths: Sequence[str]) -> dict[str, str]:
    """SHA-256 of each of these rendered files, in hexadecimal; those that are not there are left out."""
    found = (path for path in paths if (config_dir / path).is_file())
    return {path: hashlib.sha256((config_dir / path).read_bytes()).hexdigest() for path in found}


def remove_files(config_dir: Path, paths: Sequence[str]) -> int:
    """Remove these rendered files, half-written ones too; returns how many there were. Raises ``OSError``."""
    targets = [config_dir / path for path in paths]
    found = [path for target in targets for path in (target, _draft(target)) if path.exists()]
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)
