"""What the lines of a ledger say. Pure: texts in, values out.

A ledger is a text of JSON objects, one a line, that only grows. The first line is the header. A line that is torn (the
machine or the disk ended in the middle of a write) says nothing: whoever wrote it was told that writing failed, or died
before it could act on it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from nodeyard.domain.run_identity import RunMark
from nodeyard.errors.provider import LedgerInvalid
from nodeyard.ledger.host import ProcessRef
from nodeyard.ports.ledger import Json, LedgerEntry

FORMAT = 1
DAMAGE = (KeyError, TypeError, ValueError, OverflowError)


@dataclass(frozen=True)
class Header:
    """Whose ledger this is. ``folder`` is the run's folder, ``base`` the one that relative ``file:`` secrets start
    from, ``started`` a time of day in UTC.
    """

    mark: RunMark
    runner: ProcessRef
    folder: str
    scenario: str
    started: datetime
    base: str = ""


@dataclass(frozen=True)
class Detached:
    """The run was handed to its reaper for ``ttl`` seconds; ``until`` is a time of day in seconds since 1970."""

    ttl: float
    until: float


@dataclass(frozen=True)
class LedgerState:
    """A ledger as its lines leave it. ``entries`` are the open ones, oldest first, amendments applied.

    ``over``: the runner has given the run up, although its process may go on. ``closed``: nothing remains to do.
    ``torn`` counts lines that say nothing.
    """

    header: Header
    entries: tuple[LedgerEntry, ...] = ()
    reaper: ProcessRef | None = None
    detached: Detached | None = None
    over: bool = False
    closed: bool = False
    torn: int = 0


def header_line(header: Header) -> bytes:
    return _line(
        {
            "ledger": FORMAT,
            "mark": header.mark.text,
            "runner": _ref(header.runner),
            "folder": header.folder,
            "scenario": header.scenario,
            "started": header.started.isoformat(),
            "base": header.base,
        }
    )


def open_line(entry: LedgerEntry) -> bytes:
    return _line(
        {
            "open": entry.id,
            "by": entry.by,
            "type": entry.type,
            "node": entry.node,
            "data": entry.data,
            "inverse": entry.inverse,
        }
    )


def amend_line(entry: str, data: Mapping[str, Json]) -> bytes:
    return _line({"amend": entry, "data": data})


def settle_line(entry: str) -> bytes:
    return _line({"settle": entry})


def reaper_line(reaper: ProcessRef) -> bytes:
    return _line({"reaper": _ref(reaper)})


def detached_line(detached: Detached) -> bytes:
    return _line({"detached": {"ttl": detached.ttl, "until": detached.until}})


OVER_LINE = b'{"over": true}\n'
CLOSED_LINE = b'{"closed": true}\n'


def replay(content: bytes) -> LedgerState:
    """The state that the lines of a whole ledger lead to. Raises ``LedgerInvalid`` when its header cannot be read."""
    lines = content.split(b"\n")
    first = _parse(lines[0])
    if first is None:
        raise LedgerInvalid("a ledger without a readable first line", hint="remove the file if no run of it remains")
    tape = _Tape()
    for line in lines[1:]:
        if line:
            tape.read(_parse(line))
    return tape.state(_header(first))


@dataclass
class _Tape:
    """The fold over the lines after the header."""

    entries: dict[str, LedgerEntry] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    torn: int = 0

    def read(self, line: dict[str, Any] | None) -> None:
        try:
            known = line is not None and self._apply(line)
        except DAMAGE:
            known = False
        self.torn += not known

    def _apply(self, line: dict[str, Any]) -> bool:
        match line:
            case {"open": str(id), "by": str(by), "type": str(type), "data": dict(data)}:
                node, inverse = line.get("node"), line.get("inverse") is True
                self.entries[id] = LedgerEntry(id, by, type, node, data, inverse)
            case {"amend": str(id), "data": dict(data)}:
                if id in self.entries:
                    self.entries[id] = amended(self.entries[id], data)
            case {"settle": str(id)}:
                self.entries.pop(id, None)
            case {"reaper": dict(ref)}:
                self.facts["reaper"] = ProcessRef(int(ref["pid"]), int(ref["start"]))
            case {"detached": dict(told)}:
                self.facts["detached"] = Detached(float(told["ttl"]), float(told["until"]))
            case {"over": True}:
                self.facts["over"] = True
            case {"closed": True}:
                self.facts["closed"] = True
            case _:
                return False
        return True

    def state(self, header: Header) -> LedgerState:
        return LedgerState(header, tuple(self.entries.values()), torn=self.torn, **self.facts)


def amended(entry: LedgerEntry, data: Mapping[str, Json]) -> LedgerEntry:
    """An entry with what was learned later; a key that is said again has its later value."""
    return replace(entry, data={**entry.data, **data})


def _header(first: dict[str, Any]) -> Header:
    if first.get("ledger") != FORMAT:
        raise LedgerInvalid(
            f"a ledger of format {first.get('ledger')!r}, where this version reads {FORMAT}",
            hint="use the version of Nodeyard that wrote it",
        )
    try:
        mark = RunMark.parse(str(first["mark"]))
        if mark is None:
            raise ValueError("its mark is none")
        return Header(
            mark=mark,
            runner=ProcessRef(int(first["runner"]["pid"]), int(first["runner"]["start"])),
            folder=str(first["folder"]),
            scenario=str(first["scenario"]),
            started=datetime.fromisoformat(first["started"]),
            base=str(first.get("base", "")),
        )
    except DAMAGE as error:
        raise LedgerInvalid(f"a ledger whose first line is damaged: {error}") from error


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _ref(who: ProcessRef) -> dict[str, int]:
    return {"pid": who.pid, "start": who.start}


def _line(value: Mapping[str, Json]) -> bytes:
    return json.dumps(value, separators=(",", ":"), default=_plain).encode() + b"\n"


def _plain(value: object) -> Json:
    """Mappings and sequences that are not dict and list are JSON as well."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
