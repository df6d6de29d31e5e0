"""A node of a run that another process started: its commands run in its own environment, as its runner's would."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from nodeyard.domain.run_identity import MARK_VARIABLE
from nodeyard.errors.provider import OperationFailed
from nodeyard.ports.node_control import ExecResult
from nodeyard.ports.plugins import Visit
from nodeyard.providers._clients import process
from nodeyard.providers._clients.netns.namespace import Namespace
from nodeyard.providers._clients.process_run import run_briefly
from nodeyard.providers.deployer.local.resources import PROCESS, process_of


class LocalVisitor:
    """Implements ``ports.node_control.CanExec`` for one running node."""

    def __init__(self, node: str, visit: Visit) -> None:
        self._node = node
        self._visit = visit

    async def exec(self, argv: Sequence[str], *, timeout: float) -> ExecResult:
        """See the port. The command carries the run's mark, so that cleanup finds whatever it leaves running."""
        environment, cwd, inside = self._environment()
        try:
            done = await run_briefly(inside.inside(argv) if inside else argv, cwd=cwd, env=environment, timeout=timeout)
        except TimeoutError:
            raise self._failed(f"'{argv[0]}' did not end within {timeout:g} s", "give it more --timeout") from None
        except OSError as error:
            raise self._failed(f"'{argv[0]}' cannot be run: {error.strerror}", "name a program") from error
        return ExecResult(done.code, done.stdout, done.stderr)

    def _environment(self) -> tuple[dict[str, str], Path, Namespace | None]:
        """What the node's process was started with, and its network if it is not ours, once it is certain that the
        process is this run's.
        """
        for entry in reversed(self._visit.entries):
            who = process_of(entry.data) if entry.type == PROCESS and entry.node == self._node else None
            if who is None or not process.alive(who):
                continue
            environment = process.parse_environment(process.raw_environment(who.pid))
            cwd = Path(f"/proc/{who.pid}/cwd")
            if environment.get(MARK_VARIABLE) == self._visit.mark.text:
                theirs = os.readlink(f"/proc/{who.pid}/ns/net")
                apart = theirs != os.readlink("/proc/self/ns/net")
                return environment, cwd.resolve(), Namespace(who=who) if apart else None
        raise self._failed("no process of it runs", "'nodeyard logs' shows its last words")

    def _failed(self, message: str, hint: str) -> OperationFailed:
        return OperationFailed(message, node=self._node, operation="exec", hint=hint)
