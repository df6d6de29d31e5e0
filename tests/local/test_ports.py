"""Ports: never twice, never one in use, and stale locks come back to use."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from nodeyard._aio.clock import SystemClock
from nodeyard.domain.run_identity import RunMark
from nodeyard.errors.provider import PortsExhausted, PortTaken
from nodeyard.providers._clients import process
from nodeyard.providers._clients.process import ProcessId
from nodeyard.providers.deployer.local.options import LocalOptions
from nodeyard.providers.deployer.local.ports import Lock, PortLocks, bindable

from .world import World, new_mark, plans

CLAIM = """
import asyncio, json, sys
from pathlib import Path
from tests.local.world import World, plans, new_mark
async def main():
    world = World(Path(sys.argv[1]), cache=Path(sys.argv[2]), mark=new_mark(sys.argv[3]))
    found = plans(40, ports=('a', 'b'))
    sys.stdin.readline()
    places = await world.deployer.provision(world.deployer.plan(found))
    print(json.dumps([number for place in places.values() for number in place.ports.values()]), flush=True)
    sys.stdin.readline()
    problems = await world.deployer.destroy()
    assert not problems, problems
asyncio.run(main())
"""


def free_range(size: int) -> tuple[int, int]:
    """Some ports in a row that nobody uses now."""
    for first in range(28000 + os.getpid() % 400 * 10, 32700, size):
        if all(bindable(number, strict=True) for number in range(first, first + size)):
            return first, first + size - 1
    raise AssertionError("this machine has no free ports")


def ended_process() -> ProcessId:
    child = subprocess.Popen(["sleep", "100"])
    who = process.identify(child.pid)
    child.kill()
    child.wait()
    assert who is not None
    return who


def held_by(locks: PortLocks, port: int, mark: RunMark, owner: ProcessId) -> None:
    locks.folder.mkdir(parents=True, exist_ok=True)
    (locks.folder / str(port)).write_text(Lock(mark.text, owner).text())


def small(world_root: Path, size: int, **more: object) -> World:
    return World(world_root, options=LocalOptions(type="local", port_range=free_range(size), **more))


@pytest.mark.real
def test_eight_runs_at_once_never_share_a_port(tmp_path: Path) -> None:
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM, str(tmp_path / f"r{i}"), str(tmp_path / "cache"), f"run-{i}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for i in range(8)
    ]
    taken: list[int] = []
    for run in runs:
        assert run.stdin
        run.stdin.write("go\n")
        run.stdin.flush()
    for run in runs:
        assert run.stdout
        taken += json.loads(run.stdout.readline())
    assert len(taken) == len(set(taken)) == 8 * 80
    assert all(10000 <= number <= 32767 for number in taken)
    for run in runs:
        run.communicate("done\n")
        assert run.returncode == 0
    assert PortLocks(tmp_path / "cache").taken() == frozenset()


def test_threads_never_share_a_port(tmp_path: Path) -> None:
    locks, numbers = PortLocks(tmp_path), list(range(11000, 11200))
    won: dict[str, list[int]] = {}
    gate = threading.Barrier(8)

    def claim(mark: RunMark) -> None:
        gate.wait()
        won[mark.run] = locks.take(numbers, mark)

    threads = [threading.Thread(target=claim, args=(new_mark(),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(number for some in won.values() for number in some) == numbers


def test_a_port_in_use_is_not_given_out(tmp_path: Path) -> None:
    first, last = free_range(4)
    for host in ("127.0.0.1", "0.0.0.0"):
        with socket.socket() as busy:
            busy.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            busy.bind((host, first + 1))
            busy.listen()
            world = World(tmp_path, options=LocalOptions(type="local", port_range=(first, last)))
            places = asyncio.run(world.deployer.provision(world.deployer.plan(plans(3))))
            assert {int(place.listen("http").rpartition(":")[2]) for place in places.values()} == {
                first,
                first + 2,
                first + 3,
            }
            assert asyncio.run(world.deployer.destroy()) == []


def test_a_range_that_is_too_small_is_told_with_figures(tmp_path: Path) -> None:
    world = small(tmp_path, 3)
    with pytest.raises(PortsExhausted, match="4 ports are needed and only 3 of") as caught:
        asyncio.run(world.deployer.provision(world.deployer.plan(plans(4))))
    assert "nodeyard gc" in str(caught.value)
    assert asyncio.run(world.deployer.destroy()) == []
    assert PortLocks(world.context.cache).taken() == frozenset()


def test_a_fixed_port_is_taken_as_it_is_said(tmp_path: Path) -> None:
    first, _ = free_range(1)
    world = World(tmp_path, options=LocalOptions(type="local", ports={"n1": {"http": first}}))
    plan = world.deployer.plan(plans(2))
    assert plan.places["n1"].listen("http") == f"127.0.0.1:{first}"
    assert plan.places["n0"].listen("http") == "127.0.0.1:at-run"
    places = asyncio.run(world.deployer.provision(plan))
    assert places["n1"].listen("http") == f"127.0.0.1:{first}"
    assert places["n0"].listen("http") != places["n1"].listen("http")
    assert asyncio.run(world.deployer.destroy()) == []


def test_a_fixed_port_in_use_names_node_and_port(tmp_path: Path) -> None:
    first, _ = free_range(1)
    world = World(tmp_path, options=LocalOptions(type="local", ports={"n1": {"http": first}}))
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", first))
        busy.listen()
        with pytest.raises(PortTaken, match=f"n1: port {first} for 'http' is in use"):
            asyncio.run(world.deployer.provision(world.deployer.plan(plans(2))))
        assert asyncio.run(world.deployer.destroy()) == []


def test_a_fixed_port_of_a_living_run_names_that_run(tmp_path: Path) -> None:
    first, _ = free_range(1)
    options = LocalOptions(type="local", ports={"n0": {"http": first}})
    one = World(tmp_path, options=options, mark=new_mark("first-run"))
    two = World(tmp_path, options=options)
    asyncio.run(one.deployer.provision(one.deployer.plan(plans(1))))
    with pytest.raises(PortTaken, match="held by first-run"):
        asyncio.run(two.deployer.provision(two.deployer.plan(plans(1))))
    assert asyncio.run(two.deployer.destroy()) == []
    assert PortLocks(one.context.cache).taken() == {first}, "the lock of another run is not ours to remove"
    assert asyncio.run(one.deployer.destroy()) == []


@pytest.mark.parametrize("who", ["another boot", "ended"])
def test_a_lock_that_nobody_can_use_any_more_is_reclaimed(tmp_path: Path, who: str) -> None:
    world = small(tmp_path, 2)
    first, last = world.options.port_range
    owner = replace(ended_process(), boot="another-boot") if who == "another boot" else ended_process()
    held_by(PortLocks(world.context.cache), first, new_mark(), owner)
    places = asyncio.run(world.deployer.provision(world.deployer.plan(plans(2))))
    assert {place.listen("http") for place in places.values()} == {f"127.0.0.1:{n}" for n in (first, last)}
    assert asyncio.run(world.deployer.destroy()) == []


def test_the_lock_of_a_dead_runner_stays_while_a_process_of_its_run_lives(tmp_path: Path) -> None:
    world, mark = small(tmp_path, 1), new_mark()
    first, _ = world.options.port_range
    locks = PortLocks(world.context.cache)
    held_by(locks, first, mark, ended_process())
    left = subprocess.Popen(["sleep", "100"], env={"PATH": os.environ["PATH"], "NODEYARD_RUN": mark.text})
    try:
        with pytest.raises(PortsExhausted):
            asyncio.run(world.deployer.provision(world.deployer.plan(plans(1))))
    finally:
        left.kill()
        left.wait()
    assert asyncio.run(locks.reclaim([first], clock=SystemClock(), deadline=1e12)) == [first]


def test_locks_that_say_nothing_or_of_living_runners_stay(tmp_path: Path) -> None:
    locks = PortLocks(tmp_path)
    me = process.identify(os.getpid())
    assert me
    held_by(locks, 11001, new_mark(), me)
    (locks.folder / "11002").write_text("")
    (locks.folder / "11003").write_text('{"mark": 3}')
    assert asyncio.run(locks.reclaim([11001, 11002, 11003], clock=SystemClock(), deadline=1e12)) == []


def test_a_lock_opens_only_to_its_own_mark(tmp_path: Path) -> None:
    locks, mine, other = PortLocks(tmp_path), new_mark("mine"), new_mark("other")
    assert locks.take([11001, 11002], mine) == [11001, 11002]
    assert locks.take([11002, 11003], other) == [11003]
    assert list(locks.folder.glob(".*")) == [], "no draft is left"
    released = asyncio.run(locks.release([11001, 11002, 11003], mine, clock=SystemClock(), deadline=1e12))
    assert released == [11001, 11002]
    assert locks.taken() == {11003}


def test_reclaiming_at_once_never_removes_a_fresh_lock(tmp_path: Path) -> None:
    """Eight threads reclaim and take the same stale ports; whoever takes one keeps it."""
    locks, numbers = PortLocks(tmp_path), list(range(11000, 11020))
    gone = ended_process()
    for number in numbers:
        held_by(locks, number, new_mark(), gone)
    won: dict[str, list[int]] = {}
    gate = threading.Barrier(8)

    def claim(mark: RunMark) -> None:
        gate.wait()
        won[mark.text] = []
        for _ in range(5):
            asyncio.run(locks.reclaim(numbers, clock=SystemClock(), deadline=1e12))
            won[mark.text] += locks.take(numbers, mark)

    threads = [threading.Thread(target=claim, args=(new_mark(),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(number for some in won.values() for number in some) == numbers
    for mark, some in won.items():
        assert all((lock := locks.read(number)) and lock.mark == mark for number in some)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"ports": {"n0": {"http": 40000}}},
            "port 40000 is in 32768-60999, which outgoing connections take ports from",
        ),
        ({"ports": {"n0": {"http": 0}}}, "greater than or equal to 1"),
        ({"ports": {"n0": {"http": 65536}}}, "less than or equal to 65535"),
        ({"ports": {"n0": {"http": 2000}, "n1": {"http": 2000}}}, "port 2000 is given to n0.http and to n1.http"),
        ({"port_range": (20000, 19000)}, "must ascend"),
        ({"port_range": (20000, 61001)}, "stay clear of 32768"),
        ({"stop_grace": "0s"}, "greater than 0"),
    ],
)
def test_options_that_cannot_work_are_refused_with_the_reason(options: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        LocalOptions(type="local", **options)  # type: ignore[arg-type]
