"""``injected``: a fault's guard as an async context manager that injects, proves, heals, and proves that it healed.

Whatever ends the block (its end, an error, cancellation), healing runs, shielded and with a time of its own. What was
seen stands in the ``Injection``; whether that is good is decided by ``fault_verdict``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from nodeyard._aio.tasks import shielded
from nodeyard.domain.events import FaultHealed, FaultInjected, FaultProven
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.runtime import RuntimeFailure
from nodeyard.ports.observer import Emit
from nodeyard.runtime.steps.protocols import FaultGuard, Proof

HEALING = 60.0
"""Seconds for undoing a fault. A control gives up by itself earlier; this bounds one that hangs."""
LAST_HEALING = 8.0
"""Seconds for undoing a fault once the run was ended: less than cancelled work may take for its cleanup."""
LAST_LOOK = 3.0
"""Seconds for a look whether the fault is over, when whoever waits for it was ended or healing failed."""


@dataclass
class Injection:
    """What was seen of one injection. A proof is missing where nobody could look.

    ``refused`` is why it could not be injected, ``broken`` why it could not be kept up, ``stuck`` why it could not be
    undone. ``cut`` says that the run ended
    before the nodes had their time to recover.
    """

    nodes: tuple[str, ...]
    refused: NodeyardError | None = None
    proof: Proof | None = None
    broken: NodeyardError | None = None
    stuck: NodeyardError | None = None
    healed: Proof | None = None
    cut: bool = False

    @property
    def proven(self) -> bool:
        return self.proof is not None and self.proof.proven

    @property
    def over(self) -> bool:
        """The harm was seen to be over."""
        return self.healed is not None and self.healed.proven


@asynccontextmanager
async def injected(guard: FaultGuard, *, fault: str, nodes: Sequence[str], emit: Emit) -> AsyncIterator[Injection]:
    """The block runs while the fault is open, also when it was not proven: ``Injection.proven`` says so.

    Errors of the guard are kept in the ``Injection``; errors of the block, defects and cancellation are raised.
    """
    seen = Injection(tuple(nodes), cut=True)
    left = False
    try:
        await _inject(guard, seen, fault, emit)
        yield seen
        left = True
    finally:
        cancelled = await _heal_anyway(guard, seen, hurried=not left)
        left = left and cancelled is None
        if left and seen.stuck is None:
            await _look(guard, seen, fault, emit, within=None)
        else:
            await shielded(_look(guard, seen, fault, emit, within=LAST_LOOK), within=2 * LAST_LOOK)
        seen.cut = not left
        if cancelled is not None:
            raise cancelled


async def _inject(guard: FaultGuard, seen: Injection, fault: str, emit: Emit) -> None:
    try:
        await guard.inject()
    except NodeyardError as error:
        seen.refused = error
        return
    for node in seen.nodes:
        emit(FaultInjected(node=node, fault=fault))
    try:
        seen.proof = await guard.prove()
    except NodeyardError as error:
        seen.proof = Proof(False, f"could not be looked at: {error.message}")
    if seen.proof.proven:
        for node in seen.nodes:
            emit(FaultProven(node=node, fault=fault, evidence=seen.proof.evidence))


async def _heal_anyway(guard: FaultGuard, seen: Injection, *, hurried: bool) -> asyncio.CancelledError | None:
    """Heal although the caller is cancelled; from its cancellation on there is less time. Returns the cancellation."""
    now = asyncio.get_running_loop().time
    limit = now() + (LAST_HEALING if hurried else HEALING)
    healing = asyncio.ensure_future(guard.heal())
    cancelled: asyncio.CancelledError | None = None
    while not healing.done() and now() < limit:
        try:
            await asyncio.wait({healing}, timeout=limit - now())
        except asyncio.CancelledError as error:
            limit = min(limit, now() + LAST_HEALING)
            cancelled = error
    if not healing.done():
        healing.cancel()
        await asyncio.wait({healing}, timeout=1.0)
        seen.stuck = RuntimeFailure("healing did not end in time", operation="heal", hint="see what the node does")
    else:
        seen.stuck = _error_of(healing)
    return cancelled


def _error_of(healing: asyncio.Future[None]) -> NodeyardError | None:
    try:
        healing.result()
    except NodeyardError as error:
        return error
    return None


async def _look(guard: FaultGuard, seen: Injection, fault: str, emit: Emit, *, within: float | None) -> None:
    try:
        async with asyncio.timeout(within):
            seen.healed = await guard.prove_healed()
    except TimeoutError:
        seen.healed = Proof(False, f"was not seen to be over within {within}s")
    except NodeyardError as error:
        seen.healed = Proof(False, f"could not be looked at: {error.message}")
    if seen.over:
        for node in seen.nodes:
            emit(FaultHealed(node=node, fault=fault, evidence=seen.healed.evidence))
