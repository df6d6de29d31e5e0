"""The folder of a node: made with a marker that names its run, removed only by that marker."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

from nodeyard.domain.launch_plan import FileToWrite
from nodeyard.domain.run_identity import RunMark
from nodeyard.errors.provider import ProvisioningFailed

MARKER = ".nodeyard-run"
"""Stands beside the data folder and not in it, because some software wants to find its data folder empty."""


def make(folder: Path, mark: RunMark, *, node: str) -> None:
    """Make ``folder`` with ``data`` and ``config``. Raises ``ProvisioningFailed`` when it holds somebody else's."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        owner = owner_of(folder)
        if owner != mark.text:
            if owner is not None or (folder / "data").exists():
                raise ProvisioningFailed(
                    f"{folder} belongs to something else",
                    node=node,
                    operation="provision",
                    evidence=[f"its marker says {owner}" if owner else "it has a data folder and no marker"],
                    hint="choose another folder for the run's output",
                )
            (folder / MARKER).write_text(mark.text + "\n")
        (folder / "data").mkdir(mode=0o700, exist_ok=True)
        (folder / "config").mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise unusable(node, folder, error) from error


def owner_of(folder: Path) -> str | None:
    """The mark in a folder; ``None`` where there is none."""
    try:
        return (folder / MARKER).read_text().strip()
    except (FileNotFoundError, NotADirectoryError):
        return None


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


def remove_files(folder: Path, paths: Sequence[str]) -> int:
    """Remove these rendered files, half-written ones too; returns how many there were. Raises ``OSError``."""
    targets = [folder / "config" / path for path in paths]
    found = [path for target in targets for path in (target, _draft(target)) if path.exists()]
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)


def remove_data(folder: Path, mark: RunMark) -> str:
    """Remove the data of a node and leave its logs and config. Returns what was done, or why nothing was.

    Raises ``OSError`` when something could not be removed.
    """
    owner = owner_of(folder)
    if owner is None:
        return ""
    if owner != mark.text:
        return f"{folder} is marked by another run and was left alone"
    data = folder / "data"
    if data.is_symlink():
        data.unlink()
    elif data.exists():
        _remove_tree(data)
    (folder / MARKER).unlink()
    return f"removed {data}"


def empty_data(folder: Path, mark: RunMark) -> None:
    """Empty the data folder of a node of this run. Raises ``OSError``, also for a folder of somebody else's."""
    if owner_of(folder) != mark.text:
        raise PermissionError(errno.EPERM, "it does not belong to this run", str(folder))
    data = folder / "data"
    for entry in data.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            _remove_tree(entry)
        else:
            entry.unlink()


def _remove_tree(path: Path) -> None:
    try:
        shutil.rmtree(path)
    except PermissionError:  # node software may leave folders that not even their owner may write
        path.chmod(stat.S_IRWXU)
        for root, names, _ in os.walk(path):
            for name in names:
                if not os.path.islink(inner := os.path.join(root, name)):
                    os.chmod(inner, stat.S_IRWXU)
        shutil.rmtree(path)
