"""A network namespace, and commands that run inside of it. Needs root, or the rights of it over networks.

Nothing but the network changes for a command: it is a program of this machine with the files of this machine.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nodeyard.domain.run_identity import MARK_VARIABLE, RunMark
from nodeyard.ports.ledger import Json, RemovalContext
from nodeyard.providers._clients import process, process_sweep
from nodeyard.providers._clients.process import ProcessId
from nodeyard.providers._clients.process_run import Finished, run_briefly
from nodeyard.providers._clients.process_sweep import NODE_VARIABLE

QUICK = 10.0
"""Seconds for a command of ``ip``, ``iptables`` or ``tc``: each takes milliseconds unless another one holds a lock."""
MACHINE = Path("/")
NOBODY = "..network"
"""In place of the node in the environment of a command; no node can have this name."""


@dataclass(frozen=True)
class Namespace:
    """Named by ``path``, a file that stands for it, or else by a process that lives in it."""

    path: str = ""
    who: ProcessId | None = None

    @property
    def file(self) -> str:
        return self.path or (f"/proc/{self.who.pid}/ns/net" if self.who is not None else "")

    @property
    def exists(self) -> bool:
        if self.who is not None and not process.alive(self.who):
            return False
        return os.path.exists(self.file)

    def inside(self, argv: Sequence[str]) -> tuple[str, ...]:
        """The command line that runs ``argv`` in the namespace; it becomes that program, with the same pid."""
        return ("nsenter", f"--net={self.file}", "--", *argv)

    def data(self) -> dict[str, Json]:
        """The namespace for the ledger."""
        if self.who is None:
            return {"namespace": self.path}
        return {"pid": self.who.pid, "start": self.who.start, "boot": self.who.boot}

    @staticmethod
    def of(data: Mapping[str, Json]) -> Namespace:
        pid, start, boot = data.get("pid"), data.get("start"), data.get("boot")
        if isinstance(pid, int) and isinstance(start, int) and isinstance(boot, str):
            return Namespace(who=ProcessId(pid, start, boot))
        return Namespace(str(data.get("namespace", "")))


@dataclass(frozen=True)
class Commands:
    """Runs programs of this machine. ``environment`` is what they get: the path to them, and the mark of the run."""

    environment: Mapping[str, str]

    @staticmethod
    def of(environment: Mapping[str, str], mark: RunMark) -> Commands:
        """Commands that change something for a run: marked, so that ``end_commands`` finds those that outlive it."""
        return Commands({**environment_of(environment), MARK_VARIABLE: mark.text, NODE_VARIABLE: NOBODY})

    async def run(self, argv: Sequence[str], text: str = "", *, within: float = QUICK) -> Finished:
        """To its end, with ``text`` to read. Raises ``OSError`` when it cannot be run and ``TimeoutError`` when it does
        not end.
        """
        return await run_briefly(argv, cwd=MACHINE, env=self.environment, timeout=within, text=text)


async def end_commands(context: RemovalContext) -> None:
    """End the commands of a run that was killed amid them: what is undone now, they would do after it.

    Raises ``TimeoutError`` for one that would not end.
    """
    _, left = await process_sweep.end_all(
        context.mark, (), clock=context.clock, deadline=context.deadline, of_node=NOBODY
    )
    if left.members:
        raise TimeoutError(f"processes {', '.join(map(str, sorted(left.members)))} of the run would not end")


def environment_of(given: Mapping[str, str]) -> dict[str, str]:
    """Where programs are; the administrator's folders too, which a user's path may lack."""
    path = given.get("PATH", os.defpath)
    more = [folder for folder in ("/usr/sbin", "/sbin", "/usr/bin", "/bin") if folder not in path.split(":")]
    return {"PATH": ":".join((path, *more)), "LANG": "C.UTF-8"}
