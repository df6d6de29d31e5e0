"""The same answers as Porcupine, on histories that are true, nearly true, and long."""

from __future__ import annotations

import os
from random import Random

import pytest
from bench import linearizable, reference

from nodeyard.domain.history import Call
from nodeyard.expectations._linearizability.checking import checked
from nodeyard.expectations._linearizability.search import Answer

from .histories import true_history
from .test_linearizability import changed

if not reference.available() and not os.environ.get("CI"):
    pytest.skip("there is no Go to build Porcupine with", allow_module_level=True)


def compare(histories: list[list[Call]]) -> list[bool]:
    """Porcupine's answers, which ours must be."""
    theirs = [one.linearizable for one in reference.answers(histories)]
    assert None not in theirs
    ours = [checked(calls).answer for calls in histories]
    differ = [number for number, (a, b) in enumerate(zip(ours, theirs, strict=True)) if (a is Answer.YES) != b]
    assert Answer.UNKNOWN not in ours
    assert differ == []
    return [bool(answer) for answer in theirs]


@pytest.mark.parametrize("values", [None, 3], ids=["all values differ", "few values"])
def test_on_histories_of_which_some_answers_were_changed(values: int | None) -> None:
    random = Random(f"porcupine/{values}")
    histories = []
    for number in range(300):
        calls = true_history(
            random,
            operations=random.choice([8, 20, 60]),
            clients=random.choice([2, 4, 8]),
            keys=("a", "b"),
            values=values,
            info=random.choice([0.0, 0.05, 0.2]),
            cas=random.choice([0.0, 0.3, 0.6]),
        )
        for _ in range(number % 4):
            index = random.randrange(len(calls))
            calls[index] = changed(calls[index], [c for c in calls if c.key == calls[index].key], random)
        histories.append(calls)
    answers = compare(histories)
    assert 50 < sum(answers) < 250


def test_on_long_histories() -> None:
    true = linearizable.history(Random(1), 20_000, lost=0.005)
    assert compare([true, linearizable.with_stale_read(true)]) == [True, False]
