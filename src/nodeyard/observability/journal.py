"""The journal: an append-only file of everything that happened, one JSON object a line.

Lives here: writing and reading it. Every table, report and JUnit file is made from what ``read_journal`` returns.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from nodeyard._aio.clock import Clock
from nodeyard.domain.events import Event, event_types
from nodeyard.errors.bootstrap import RunFolderUnusable
from nodeyard.observability.redaction import Redactor

LONGEST_TEXT = 16_384
"""Characters of one text in a record; a node that logs a megabyte in one line must not blow up the journal."""
DAMAGED = "damaged-line"
"""The event of a record that stands for a line in the middle of a journal that cannot be read."""
FOREVER = 1e12
"""Seconds; a length of time beyond it was not written by a run."""


class Journal:
    """An observer that writes each event as one line, by one unbuffered write: what was told survives a SIGKILL.

    A journal that exists is continued: a torn last line is cut off, ``seq`` and ``elapsed`` go on. Raises
    ``RunFolderUnusable`` when the file cannot be opened, and once when it cannot be written any more; after that
    events are dropped, so that a full disk ends the run and not also its cleanup.
    """

    def __init__(self, path: Path, *, clock: Clock, redactor: Redactor | None = None) -> None:
        self.path = path
        self.redactor = redactor or Redactor()
        self.failed = False
        self._clock = clock
        self._seq, behind = _continue(path, clock.utc())
        self._zero = clock.now() - behind
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise _unusable(path, error) from None

    def see(self, event: Event) -> None:
        if self.failed or self._file < 0:
            return
        line = self._line(event)
        try:
            _write_whole(self._file, line)
        except OSError as error:
            self.failed = True
            raise _unusable(self.path, error) from None
        self._seq += 1

    @property
    def zero(self) -> float:
        """The time of the clock that ``elapsed`` counts from."""
        return self._zero

    def close(self) -> None:
        """No more events; idempotent."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _line(self, event: Event) -> bytes:
        time = self._clock.utc().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        own = dict(self.redactor.event(event).record())
        record = {
            "seq": self._seq,
            "time": time,
            "elapsed": round(self._clock.now() - self._zero, 6),
            "event": event.name,
            "node": own.pop("node"),
            **own,
        }
        text = json.dumps(_plain(record), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        # A lone surrogate (undecodable bytes of a log line) becomes the JSON escape of itself.
        return text.encode("utf-8", "backslashreplace") + b"\n"


def _plain(value: Any) -> Any:
    """A value that JSON can hold: long texts cut, numbers that JSON lacks as text, unknown things as their text."""
    if isinstance(value, str):
        text = str(value)
        return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}… ({len(text) - LONGEST_TEXT} more)"
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Iterable):
        return [_plain(item) for item in value]
    return str(value)


def _write_whole(file: int, line: bytes) -> None:
    """All of ``line`` or nothing: what a full disk took of it is cut off again."""
    written = os.write(file, line)
    while written < len(line):
        try:
            written += os.write(file, line[written:])
        except OSError:
            with suppress(OSError):  # the torn line stays then; readers pass over it
                os.ftruncate(file, os.fstat(file).st_size - written)
            raise


def _unusable(path: Path, error: OSError) -> RunFolderUnusable:
    return RunFolderUnusable(
        f"the journal {path} cannot be written: {error.strerror or error}",
        operation="journal",
        hint="free some space or choose another folder with --output; what was made is taken down by the ledger",
    )


def _continue(path: Path, now: datetime) -> tuple[int, float]:
    """The next ``seq`` of a journal that may exist already, and how many seconds ago its run began."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return 0, 0.0
    except OSError as error:
        raise _unusable(path, error) from None
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        try:
            os.truncate(path, whole)
        except OSError as error:
            raise _unusable(path, error) from None
    records = [r for r in parse_journal(content[:whole]) if r.event != DAMAGED]
    if not records:
        return 0, 0.0
    last = records[-1]
    since = (now - last.time).total_seconds() if last.time is not None else 0.0
    return last.seq + 1, last.elapsed + max(0.0, since)


@dataclass(frozen=True)
class JournalRecord:
    """One line of a journal. ``elapsed`` is seconds since the run began; ``data`` all fields but the envelope's.

    ``typed`` is the event as a value, or ``None`` for an event that this version does not know or cannot build.
    """

    seq: int
    time: datetime | None
    elapsed: float
    event: str
    node: str | None
    data: Mapping[str, Any] = field(default_factory=dict)
    typed: Event | None = None


def read_journal(path: Path) -> tuple[JournalRecord, ...]:
    """Every record of a journal file; a torn last line is passed over. Raises ``RunFolderUnusable`` if unreadable."""
    try:
        return parse_journal(path.read_bytes())
    except OSError as error:
        raise RunFolderUnusable(
            f"the journal {path} cannot be read: {error.strerror or error}",
            operation="journal",
            hint="'nodeyard ps' lists the runs whose folders are known",
        ) from None


def parse_journal(content: bytes) -> tuple[JournalRecord, ...]:
    """The records in the bytes of a journal. A damaged line before the last stands as a record of event ``DAMAGED``."""
    lines = content.split(b"\n")
    lines.pop()  # empty after a whole last line, else torn by a death in the middle of a write
    return tuple(_record(line, number) for number, line in enumerate(lines, 1) if line.strip())


def _record(line: bytes, number: int) -> JournalRecord:
    try:
        raw = json.loads(line, parse_constant=_refuse)
        seq, elapsed, event, node = raw.pop("seq"), raw.pop("elapsed"), raw.pop("event"), raw.pop("node", None)
        time = datetime.fromisoformat(raw.pop("time"))
        if not (isinstance(seq, int) and fits(elapsed, float) and isinstance(event, str)):
            raise TypeError("the envelope of a record has other types")
        if not (node is None or isinstance(node, str)):
            raise TypeError("a node is named by a text")
        if elapsed < 0:
            raise ValueError("the time is before the run")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        text = line[:200].decode("utf-8", "replace")
        return JournalRecord(-1, None, 0.0, DAMAGED, None, {"line": number, "problem": str(error), "text": text})
    return JournalRecord(seq, time, float(elapsed), event, node, raw, _typed(event, node, raw))


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


@cache
def _known() -> Mapping[str, tuple[type[Event], Mapping[str, Any]]]:
    return {cls.name: (cls, get_type_hints(cls)) for cls in event_types()}


def _typed(event: str, node: str | None, data: Mapping[str, Any]) -> Event | None:
    """The event as a value; fields that this version does not know are left to ``data``."""
    if event not in _known():
        return None
    cls, hints = _known()[event]
    given = {"node": node, **data}
    values: dict[str, Any] = {}
    for item in fields(cls):
        if item.name not in given:
            continue
        value = given[item.name]
        value = tuple(value) if isinstance(value, list) else value
        if not fits(value, hints[item.name]):
            return None
        values[item.name] = value
    try:
        return cls(**values)
    except TypeError:  # a field without default is missing: written by another version
        return None


def fits(value: Any, hint: Any) -> bool:
    """Whether a JSON value is what a field of an event is annotated with."""
    if hint is Any:
        return True
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < FOREVER
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if isinstance(hint, type) and get_origin(hint) is None:
        return isinstance(value, hint)
    origin, inner = get_origin(hint), get_args(hint)
    if origin is tuple:
        return isinstance(value, tuple) and all(fits(item, inner[0]) for item in value)
    if origin is Mapping or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return isinstance(value, Mapping) and all(fits(item, inner[1]) for item in value.values())
    return any(fits(value, one) for one in inner)
