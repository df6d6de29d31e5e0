"""The one place that acts on nodes: it authorises at call time, tells, acts, waits and has the node identified again.

Nothing else reaches a control. Must not live here: which nodes a step means (``network``), and how a kind renders or
a backend acts.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from math import inf
from typing import TypeVar, cast

from nodeyard._aio.clock import Clock
from nodeyard.domain.capability import Capability, authorize
from nodeyard.domain.events import OperationDenied as DeniedEvent
from nodeyard.domain.events import OperationEnded, OperationStarted
from nodeyard.domain.node_client import Identification, Probe
from nodeyard.domain.policy import ReadinessSpec
from nodeyard.domain.sources import Scalar
from nodeyard.errors.runtime import OperationDenied, ProtocolUnsupported, RuntimeFailure
from nodeyard.ports.bootstrapped import Binding, Bootstrapped
from nodeyard.ports.kind import CanReadmit
from nodeyard.ports.node_control import (
    CanApply,
    CanExec,
    CanKill,
    CanPause,
    CanRestart,
    CanShapeNetwork,
    CanStart,
    CanStop,
    CanWipe,
    ExecResult,
    HasLogs,
    Launched,
    NodeControl,
    NodeState,
    ReportsLaunch,
)
from nodeyard.ports.observer import Emit
from nodeyard.ports.protocols import implements
from nodeyard.ports.readiness import ReadinessGate
from nodeyard.runtime.guarded_client import GuardedClient
from nodeyard.runtime.live_inventory import LiveInventory
from nodeyard.runtime.patching import configured_launch, updated_peers
from nodeyard.runtime.readmission import READMISSION, owned_peers, readmitted, refuse_unowned
from nodeyard.runtime.turns import Turns

P = TypeVar("P")
T = TypeVar("T")


class NodeOps:
    """Operations on nodes by id. ``readiness`` gives the time and the number of probes of each wait for one node;
    its policy does not apply to a single node. ``deadline`` is a time of the clock that no wait goes past.

    An operation whose caller is cancelled is carried through by its backend, before the next one on its node.
    """

    def __init__(
        self,
        bootstrapped: Bootstrapped,
        *,
        live: LiveInventory,
        gate: ReadinessGate,
        clock: Clock,
        emit: Emit,
        readiness: ReadinessSpec = ReadinessSpec(),
        deadline: float = inf,
    ) -> None:
        self._bindings = dict(bootstrapped.bindings)
        self._live = live
        self._gate = gate
        self._clock = clock
        self._emit = emit
        self._readiness = ReadinessSpec(timeout=readiness.timeout, consecutive=readiness.consecutive)
        self._deadline = deadline
        self._turns = Turns()
        self._unidentified: set[str] = set()

    async def close(self) -> None:
        """End operations that go on although whoever asked for them was cancelled."""
        await self._turns.close()

    async def settled(self, node: str) -> None:
        """Return when no operation on this node is under way."""
        await self._turns.free(self._live.handle(node).id)

    # --- lifecycle -------------------------------------------------------------------------------------------------

    async def start(self, node: str, *, wait: bool = True) -> None:
        """Start a stopped or on-demand node."""
        async with self._told(node, "start", Capability.START):
            await self._act(node, "start", Capability.START, CanStart, lambda control: control.start())
            await self._ready_again(node, "start", wait=wait)

    async def stop(self, node: str) -> None:
        """Stop a node gracefully; returns when it has ended."""
        async with self._told(node, "stop", Capability.STOP):
            await self._act(node, "stop", Capability.STOP, CanStop, lambda control: control.stop())

    async def restart(self, node: str, *, wait: bool = True) -> None:
        """Stop a node gracefully and start it again."""
        async with self._told(node, "restart", Capability.RESTART):
            await self._act(node, "restart", Capability.RESTART, CanRestart, lambda control: control.restart())
            await self._ready_again(node, "restart", wait=wait)

    async def kill(self, node: str) -> None:
        """End a node at once; returns when it has ended."""
        async with self._told(node, "kill", Capability.KILL):
            await self._act(node, "kill", Capability.KILL, CanKill, lambda control: control.kill())

    async def pause(self, node: str) -> None:
        """Freeze a node."""
        async with self._told(node, "pause", Capability.PAUSE):
            await self._act(node, "pause", Capability.PAUSE, CanPause, lambda control: control.pause())

    async def resume(self, node: str, *, wait: bool = True) -> None:
        """Let a frozen node go on; it takes the capability ``pause``."""
        async with self._told(node, "resume", Capability.PAUSE):
            await self._act(node, "resume", Capability.PAUSE, CanPause, lambda control: control.resume())
            await self._ready_again(node, "resume", wait=wait)

    async def patch(self, node: str, config: Mapping[str, Scalar], *, wait: bool = True) -> None:
        """Merge ``config`` into the node's own, render it anew and restart the node into it.

        Raises ``RuntimeFailure`` for a node that this run did not launch, and for config that its kind refuses.
        """
        present = self.binding(node).plan
        await self.configure(node, {**(present.config if present is not None else {}), **config}, wait=wait)

    async def configure(self, node: str, config: Mapping[str, Scalar], *, wait: bool = True) -> None:
        """Give the node this config in place of its own; otherwise as ``patch``."""
        async with self._told(node, "patch", Capability.PATCH):
            await self._act(
                node, "patch", Capability.PATCH, CanApply, lambda control: self._apply(control, node, config)
            )
            await self._ready_again(node, "patch", wait=wait)

    async def _apply(self, control: CanApply, node: str, config: Mapping[str, Scalar]) -> None:
        plan, launch = configured_launch(self.binding(node), node, config)
        await control.apply(launch)
        self._bindings = updated_peers(self._bindings, plan)

    async def wipe(self, node: str) -> None:
        """Empty the data folder of a node that does not run.

        Raises ``RuntimeFailure`` for a member of a borrowed network that would have to be changed to take it back.
        """
        async with self._told(node, "wipe", Capability.WIPE):
            refuse_unowned(self._live.current, self.binding(node).kind, self._live.handle(node))
            await self._act(node, "wipe", Capability.WIPE, CanWipe, lambda control: control.wipe())

    async def readmit(self, node: str) -> None:
        """Start a node whose data is lost; a kind whose networks list their members has it taken in anew before."""
        async with self._told(node, "readmit", Capability.START):
            if isinstance(self.binding(node).kind, CanReadmit):
                await self._act(
                    node, "readmit", Capability.START, CanApply, lambda control: self._readmit(control, node)
                )
            else:
                await self._act(node, "readmit", Capability.START, CanStart, lambda control: control.start())
            await self._ready_again(node, "readmit", wait=False)

    async def _readmit(self, control: CanApply, node: str) -> None:
        handle = self._live.handle(node)
        others = [h.id for h in owned_peers(self._live.current, handle)]
        running = [name for name in others if (await self.state(name)).state == "running"]
        through = {name: self.binding(name).client for name in running}
        limit = min(self._deadline, self._clock.now() + READMISSION)
        binding, launch = await readmitted(self.binding(node), handle.id, through, clock=self._clock, deadline=limit)
        self._bindings[handle.id] = binding
        await control.apply(launch)

    async def exec(self, node: str, argv: Sequence[str], *, timeout: float) -> ExecResult:
        """Run a command where the node runs; any exit status is a result."""
        async with self._told(node, "exec", Capability.EXEC):
            return await self._act(
                node, "exec", Capability.EXEC, CanExec, lambda control: control.exec(argv, timeout=timeout), alone=False
            )

    # --- reads: authorised like everything else, but not told, since waits repeat them ------------------------------

    async def logs(self, node: str, *, tail: int | None = None) -> Sequence[str]:
        """The node's output, oldest line first."""
        return await self._act(
            node, "logs", Capability.LOGS, HasLogs, lambda control: control.logs(tail=tail), alone=False
        )

    async def data_entries(self, node: str) -> int:
        """How many files and folders lie directly in the node's data folder."""
        return await self._act(
            node, "look at data", Capability.WIPE, CanWipe, lambda control: control.data_entries(), alone=False
        )

    async def launched(self, node: str) -> Launched:
        """What the node runs with now: whoever may patch it may look."""
        return await self._act(
            node, "look at launch", Capability.PATCH, ReportsLaunch, lambda control: control.launched(), alone=False
        )

    async def state(self, node: str) -> NodeState:
        """What the backend of the deciding origin knows of the node now."""
        return await self.permit(node, "state", Capability.QUERY).state()

    async def identify(self, node: str, *, timeout: float) -> Identification:
        """Ask a node who it is."""
        self.permit(node, "identify", Capability.QUERY)
        return await self.binding(node).client.identify(timeout=timeout)

    async def probe(self, node: str, *, timeout: float) -> Probe:
        """Look at a node once."""
        self.permit(node, "probe", Capability.QUERY)
        return await self.binding(node).client.probe(timeout=timeout)

    def client(self, node: str, protocol: Callable[..., P]) -> P:
        """The node's client as one of the client protocols; each call of it is authorised when it is made.

        Raises ``ProtocolUnsupported`` when the kind does not speak it.
        """
        if not self.speaks(node, protocol):
            spoken = ", ".join(p.__name__ for p in self.binding(node).kind.protocols) or "none"
            wanted = getattr(protocol, "__name__", str(protocol))
            raise ProtocolUnsupported(
                f"a node of kind '{self._live.handle(node).kind}' does not speak {wanted}",
                node=node,
                hint=f"it speaks {spoken}; choose other nodes with 'target:'",
            )
        guarded = GuardedClient(self.binding(node).client, lambda cap: self.permit(node, f"client ({cap})", cap))
        return cast("P", guarded)

    def speaks(self, node: str, protocol: Callable[..., object]) -> bool:
        return implements(self.binding(node).client, protocol)

    def binding(self, node: str) -> Binding:
        """The live side of a node. Raises ``RuntimeFailure`` for one that bootstrap bound to nothing."""
        node = self._live.handle(node).id
        found = self._bindings.get(node)
        if found is None:
            raise RuntimeFailure("the node has no client", node=node, hint="it was not reachable when the run began")
        return found

    # --- the rule, and what follows an act ---------------------------------------------------------------------------

    def permit(self, node: str, operation: str, capability: Capability) -> NodeControl:
        """The control of the origin that allows ``capability`` now. Raises ``OperationDenied``, and tells it."""
        handle = self._live.handle(node)
        decision = authorize(handle, capability)
        if not decision.allowed or decision.origin is None:
            self._emit(DeniedEvent(node=handle.id, operation=operation, reason=decision.reason))
            raise OperationDenied(decision.reason, node=handle.id, operation=operation, hint=decision.hint)
        return self.binding(handle.id).control_of(decision.origin)

    async def barrier(self, spec: ReadinessSpec, nodes: Collection[str] | None = None) -> None:
        """Wait until ``nodes`` (all: ``None``) meet a policy, and identify those that nobody waited for before."""
        limit = min(self._deadline, self._clock.now() + spec.timeout)
        await self._gate.wait(nodes, spec, deadline=limit)
        due = {n for n in self._unidentified if nodes is None or n in nodes}
        running = {n for n in due if (await self.state(n)).state in {"running", "unknown"}}
        if running:
            await self._identify(running, reason="ready after a step that did not wait")

    @property
    def deadline(self) -> float:
        """The time of the clock that no wait goes past: the run's."""
        return self._deadline

    async def ready_again(self, nodes: Collection[str]) -> None:
        """Wait until each of these nodes is ready, and identify those that nobody waited for before.

        Raises ``NotReady``.
        """
        await self.barrier(self._readiness, [self._live.handle(node).id for node in nodes])

    async def address(self, node: str) -> str:
        """The IPv4 address at which other nodes see this one. Raises ``RuntimeFailure`` where nobody can tell."""
        control = self.permit(node, "address", Capability.QUERY)
        if isinstance(control, CanShapeNetwork):
            return await control.address()
        hosts = [s.address.host for s in self._live.handle(node).sightings if s.address is not None]
        if not hosts or not _routable(hosts[0]):
            raise RuntimeFailure(
                "at which address other nodes see it is not known, so nothing can be said of packets from it",
                node=node,
                evidence=[f"the tester reaches it at {host}" for host in hosts],
                hint="name the nodes of the fault with 'target:' and 'peers:'",
            )
        return hosts[0]

    async def on_network(
        self, node: str, operation: str, act: Callable[[CanShapeNetwork], Awaitable[T]], *, told: bool
    ) -> T:
        """An act on what reaches a node over its network; ``told`` for those that change something."""
        if not told:
            return await self._act(node, operation, Capability.NETWORK, CanShapeNetwork, act, alone=False)
        async with self._told(node, operation, Capability.NETWORK):
            return await self._act(node, operation, Capability.NETWORK, CanShapeNetwork, act)

    async def _act(
        self,
        node: str,
        operation: str,
        capability: Capability,
        protocol: Callable[..., P],
        act: Callable[[P], Awaitable[T]],
        *,
        alone: bool = True,
    ) -> T:
        """Authorise, then act, on one node one at a time; a wait for readiness is outside, so that it can be helped."""

        async def permitted() -> T:
            return await act(self._control(node, operation, capability, protocol))

        return await (self._turns.take(self._live.handle(node).id, permitted) if alone else permitted())

    def _control(self, node: str, operation: str, capability: Capability, protocol: Callable[..., P]) -> P:
        control = self.permit(node, operation, capability)
        if not isinstance(control, cast("type", protocol)):
            raise RuntimeFailure(
                f"the control of this node cannot '{operation}', although its origin says so",
                node=node,
                operation=operation,
                hint="this is a defect of the node's provider; its conformance suite shows it",
            )
        return cast("P", control)

    @asynccontextmanager
    async def _told(self, node: str, operation: str, capability: Capability) -> AsyncIterator[None]:
        """Events around an operation; a denial is told instead of a start."""
        self.permit(node, operation, capability)
        node = self._live.handle(node).id
        begun = self._clock.now()
        self._emit(OperationStarted(node=node, operation=operation))
        outcome, reason = "done", ""
        try:
            yield
        except asyncio.CancelledError:
            outcome, reason = "cancelled", "the step was ended"
            raise
        except Exception as error:
            outcome, reason = "failed", getattr(error, "message", str(error))
            raise
        finally:
            after = self._clock.now() - begun
            self._emit(OperationEnded(node=node, operation=operation, outcome=outcome, after=after, reason=reason))

    async def _ready_again(self, node: str, operation: str, *, wait: bool) -> None:
        node = self._live.handle(node).id
        self._unidentified.add(node)
        if not wait:
            return
        limit = min(self._deadline, self._clock.now() + self._readiness.timeout)
        await self._gate.wait([node], self._readiness, deadline=limit)
        await self._identify({node}, reason=f"after {operation}")

    async def _identify(self, nodes: Collection[str], *, reason: str) -> None:
        self._live.accept(await self._gate.identify_again(sorted(nodes), reason=reason))
        self._unidentified.difference_update(nodes)


def _routable(host: str) -> bool:
    """Whether a host is an IPv4 address that means the same node everywhere."""
    try:
        return not IPv4Address(host).is_loopback
    except ValueError:
        return False
