"""The pure rules of finding a run's processes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nodeyard.providers._clients.process import ProcessFacts, ProcessId, inside_execve, parse_stat
from nodeyard.providers._clients.process_sweep import related

Table = dict[int, ProcessFacts]


def row(pid: int, parent: int = 1, *, group: int = 0, session: int = 0, start: int = 100) -> ProcessFacts:
    return ProcessFacts(pid, parent, group or pid, session or pid, "S", start)


def table(*rows: ProcessFacts) -> Table:
    return {known.pid: known for known in rows}


@st.composite
def machines(draw: st.DrawFn) -> Table:
    pids = draw(st.sets(st.integers(2, 40), max_size=20))
    return table(
        *(
            row(
                pid,
                draw(st.integers(1, 40)),
                group=draw(st.integers(1, 40)),
                session=draw(st.integers(1, 40)),
                start=draw(st.integers(1, 3)),
            )
            for pid in sorted(pids)
        )
    )


PIDS = st.sets(st.integers(2, 40))
LEADERS = st.lists(st.builds(ProcessId, st.integers(2, 40), st.integers(1, 3), st.just("b")))


@given(machines(), PIDS, PIDS, LEADERS)
def test_a_foreign_mark_protects_whatever_else_points_at_it(
    known: Table, marked: set[int], foreign: set[int], leaders: list[ProcessId]
) -> None:
    assert not related(known, marked - foreign, foreign, leaders) & foreign


@given(machines(), PIDS, PIDS, LEADERS)
def test_all_marked_are_found_and_nobody_who_is_not_there(
    known: Table, marked: set[int], foreign: set[int], leaders: list[ProcessId]
) -> None:
    found = related(known, marked - foreign, foreign, leaders)
    assert (marked - foreign) & set(known) <= found <= set(known)


@given(machines(), PIDS, LEADERS)
def test_finding_again_from_what_was_found_finds_no_fewer(
    known: Table, marked: set[int], leaders: list[ProcessId]
) -> None:
    found = related(known, marked, (), leaders)
    assert related(known, found, (), leaders) >= found


@given(machines())
def test_without_a_mark_and_a_leader_nobody_is_ours(known: Table) -> None:
    assert related(known, (), (), ()) == set()


def test_a_leader_with_another_start_time_is_somebody_else() -> None:
    known = table(row(10, start=7), row(11, session=10, group=10))
    assert related(known, (), (), [ProcessId(10, 6, "b")]) == set()
    assert related(known, (), (), [ProcessId(10, 7, "b")]) == {10, 11}


def test_a_marked_process_does_not_claim_the_session_it_sits_in() -> None:
    shell, ours, neighbour = row(10), row(11, 10, group=11, session=10), row(12, 10, group=12, session=10)
    assert related(table(shell, ours, neighbour), {11}, (), ()) == {11}


def test_descendants_without_mark_and_session_are_found_while_the_chain_holds() -> None:
    known = table(row(10), row(11, 10), row(12, 11), row(13, 1))
    assert related(known, {10}, (), ()) == {10, 11, 12}


@given(st.text(max_size=15).filter(lambda name: "\0" not in name), st.integers(1, 1 << 22), st.integers(0, 1 << 40))
def test_a_program_may_have_any_name(name: str, pid: int, start: int) -> None:
    fields = ["S", "1", "2", "3", *["0"] * 15, str(start), "0", "0"]
    known = parse_stat(f"{pid} ({name}) {' '.join(fields)}")
    assert (known.pid, known.parent, known.group, known.session, known.start) == (pid, 1, 2, 3, start)


def test_the_first_process_of_a_machine_is_not_becoming_another_program() -> None:
    """One that may not be read shows zeroes, as one inside of ``execve`` does; every removal would wait for it."""
    assert not inside_execve(1)
