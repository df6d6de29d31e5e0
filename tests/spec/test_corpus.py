"""Broken scenarios, each with the exact messages that it gets: ``NAME.yaml`` and ``NAME.txt`` in the folder ``corpus``.

A first line ``#: --var NAME=VALUE`` gives variables. To accept new messages after having read them, all of them:
``python -m tests.spec.accept``.
"""

from __future__ import annotations

import pytest

from .corpus_files import CORPUS, NAMES, messages


@pytest.mark.parametrize("name", NAMES)
def test_a_broken_scenario_gets_exactly_these_messages(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CORPUS)
    assert messages(name) == (CORPUS / f"{name}.txt").read_text(encoding="utf-8").splitlines()


def test_every_scenario_of_the_corpus_has_messages_and_every_list_of_messages_has_a_scenario() -> None:
    assert {path.stem for path in CORPUS.glob("*.txt")} == set(NAMES)
    assert len(NAMES) >= 100


def test_no_message_speaks_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "\n".join(path.read_text(encoding="utf-8") for path in CORPUS.glob("*.txt"))
    for word in ("tuple", "dict", "Traceback", "pydantic", "validation, not", "NoneType", "hunter2", "p4ss"):
        assert word not in said


def test_each_problem_stands_in_its_file_at_a_line_that_exists() -> None:
    for name in NAMES:
        lines = len((CORPUS / f"{name}.yaml").read_bytes().split(b"\n"))
        for message in (CORPUS / f"{name}.txt").read_text(encoding="utf-8").splitlines():
            if not message.startswith(f"{name}.yaml:"):
                assert message.startswith("SourceUnsupported: ")
                continue
            place = message.removeprefix(f"{name}.yaml:").split(":")
            assert place[0].startswith(" ") or 1 <= int(place[0]) <= lines, message
