"""Control over one node: a small required port, and one optional protocol per thing a backend can do more.

A backend supports a capability exactly if its control implements the protocol and does not list it as missing.
All coroutines raise ``OperationFailed`` with evidence when the act was tried and did not succeed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from nodeyard.domain.capability import ALWAYS_GRANTED, Capability
from nodeyard.domain.launch_plan import LaunchPlan
from nodeyard.domain.network_rules import Effect, NetworkRule
from nodeyard.ports.protocols import class_implements


@dataclass(frozen=True)
class NodeState:
    """What the backend knows of a node: ``running``, ``stopped`` (by us), ``exited``, ``paused`` or ``unknown``.

    ``status`` tells how it ended (``exit status 2``, ``killed by SIGKILL``); ``locator`` where it runs now.
    """

    state: str
    locator: str = ""
    status: str = ""

    @property
    def alive(self) -> bool:
        return self.state in {"running", "paused"}


class NodeControl(Protocol):
    """The least that every backend offers for a node."""

    async def state(self) -> NodeState:
        """Ask the backend now. Never raises for a node that is gone: that is a state."""

    def missing(self) -> Mapping[Capability, str]:
        """Capabilities whose protocol is implemented and that this very node cannot do, with the reason."""


@runtime_checkable
class CanStart(Protocol):
    async def start(self) -> None:
        """Start a stopped or on-demand node with its present launch plan. No effect on a running one."""


@runtime_checkable
class CanStop(Protocol):
    async def stop(self) -> None:
        """Ask it to end, then force it after its plan's grace. Returns when it has ended. Idempotent."""


@runtime_checkable
class CanRestart(Protocol):
    async def restart(self) -> None:
        """End it gracefully and start it again; returns when it was started."""


@runtime_checkable
class CanKill(Protocol):
    async def kill(self) -> None:
        """End it at once, without a chance to say goodbye. Returns when it has ended. Idempotent."""


@runtime_checkable
class CanPause(Protocol):
    async def pause(self) -> None:
        """Freeze it; the inverse is in the ledger before. Returns when it is frozen. Idempotent."""

    async def resume(self) -> None:
        """Let it go on. Returns when it runs. Idempotent."""


@runtime_checkable
class CanApply(Protocol):
    async def apply(self, launch: LaunchPlan) -> None:
        """Take over a new launch plan and restart into it."""


@dataclass(frozen=True)
class Launched:
    """What a node runs with now: its arguments, and a digest of each file that was rendered for it."""

    args: tuple[str, ...]
    files: Mapping[str, str]

    def differences(self, later: Launched) -> tuple[str, ...]:
        """What ``later`` has that this has not: arguments, names of files; gone ones in brackets."""
        files = sorted(path for path, digest in later.files.items() if self.files.get(path) != digest)
        added = tuple(arg for arg in later.args if arg not in self.args)
        gone = () if added or files else tuple(f"({arg} gone)" for arg in self.args if arg not in later.args)
        return (*added, *files, *gone)


@runtime_checkable
class ReportsLaunch(Protocol):
    async def launched(self) -> Launched:
        """What the node runs with, read where it runs and not from a plan. No arguments while it does not run."""


@runtime_checkable
class CanWipe(Protocol):
    async def wipe(self) -> None:
        """Empty the data folder of a node that does not run; its config and logs stay. Idempotent.

        Raises ``OperationFailed`` for a node that runs.
        """

    async def data_entries(self) -> int:
        """How many files and folders lie directly in its data folder now."""


@runtime_checkable
class HasLogs(Protocol):
    async def logs(self, *, tail: int | None = None) -> Sequence[str]:
        """The last ``tail`` lines of all its output, or everything, oldest first; also after it ended."""


@runtime_checkable
class HasDiagnostics(Protocol):
    async def diagnostics(self) -> Mapping[str, str]:
        """What the backend knows of a node beyond its output, as texts by file name; also after it ended."""


@dataclass(frozen=True)
class ExecResult:
    """The outcome of a command beside a node."""

    status: int
    stdout: str
    stderr: str


@runtime_checkable
class CanExec(Protocol):
    async def exec(self, argv: Sequence[str], *, timeout: float) -> ExecResult:
        """Run a command where the node runs, with its environment and data folder."""


@dataclass(frozen=True)
class Echo:
    """What came back of packets to an address: how many were sent, and after how many seconds each answer came.

    ``span`` is the time from the first packet to the last answer, ``size`` the bytes of each packet on the wire.
    """

    sent: int
    times: tuple[float, ...]
    span: float
    size: int

    @property
    def answered(self) -> float:
        """The share of packets that came back."""
        return len(self.times) / self.sent if self.sent else 0.0


@runtime_checkable
class CanShapeNetwork(Protocol):
    """Rules on the packets between this node and other nodes. The tester reaches the node as before."""

    async def address(self) -> str:
        """The IPv4 address at which other nodes see this one. Raises ``OperationFailed`` while it has none."""

    async def shape(self, name: str, rules: Sequence[NetworkRule]) -> None:
        """Put rules in force under a name; the inverse is in the ledger before. Touches only what it makes itself."""

    async def shaped(self, name: str) -> Sequence[str]:
        """The rules of that name as they are in force now, read where they act; none: they are not."""

    async def unshape(self, name: str) -> None:
        """Take the rules of that name away. Idempotent."""

    async def echo(self, address: str, *, count: int, size: int, within: float) -> Echo:
        """Send packets to another node's address from inside this node's network, and see what comes back."""


@runtime_checkable
class ShapesNetworks(Protocol):
    """A deployer or attach provider that can say before the run what it cannot do to networks on this machine."""

    async def network_problems(self, effects: Collection[Effect]) -> Sequence[str]:
        """Why these effects cannot be had, one text each. Looks, and changes nothing that lasts."""


@runtime_checkable
class ReportsExit(Protocol):
    async def exited(self) -> NodeState:
        """Return when the present process of the node has ended, at once if it has already. An event, not a poll."""


PROTOCOL_OF: Mapping[Capability, type] = {
    Capability.START: CanStart,
    Capability.STOP: CanStop,
    Capability.RESTART: CanRestart,
    Capability.KILL: CanKill,
    Capability.PAUSE: CanPause,
    Capability.PATCH: CanApply,
    Capability.WIPE: CanWipe,
    Capability.LOGS: HasLogs,
    Capability.EXEC: CanExec,
    Capability.NETWORK: CanShapeNetwork,
}
"""The protocol that makes a control able to do each thing. ``join`` is not a control's."""
WHOLE_CONTROL: frozenset[Capability] = ALWAYS_GRANTED.union(PROTOCOL_OF)
"""What a source can do whose controls have every protocol."""


def supported_by(control: NodeControl) -> frozenset[Capability]:
    """What a control can do on its node."""
    missing = control.missing()
    kind = type(control)
    return frozenset(c for c, protocol in PROTOCOL_OF.items() if class_implements(kind, protocol) and c not in missing)


class NoControl:
    """Control over a node of which only endpoints are known: none."""

    async def state(self) -> NodeState:
        return NodeState("unknown")

    def missing(self) -> Mapping[Capability, str]:
        return {}
