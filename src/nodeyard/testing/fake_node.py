"""One fake node: what a test scripted of it, and how its toy process lives. Held by ``FakeWorld``."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from nodeyard.domain.capability import Capability
from nodeyard.domain.launch_plan import LaunchPlan
from nodeyard.domain.network_rules import NetworkRule
from nodeyard.ports.node_control import ExecResult, NodeState

API_PORT = 8000
PEER_PORT = 8001


class Life(StrEnum):
    """What a fake process does, in the words of ``NodeState``."""

    ABSENT = "unknown"
    RUNNING = "running"
    STOPPED = "stopped"
    EXITED = "exited"
    PAUSED = "paused"


@dataclass(frozen=True)
class Ending:
    """A scripted end of a process: ``after`` seconds, with a status text and last lines."""

    after: float
    status: str
    last_lines: tuple[str, ...]


class FakeNode:
    """Script and life of one node. Every method that scripts returns the node, so that calls can be chained."""

    def __init__(self, name: str, changed: Callable[[FakeNode, str], None]) -> None:
        self.name = name
        self._changed = changed
        self.network_id: str | None = None
        self.scripted_network: str | None = None
        self.genesis: str | None = None
        self.protocol = "1"
        self.api = "1.0.0"
        self.auth: str | None = None
        self.role: str | None = None
        self.peer_id: str = f"peer-{name}"
        self.ready_delay = 0.0
        self.start_delay = 0.0
        self.hanging = False
        self.garbage: str | None = None
        self.diverged = False
        self.lagging = False
        self.behind: tuple[int, int] | None = None
        self.hopeless: str | None = None
        self.stubborn = False
        self.missing: dict[Capability, str] = {}
        self.failures: dict[str, str] = {}
        self.answers: dict[tuple[str, ...], ExecResult] = {}
        self.config: Mapping[str, str] = {}
        self.port = API_PORT
        self.mark: str | None = None
        self.life = Life.ABSENT
        self.status = ""
        self.pid = 0
        self.starts = 0
        self.booted_at = 0.0
        self.launch: LaunchPlan | None = None
        self.lines: list[str] = []
        self.data_entries = 0
        self.rules: dict[str, tuple[NetworkRule, ...]] = {}
        self._endings: list[Ending] = []
        self._boot_ending: Ending | None = None
        self._boot_failures = 0
        self._identity_moves = False
        self._port_moves = False
        self._waiters: list[asyncio.Future[None]] = []

    @property
    def url(self) -> str:
        """Where the tester reaches its API now."""
        return f"http://{self.name}.fake:{self.port}"

    @property
    def alive(self) -> bool:
        return self.life in (Life.RUNNING, Life.PAUSED)

    @property
    def serves(self) -> bool:
        return self.life is Life.RUNNING and not self.hanging

    def ready_after(self, seconds: float) -> FakeNode:
        """The API refuses for so long after each boot."""
        self.ready_delay = seconds
        return self

    def starts_after(self, seconds: float) -> FakeNode:
        """The backend needs so long before the process exists."""
        self.start_delay = seconds
        return self

    def in_network(self, id: str, *, genesis: str | None = None) -> FakeNode:
        """It reports this network, whatever its launch plan says."""
        self.scripted_network, self.genesis = id, genesis
        return self

    def fails_at_boot(
        self, *, status: int = 1, last_lines: Sequence[str] = (), after: float = 0.05, times: int = 1000
    ) -> FakeNode:
        """Each of the next ``times`` boots ends with an exit after so many seconds."""
        self._boot_ending = Ending(after, f"exit status {status}", tuple(last_lines))
        self._boot_failures = times
        return self

    def exits(self, *, after: float, status: int = 1, last_lines: Sequence[str] = ()) -> FakeNode:
        """Its present process, or else its next one, exits so many seconds from now or from its boot; once.

        For a process that is alive already, call it inside the running loop.
        """
        ending = Ending(after, f"exit status {status}", tuple(last_lines))
        if self.alive:
            self._schedule(ending)
        else:
            self._endings.append(ending)
        return self

    def hangs(self, hanging: bool = True) -> FakeNode:
        """It accepts connections and never answers."""
        self.hanging = hanging
        self._changed(self, "hangs" if hanging else "answers again")
        return self

    def talks_nonsense(self, text: str = "<html>welcome</html>") -> FakeNode:
        """It answers with something that is not its protocol."""
        self.garbage = text
        return self

    def demands_auth(self, kind: str) -> FakeNode:
        """It refuses whoever does not come with ``basic``, ``bearer`` or ``header`` authentication."""
        self.auth = kind
        return self

    def diverges(self) -> FakeNode:
        """Its copy of the data differs from the others'."""
        self.diverged = True
        return self

    def lags(self, lagging: bool = True) -> FakeNode:
        """It answers, and does not take over new writes or blocks any more."""
        self.lagging = lagging
        self._changed(self, "lags" if lagging else "catches up")
        return self

    def can_never_be_ready(self, reason: str) -> FakeNode:
        """Each probe of it carries this proof that waiting is in vain."""
        self.hopeless = reason
        return self

    def ignores_stop(self) -> FakeNode:
        """A graceful stop takes the whole grace of its launch plan, then it is forced."""
        self.stubborn = True
        return self

    def changes_identity_on_restart(self) -> FakeNode:
        """Each later boot has a new peer id."""
        self._identity_moves = True
        return self

    def changes_port_on_restart(self) -> FakeNode:
        """Each later boot listens at a new port."""
        self._port_moves = True
        return self

    def cannot(self, capability: Capability, reason: str = "not permitted here") -> FakeNode:
        """Its control reports this capability as missing."""
        self.missing[capability] = reason
        return self

    def fails_at(self, step: str, reason: str = "scripted failure") -> FakeNode:
        """This step of its backend fails until ``recovers``.

        Steps are ``provision``, ``start``, ``stop``, ``kill``, ``pause``, ``resume``, ``apply``, ``logs``, ``exec``
        and ``destroy``.
        """
        self.failures[step] = reason
        return self

    def recovers(self) -> FakeNode:
        """No step fails any more, and boots succeed."""
        self.failures.clear()
        self._boot_failures = 0
        return self

    def answers_exec(self, argv: Sequence[str], result: ExecResult) -> FakeNode:
        """What a command beside it returns; other commands echo themselves."""
        self.answers[tuple(argv)] = result
        return self

    def begin(self, pid: int, now: float, launch: LaunchPlan | None) -> None:
        """Its process starts."""
        self.pid, self.booted_at, self.starts = pid, now, self.starts + 1
        self.launch = launch if launch is not None else self.launch
        if self.starts > 1 and self._identity_moves:
            self.peer_id = f"peer-{self.name}-{self.starts}"
        if self.starts > 1 and self._port_moves:
            self.port += 10
        self.life, self.status = Life.RUNNING, ""
        self.data_entries = max(1, self.data_entries)
        self.lines.append(f"{self.name} started as {self.peer_id}")
        self._changed(self, "booted")
        if self._boot_ending is not None and self._boot_failures > 0:
            self._boot_failures -= 1
            self._schedule(self._boot_ending)
        while self._endings:
            self._schedule(self._endings.pop())

    def end(self, status: str, last_lines: Sequence[str] = (), *, asked: bool = False) -> None:
        """Its process ends; nothing happens when there is none. ``asked``: by an operation on it."""
        if not self.alive:
            return
        self.life, self.status = Life.STOPPED if asked else Life.EXITED, status
        self.lines.extend(last_lines)
        self._changed(self, "stopped" if asked else "exited")
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def killed(self, number: int = signal.SIGKILL) -> None:
        """Its process is ended by a signal from outside of the run."""
        self.end(f"killed by {signal.Signals(number).name}")

    def freeze(self) -> None:
        if self.life is Life.RUNNING:
            self.life = Life.PAUSED
            self._changed(self, "paused")

    def thaw(self) -> None:
        if self.life is Life.PAUSED:
            self.life = Life.RUNNING
            self._changed(self, "resumed")

    def vanish(self) -> None:
        """Nothing remains of it but its log."""
        self.end("removed", asked=True)
        self.life, self.mark = Life.ABSENT, None
        self._changed(self, "removed")

    async def ended(self) -> None:
        """Return when it has no live process."""
        if self.alive:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def seen(self) -> NodeState:
        return NodeState(self.life.value, f"pid {self.pid}" if self.pid else "", self.status)

    def _schedule(self, ending: Ending) -> None:
        pid = self.pid

        def strike() -> None:
            if self.pid == pid:
                self.end(ending.status, ending.last_lines)

        asyncio.get_running_loop().call_later(ending.after, strike)


__all__ = ["API_PORT", "PEER_PORT", "FakeNode", "Life"]
