"""Keeps the values of secrets out of everything that is written or shown.

Replacing happens on decoded text, before it becomes JSON, so the journal's own escapes cannot hide a secret; escapes
made by others (a node that answers with JSON, a URL in an error) are looked for. Must not live here: where secrets come
from.
"""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from functools import partial
from itertools import permutations
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus

from nodeyard.domain.events import Event
from nodeyard.domain.verdict import RunVerdict

MASK = "***"
SHORT = 4
"""A secret of fewer characters is replaced only where it stands as a word of its own: ``a`` in ``a start`` would tell
nothing and would make every text unreadable."""
LINE_LEAST = 8
"""Lines of a secret of several lines (a key file) are replaced singly from this length on."""
PAIRED = 16
"""So many secrets are also looked for as ``user:password`` in base64, as HTTP Basic sends them."""
OWN_WORDS = frozenset(
    {"event", "node", "run", "scenario", "phase", "mode", "kinds", "verdict", "outcome", "origin", "layer", "code",
     "policy", "preference", "conflict", "rung", "step", "operation", "fault", "check", "id", "kind", "name",
     "names", "ownership", "supported", "granted", "capabilities"}
)  # fmt: skip
"""Fields that hold words of Nodeyard or names from the scenario file, which are public; a password that happens to be
``pass`` must not turn a verdict into ``***``."""

EventT = TypeVar("EventT", bound=Event)


class Redactor:
    """Replaces every known secret by ``***``. Values may be added while a run goes on, as they are resolved."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._values: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Know more secrets from now on; empty ones and those of blanks alone are no secrets."""
        fresh = {value for value in secrets if value.strip()} - self._values
        if not fresh:
            return
        self._values |= fresh
        forms = {form for value in self._values for form in _forms(value)} | _basic_forms(self._values)
        ordered = sorted(forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(_expression(form) for form in ordered))

    def text(self, text: str) -> str:
        """The text without secrets."""
        return text if self._pattern is None else self._pattern.sub(MASK, text)

    def value(self, value: Any) -> Any:
        """A JSON value without secrets in texts and keys; its shape stays."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(k)): v if k in OWN_WORDS else self.value(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return tuple(self.value(item) for item in value)
        return value

    def event(self, event: EventT) -> EventT:
        """An event without secrets."""
        if self._pattern is None:
            return event
        changed = {f.name: self.value(getattr(event, f.name)) for f in fields(event) if f.name not in OWN_WORDS}
        return replace(event, **changed)

    def outcome(self, outcome: RunVerdict) -> RunVerdict:
        """A verdict without secrets in what its checks and errors say."""
        if self._pattern is None:
            return outcome
        checks = (replace(c, reason=self.text(c.reason), evidence=self.value(c.evidence)) for c in outcome.checks)
        errors = (replace(e, message=self.text(e.message), hint=self.value(e.hint)) for e in outcome.errors)
        return replace(outcome, checks=tuple(checks), errors=tuple(errors))


def _expression(form: str) -> str:
    escaped = re.escape(form)
    return escaped if len(form) >= SHORT else rf"(?<!\w){escaped}(?!\w)"


def _forms(secret: str) -> set[str]:
    """The ways in which a secret appears: itself, stripped, line by line, percent-encoded, in base64, as a literal."""
    forms = {secret, secret.strip()}
    lines = secret.splitlines()
    if len(lines) > 1:
        forms |= {line.strip() for line in lines if len(line.strip()) >= LINE_LEAST}
    raw = secret.encode("utf-8", "backslashreplace")
    for escape in (json.dumps, partial(json.dumps, ensure_ascii=False), repr):
        once = escape(secret)[1:-1]
        forms |= {once, escape(once)[1:-1], once.replace("/", "\\/")}
    forms |= {quote(raw), quote(raw, safe=""), quote_plus(raw), html.escape(secret)}
    if len(secret) >= SHORT:
        forms.add(b64encode(raw).decode())
    return {form for form in forms if form}


def _basic_forms(secrets: set[str]) -> set[str]:
    pairs = permutations(sorted(secrets), 2) if len(secrets) <= PAIRED else ()
    return {b64encode(f"{user}:{password}".encode("utf-8", "replace")).decode() for user, password in pairs}
