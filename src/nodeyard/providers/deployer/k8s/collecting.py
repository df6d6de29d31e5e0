"""Finding runs in a cluster whose machine is gone, by their leases, and removing all that they left there.

A run that this machine knows of is its ledger's business; a lease is for everybody else. A namespace that was made
before its lease could be is a run's too, once it is old enough that the lease will not come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lightkube.resources.coordination_v1 import Lease
from lightkube.resources.core_v1 import Namespace

from nodeyard._aio.tasks import side_by_side
from nodeyard.domain.run_identity import RunMark
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import CleanupIncomplete
from nodeyard.ports.plugins import Collection, Leftover
from nodeyard.providers._clients.kube.cluster import Cluster
from nodeyard.providers._clients.kube.config import reach
from nodeyard.providers.deployer.k8s.layout import ANNOTATION, LABEL_MARK
from nodeyard.providers.deployer.k8s.lease import expired
from nodeyard.providers.deployer.k8s.sweep import Sweep

UNLEASED = timedelta(minutes=5)
"""Age at which a run's namespace without a lease belongs to nobody: making the lease takes milliseconds."""


@dataclass(frozen=True)
class _Found:
    mark: RunMark
    namespace: str
    dead: bool


async def collect(context: str, collection: Collection) -> Sequence[Leftover]:
    """See ``ports.plugins.CanCollect``."""
    environment = collection.environment
    cluster = Cluster(reach(context, environment), environment, collection.clock)
    try:
        leases, _ = await cluster.list_all(Lease, None, labels=LABEL_MARK)
        namespaces, _ = await cluster.list_all(Namespace, None, labels=LABEL_MARK)
        now = collection.clock.utc() - timedelta(seconds=collection.older_than)
        found = judged(leases, namespaces, now)
        deadline = collection.clock.now() + collection.within
        outcomes = await side_by_side(lambda item: _collect(cluster, item, deadline, collection.dry_run), found)
        return [_told(item, outcome) for item, outcome in zip(found, outcomes, strict=True)]
    finally:
        await cluster.close()


def judged(leases: Sequence[Any], namespaces: Sequence[Any], now: datetime) -> list[_Found]:
    """Every run there is, and whether it is dead. What carries no whole mark is nobody's and not looked at. Pure."""
    found = [_Found(mark, lease.metadata.namespace, expired(lease, now)) for lease in leases if (mark := _mark(lease))]
    known = {(item.mark, item.namespace) for item in found}
    for namespace in namespaces:
        mark, name = _mark(namespace), namespace.metadata.name
        if mark is not None and (mark, name) not in known:
            found.append(_Found(mark, name, now > namespace.metadata.creationTimestamp + UNLEASED))
    return found


def _mark(item: Any) -> RunMark | None:
    return RunMark.parse((item.metadata.annotations or {}).get(ANNOTATION, ""))


async def _collect(cluster: Cluster, item: _Found, deadline: float, dry_run: bool) -> Leftover:
    if not item.dead:
        return Leftover(item.mark.run, item.namespace, live=True)
    sweep = Sweep(cluster, item.namespace, item.mark, deadline)
    if dry_run:
        return Leftover(item.mark.run, item.namespace, resources=tuple(await sweep.names()))
    swept = await sweep.everything(owns_namespace=True)
    left = list(swept.left.values())
    error = CleanupIncomplete(f"not everything would go: {left[0]}", evidence=left) if left else None
    return Leftover(item.mark.run, item.namespace, resources=swept.objects, error=error)


def _told(item: _Found, outcome: Leftover | Exception) -> Leftover:
    if isinstance(outcome, NodeyardError):
        return Leftover(item.mark.run, item.namespace, error=outcome)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
