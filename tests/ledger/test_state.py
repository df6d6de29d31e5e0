"""Lines to state: every line means what it was written for, and a torn or strange one means nothing."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeyard.errors.provider import LedgerInvalid
from nodeyard.ledger import state as lines
from nodeyard.ledger.host import ProcessRef
from nodeyard.ledger.state import Detached, LedgerState, replay
from nodeyard.ports.ledger import LedgerEntry

from .support import header

HEAD = lines.header_line(header())
names = st.sampled_from(["e1", "e2", "e3"])
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
datas = st.dictionaries(st.text(max_size=5), plain, max_size=3)
entries = st.builds(
    LedgerEntry, names, st.just("deployer:local"), st.text(max_size=8), st.none() | st.text(max_size=3), datas,
    st.booleans(),
)  # fmt: skip
tapes = st.lists(
    entries.map(lines.open_line)
    | st.builds(lines.amend_line, names, datas)
    | names.map(lines.settle_line)
    | st.builds(lambda pid: lines.reaper_line(ProcessRef(pid, 2)), st.integers(1, 99))
    | st.just(lines.detached_line(Detached(60.0, 1e9)))
    | st.sampled_from([lines.OVER_LINE, lines.CLOSED_LINE]),
    max_size=12,
)


@settings(deadline=None)
@given(entries)
def test_an_entry_comes_back_as_it_was_written(entry: LedgerEntry) -> None:
    assert replay(HEAD + lines.open_line(entry)) == LedgerState(header(), (entry,))


def test_a_header_comes_back_as_it_was_written() -> None:
    assert replay(HEAD) == LedgerState(header())


def test_mappings_and_sequences_of_any_type_are_written() -> None:
    from types import MappingProxyType

    entry = LedgerEntry("e1", "x:y", "t", None, MappingProxyType({"ports": (1, 2), "env": MappingProxyType({})}))
    assert replay(HEAD + lines.open_line(entry)).entries[0].data == {"ports": [1, 2], "env": {}}
    with pytest.raises(TypeError, match="object is not JSON"):
        lines.open_line(LedgerEntry("e1", "x:y", "t", None, {"bad": object()}))  # type: ignore[dict-item]


def test_the_story_of_a_run() -> None:
    first, second = LedgerEntry("e1", "a:b", "t", "n1", {"x": 1}), LedgerEntry("e2", "a:b", "t", None, {}, True)
    story = [lines.open_line(first), lines.open_line(second), lines.amend_line("e1", {"pid": 5, "x": 2})]
    state = replay(HEAD + b"".join(story))
    assert [entry.id for entry in state.entries] == ["e1", "e2"]
    assert state.entries[0].data == {"x": 2, "pid": 5}
    story += [lines.settle_line("e1"), lines.amend_line("e1", {"late": 1}), lines.reaper_line(ProcessRef(1, 2))]
    story += [lines.reaper_line(ProcessRef(3, 4)), lines.detached_line(Detached(60.0, 99.5)), lines.OVER_LINE]
    assert replay(HEAD + b"".join(story)) == LedgerState(
        header(), (second,), reaper=ProcessRef(3, 4), detached=Detached(60.0, 99.5), over=True
    )
    assert replay(HEAD + lines.CLOSED_LINE).closed


@settings(deadline=None)
@given(tapes, st.data())
def test_a_cut_anywhere_loses_at_most_the_last_line(tape: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(tape)
    cut = data.draw(st.integers(0, len(whole)))
    complete = whole[:cut].rpartition(b"\n")[0]
    state, known = replay(HEAD + whole[:cut]), replay(HEAD + complete)
    torn = whole[:cut][len(complete) :].strip()
    if not torn or state.torn:
        assert (state.entries, state.detached) == (known.entries, known.detached)
    else:  # cut exactly before the line feed: the line is whole
        assert state == replay(HEAD + whole[: cut + 1])


@settings(deadline=None)
@given(tapes, st.binary(max_size=30).filter(lambda junk: b"\n" not in junk), st.integers(0, 12))
def test_a_torn_line_between_others_says_nothing(tape: list[bytes], junk: bytes, place: int) -> None:
    before, after = b"".join(tape[:place]), b"".join(tape[place:])
    damaged, good = replay(HEAD + before + b"{" + junk + b"\n" + after), replay(HEAD + before + after)
    assert damaged.torn == 1
    assert (damaged.entries, damaged.reaper, damaged.over) == (good.entries, good.reaper, good.over)


@pytest.mark.parametrize(
    "line",
    [
        b"[1]", b"5", b"null", b"{}", b'{"open": 5}', b'{"open": "e1"}', b'{"amend": "e1", "data": 3}',
        b'{"reaper": {"pid": 1}}', b'{"reaper": {"pid": 1e999, "start": 1}}', b'{"detached": {"ttl": "x"}}',
        b'{"over": false}', b"\xff\xfe", b"[" * 100_000, b'{"detached": {"ttl": 1, "until": 1' + b"0" * 400 + b"}}",
    ],
    ids=range(14),
)  # fmt: skip
def test_a_strange_line_says_nothing(line: bytes) -> None:
    assert replay(HEAD + line + b"\n") == LedgerState(header(), torn=1)


def changed(**more: object) -> bytes:
    return json.dumps({**json.loads(HEAD), **more}).encode() + b"\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "without a readable first line"),
        (b"\0" * 100, "without a readable first line"),
        (HEAD[:-20], "without a readable first line"),
        (b"[1]\n", "without a readable first line"),
        (b"[" * 100_000, "without a readable first line"),
        (changed(ledger=2), "a ledger of format 2, where this version reads 1"),
        (changed(ledger=None), "a ledger of format None"),
        (changed(mark="r1"), "its mark is none"),
        (changed(mark="UPPER@h@b"), "its mark is none"),
        (changed(runner={"pid": 1}), "first line is damaged"),
        (changed(runner=7), "first line is damaged"),
        (changed(runner={"pid": float("inf"), "start": 1}), "first line is damaged"),
        (changed(started="yesterday"), "first line is damaged"),
        (changed(started=5), "first line is damaged"),
    ],
    ids=range(14),
)
def test_a_damaged_header_is_an_error_with_a_reason(content: bytes, message: str) -> None:
    with pytest.raises(LedgerInvalid, match=message):
        replay(content)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_content_at_all_raises_anything_else(content: bytes) -> None:
    with suppress(LedgerInvalid):
        assert replay(content).header
