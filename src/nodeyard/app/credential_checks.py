"""Secrets and TLS files that a scenario names: whether they are there, and whether they can be used.

Reads these files and variables, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from nodeyard.domain.document import Path_
from nodeyard.domain.secrets import Secret
from nodeyard.domain.sources import Tls
from nodeyard.errors.base import NodeyardError

if TYPE_CHECKING:
    from nodeyard.app.config import Secrets

RELATIVE = "the path is relative to the scenario's folder"
Found = Iterator[tuple[Path_, str, str]]
"""Path, message and hint of each problem."""


class Credentials:
    """Checks of one scenario. ``single_group``: its group of nodes stands without a list."""

    def __init__(self, secrets: Secrets, base: Path, *, single_group: bool) -> None:
        self._secrets, self._base, self._single_group = secrets, base, single_group
        self._unusable: dict[Tls, list[tuple[str, str, str]]] = {}
        """By value, because many nodes share one."""

    def problems(self, value: object, path: Path_) -> Found:
        """References that lead nowhere, and TLS files that are not there."""
        if isinstance(value, Secret):
            problem = self._secrets.problem(value)
            if problem:
                yield path, problem, RELATIVE if value.reference.startswith("file:") else ""
        elif isinstance(value, Tls):
            yield from self._tls(value, path)
        elif isinstance(value, BaseModel):
            for name, field in type(value).model_fields.items():
                yield from self.problems(getattr(value, name), (*path, field.alias or name))
        elif isinstance(value, list | tuple):
            single = self._single_group and path == ("source", "nodes")
            for position, item in enumerate(value):
                yield from self.problems(item, path if single else (*path, position))
        elif isinstance(value, dict):
            for key, item in value.items():
                reference = isinstance(item, str) and path[-1:] == ("env",) and item.startswith(("env:", "file:"))
                yield from self.problems(Secret(item) if reference else item, (*path, key))

    def _tls(self, tls: Tls, path: Path_) -> Found:
        named = {name: given for name in ("ca", "cert", "key") if (given := getattr(tls, name)) is not None}
        missing = [name for name, given in named.items() if not (self._base / given).is_file()]
        for name in missing:
            yield (*path, name), f"there is no file {named[name]}", RELATIVE
        if missing:
            return
        if tls not in self._unusable:
            self._unusable[tls] = list(_unusable(tls, self._base))
        for name, message, hint in self._unusable[tls]:
            yield (*path, name), message, hint


def _unusable(tls: Tls, base: Path) -> Iterator[tuple[str, str, str]]:
    """What stands in files that are there. Loading TLS takes time, which a scenario without any need not spend."""
    from nodeyard.kinds._tls import make_context

    parts = {"ca": {"cert": None, "key": None}, "cert": {"ca": None}}
    for name, without in parts.items():
        if getattr(tls, name) is not None:
            try:
                make_context(tls.model_copy(update=without), base)
            except NodeyardError as error:
                yield name, error.message, error.hint or ""
