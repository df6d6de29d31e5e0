"""The lease of a run: a sign in the cluster itself that its runner lives, for whoever cannot see the runner."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from lightkube.resources.coordination_v1 import Lease

from nodeyard.errors.base import NodeyardError
from nodeyard.providers.deployer.k8s import manifests
from nodeyard.providers.deployer.k8s.manifests import Owner
from nodeyard.providers.deployer.k8s.run import Run

SHARE = 3.0
"""Of its duration passes between two renewals: two may be lost."""


class Keeping:
    """Renews the lease of one run until ``end`` or ``leave``."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> Owner:
        """Make the lease and go on renewing it; it is the owner of everything that is made after it."""
        made: Any = await self._apply(self._run.options.lease)
        self._task = asyncio.create_task(self._renew(), name="kube-lease")
        return Owner(made.metadata.name, made.metadata.uid)

    async def end(self) -> None:
        """Renew no more. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def leave(self, ttl: float) -> None:
        """Let it hold for ``ttl`` seconds more, and renew no more."""
        await self.end()
        if self._run.owner is not None:
            await self._apply(ttl + self._run.options.lease)

    async def _renew(self) -> None:
        clock = self._run.context.clock
        while True:
            await clock.sleep(self._run.options.lease / SHARE)
            with suppress(NodeyardError):  # a cluster that is away: the watch and every operation tell it
                await self._apply(self._run.options.lease)

    async def _apply(self, seconds: float) -> Lease:
        now = self._run.context.clock.utc().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        made: Lease = await self._run.cluster.apply(manifests.owner(self._run.layout, seconds=seconds, renewed=now))
        return made


def expired(lease: Lease, now: datetime) -> bool:
    """Whether nobody renewed a lease in its time. One that never began, or cannot be read, counts as held. Pure."""
    spec = lease.spec
    if spec is None or spec.renewTime is None or spec.leaseDurationSeconds is None:
        return False
    return now > spec.renewTime + timedelta(seconds=spec.leaseDurationSeconds)
