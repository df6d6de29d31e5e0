"""A command that changes networks and outlives its runner: what it would make must not come after the cleanup."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from compose.command import Yard
from compose.conftest import engine, etcd_image, foreign, yard
from compose.projects import Foreign
from e2e.conftest import nodeyard, ports
from e2e.support import Nodeyard, all_processes, gone_soon, wait_for

from .support import PATH, namespaces, needs, needs_root, rules_in
from .test_borrowed import pids, scenario

pytestmark = pytest.mark.real
__all__ = ["engine", "etcd_image", "foreign", "nodeyard", "ports", "yard"]


class Held:
    """A program in front of a real one that stands still where its arguments have a word, until it is let go."""

    def __init__(self, home: Nodeyard, program: str, word: str) -> None:
        folder = home.path / "held"
        folder.mkdir()
        self.script, self._reached, self._gate = folder / program, folder / "reached", folder / "gate"
        os.mkfifo(self._gate)
        real = shutil.which(program, path=PATH)
        hold = f": > {self._reached}; read -r _ < {self._gate}"
        self.script.write_text(f'#!/bin/sh\ncase "$*" in *{word}*) {hold};; esac\nexec {real} "$@"\n')
        self.script.chmod(0o755)
        home.extra = {**home.extra, "PATH": f"{folder}:{PATH}"}

    def wait(self) -> None:
        wait_for(self._reached.exists, f"{self.script.name} is asked")

    def let_go(self) -> None:
        """Let it go on, if it is still there, to its end."""
        with suppress(OSError):  # nobody waits any more: it was ended
            os.close(os.open(self._gate, os.O_WRONLY | os.O_NONBLOCK))
        wait_for(lambda: not self._runs(), f"{self.script.name} has ended")

    def _runs(self) -> bool:
        return any(bytes(self.script) in process.carries for process in all_processes())


@pytest.mark.parametrize("stage", ["netns add", "bridge"])
def test_networks_that_are_made_while_the_runner_is_killed(stage: str, nodeyard: Nodeyard) -> None:
    needs_root()
    word = {"netns add": "-batch", "bridge": "-n*-batch"}[stage]
    held = Held(nodeyard, "ip", word)
    runner = nodeyard.start("run", nodeyard.write({"source": nodeyard.managed(deployer={"isolation": "netns"})}))
    held.wait()
    run = runner.run
    runner.kill()
    gone_soon(nodeyard)
    held.let_go()
    assert namespaces(run) == []
    assert not cable_of(run)


def test_rules_that_are_put_in_force_while_the_runner_is_killed(yard: Yard, foreign: Foreign) -> None:
    needs("compose")
    held = Held(yard.home, "iptables-restore", "--noflush")
    before = {pid: rules_in(pid) for pid in pids(foreign).values()}
    runner = yard.start(scenario(foreign, "network"))
    held.wait()
    runner.kill()
    yard.gone_soon()
    held.let_go()
    assert {pid: rules_in(pid) for pid in pids(foreign).values()} == before


def test_a_node_with_the_name_of_what_is_in_the_middle(nodeyard: Nodeyard) -> None:
    needs_root()
    source = nodeyard.managed(deployer={"isolation": "netns"}, name="hub")
    done = nodeyard("run", nodeyard.write({"source": source}), "--json")
    assert done.document["errors"] == []
    assert namespaces(nodeyard.only_run().name) == []


def cable_of(run: str) -> list[str]:
    """The machine's interfaces that carry the mark of a run."""
    aliases = {path.parent.name: path.read_text() for path in Path("/sys/class/net").glob("*/ifalias")}
    return [name for name, alias in aliases.items() if alias.startswith(f"nodeyard {run}@")]
