"""Porcupine, a checker of linearizability that others trust, as a program that is built when it is first needed."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from math import isfinite
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from nodeyard.domain.history import Call, Outcome

SOURCE = Path(__file__).parent / "porcupine"
BUILD_TIME = 300.0
ANSWER_TIME = 300.0


@dataclass(frozen=True)
class Answered:
    """``linearizable`` is ``None`` when it ran out of time; ``seconds`` without reading."""

    linearizable: bool | None
    seconds: float


def available() -> bool:
    """Whether there is a Go to build it with."""
    return shutil.which("go") is not None


@cache
def program() -> Path:
    """The built program. Go's own build cache makes a second build a matter of moments."""
    out = Path(gettempdir()) / "nodeyard-porcupine" / "porcupine"
    out.parent.mkdir(exist_ok=True)
    subprocess.run(["go", "build", "-o", out, "."], cwd=SOURCE, check=True, timeout=BUILD_TIME)
    return out


def answers(histories: Sequence[Iterable[Call]]) -> list[Answered]:
    """What Porcupine says of each history."""
    asked = "\n".join(json.dumps([_document(call) for call in calls if _counts(call)]) for calls in histories)
    done = subprocess.run([program()], input=asked, capture_output=True, text=True, check=True, timeout=ANSWER_TIME)
    words = [line.split() for line in done.stdout.splitlines()]
    return [Answered({"Ok": True, "Illegal": False}.get(word), float(seconds)) for word, seconds in words]


def _counts(call: Call) -> bool:
    return call.outcome is Outcome.OK or (call.outcome is Outcome.INFO and call.op != "read")


def _document(call: Call) -> dict[str, Any]:
    known = call.outcome is Outcome.OK and isfinite(call.completed)
    expected, new = call.value if call.op == "cas" else (None, call.value)
    return {
        "op": call.op,
        "key": call.key,
        "expected": expected,
        "new": new,
        "result": call.result if call.op == "read" else None,
        "done": call.result if known and call.op == "cas" else None,
        "call": call.invoked,
        "return": call.completed if known else None,
    }
