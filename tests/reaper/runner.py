"""A small runner that does what it is told, one line at a time, and answers each line with one line.

``python runner.py STATE RUN``; prints ``ready`` first. Its nodes are ``sleep`` processes in the entries of the local
deployer.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from nodeyard._aio.clock import SystemClock
from nodeyard.app.reaper_link import ReaperLink
from nodeyard.errors.base import NodeyardError
from nodeyard.ledger.gate import ReaperGate
from nodeyard.ledger.host import new_mark, this_process
from nodeyard.ledger.ledger import FileLedger
from nodeyard.ledger.state import Header
from nodeyard.providers._clients import process
from nodeyard.providers.deployer.local import folders
from nodeyard.providers.deployer.local.resources import BY, FOLDERS, PROCESS, process_data


class Runner:
    def __init__(self, state: Path, run: str) -> None:
        mark = new_mark(run)
        header = Header(mark, this_process(), str(state / run), "toy", datetime.now(UTC), str(state))
        self.gate = ReaperGate()
        self.ledger = FileLedger(state, header, gate=self.gate)
        # As if it ran in a node of its own run: the reaper must lose the mark.
        environment = {**os.environ, "NODEYARD_RUN": mark.text, "TOY": "1"}
        self.link = ReaperLink(self.ledger, self.gate, clock=SystemClock(), environment=environment)
        self.folder = state / run / "n0"

    async def start(self) -> str:
        """A node whose pid is in the ledger."""
        entry = await self.ledger.record(BY, PROCESS, node="n0", data={})
        pid = self._sleep({})
        who = process.identify(pid)
        assert who
        self.ledger.amend(entry, process_data(who))
        return str(pid)

    async def forget(self) -> str:
        """A node whose pid never came to the ledger."""
        await self.ledger.record(BY, PROCESS, node="n0", data={})
        return str(self._sleep({"NODEYARD_RUN": self.ledger.mark.text, "NODEYARD_NODE": "n0"}))

    async def make(self) -> str:
        """A folder of a node."""
        await self.ledger.record(BY, FOLDERS, node=None, data={"paths": [str(self.folder)]})
        folders.make(self.folder, self.ledger.mark, node="n0")
        return str(self.folder)

    async def strange(self) -> str:
        """Something that no installed plugin can remove."""
        return (await self.ledger.record("deployer:absent", "thing", node="n0", data={})).id

    async def fork(self) -> str:
        """A child that never becomes another program, and so holds every descriptor of ours."""
        pid = os.fork()
        while pid == 0:
            signal.pause()
        return str(pid)

    async def detach(self, ttl: str) -> str:
        await self.link.detach(float(ttl))
        await self.link.detach(float(ttl))
        return "detached"

    async def finish(self) -> str:
        await self.link.finish()
        await self.link.finish()
        return "finished"

    def _sleep(self, env: dict[str, str]) -> int:
        child = subprocess.Popen(["/bin/sleep", "1000"], env=env, start_new_session=True)
        child.returncode = 0
        return child.pid


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def obey(runner: Runner) -> str:
    """Do as told until ``leave``, ``raise`` or the end of the lines."""
    while line := (await asyncio.to_thread(sys.stdin.readline)).split():
        match line:
            case ["leave"]:
                return "left"
            case ["raise"]:
                raise LookupError("as it is")
            case [word, *arguments]:
                try:
                    answer = await getattr(runner, word)(*arguments)
                except NodeyardError as error:
                    answer = f"{error.code}: {error.message}"
        say(answer)
    return ""


async def main() -> None:
    runner = Runner(Path(sys.argv[1]), sys.argv[2])
    say("ready")
    try:
        async with runner.link:
            left = await obey(runner)
    except LookupError as error:
        left = f"raised {error}"
    if left:
        say(left)
        await asyncio.to_thread(sys.stdin.readline)


asyncio.run(main())
