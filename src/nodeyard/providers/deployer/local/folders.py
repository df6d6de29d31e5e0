"""The folder of a node: made with a marker that names its run, removed only by that marker."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path

from nodeyard.domain.run_identity import RunMark
from nodeyard.errors.provider import ProvisioningFailed
from nodeyard.providers._clients.node_files import unusable

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
