"""Removing what a run left in a cluster, from its ledger entries alone: in the session, the reaper and gc."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nodeyard._aio.tasks import side_by_side
from nodeyard.domain.run_identity import RunMark
from nodeyard.domain.secrets import Secret, SecretSource
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import CleanupIncomplete, OperationFailed
from nodeyard.errors.validation import SpecInvalid
from nodeyard.ports.ledger import LedgerEntry, RemovalContext, Removed
from nodeyard.providers._clients.kube.cluster import Cluster
from nodeyard.providers._clients.kube.config import Reach, reach_of
from nodeyard.providers._clients.netns.shaper import SHAPED, undo_all
from nodeyard.providers.deployer.k8s.keeping import Keeper, KeeperGone
from nodeyard.providers.deployer.k8s.layout import NAMESPACE, PAUSED, POD, RUN
from nodeyard.providers.deployer.k8s.sweep import Sweep, Swept

Outcomes = dict[str, Removed | NodeyardError]
RETRY = "'nodeyard gc' tries again"


@dataclass(frozen=True)
class _Where:
    reach: Reach
    namespace: str


class K8sRemover:
    """Pods first, because they are what runs; then the rest of the run, and its namespace if it made one."""

    async def remove(
        self, entries: Sequence[LedgerEntry], context: RemovalContext
    ) -> Mapping[str, Removed | NodeyardError]:
        """One sweep per cluster and namespace; see ``Remover``."""
        groups: dict[_Where, list[LedgerEntry]] = defaultdict(list)
        shaped = [entry for entry in entries if entry.type == SHAPED]
        outcomes: Outcomes = dict(await undo_all(shaped, context))
        for entry in (entry for entry in entries if entry.type != SHAPED):
            groups[_Where(reach_of(entry.data), str(entry.data.get(NAMESPACE)))].append(entry)
        found = await side_by_side(lambda where: _remove(where, groups[where], context), groups)
        for where, outcome in zip(groups, found, strict=True):
            if isinstance(outcome, NodeyardError):
                outcomes |= {entry.id: _incomplete(entry, outcome) for entry in groups[where]}
            elif isinstance(outcome, Exception):
                raise outcome
            else:
                outcomes |= outcome
        return outcomes


async def _remove(where: _Where, entries: Sequence[LedgerEntry], context: RemovalContext) -> Outcomes:
    try:
        environment = inside_settings(context.secrets) if not where.reach.files else {}
        cluster = Cluster(where.reach, environment, context.clock)
    except SpecInvalid as error:
        return {entry.id: CleanupIncomplete(str(error.problems[0]), node=entry.node, hint=RETRY) for entry in entries}
    try:
        outcomes: Outcomes = {}
        for entry in entries:
            if entry.type == PAUSED:
                outcomes[entry.id] = await _resume(cluster, entry, context.mark)
        rest = [entry for entry in entries if entry.type in (RUN, POD)]
        if rest:
            outcomes |= await _sweep(cluster, where.namespace, rest, context)
        for unknown in (entry for entry in entries if entry.id not in outcomes):
            outcomes[unknown.id] = CleanupIncomplete(
                f"'{unknown.type}' is not a resource of the k8s deployer",
                node=unknown.node, hint="was it written by a later version? use that one",
            )  # fmt: skip
        return outcomes
    finally:
        await cluster.close()


async def _sweep(cluster: Cluster, namespace: str, entries: Sequence[LedgerEntry], context: RemovalContext) -> Outcomes:
    sweep = Sweep(cluster, namespace, context.mark, context.deadline)
    run = next((entry for entry in entries if entry.type == RUN), None)
    pods = [str(entry.data.get("pod")) for entry in entries if entry.type == POD]
    if run is None:
        swept = await sweep.pods(pods)
    else:
        swept = await sweep.everything(owns_namespace=run.data.get("owns_namespace") is True)
    return {entry.id: _outcome(entry, swept) for entry in entries}


def _outcome(entry: LedgerEntry, swept: Swept) -> Removed | NodeyardError:
    if entry.type == POD:
        pod = str(entry.data.get("pod"))
        if pod in swept.left:
            return CleanupIncomplete("the pod would not go", node=entry.node, evidence=[swept.left[pod]], hint=RETRY)
        return Removed(absent=pod not in swept.pods, detail=f"pod {pod}" if pod in swept.pods else "")
    if swept.left:
        return CleanupIncomplete(
            "not everything of the run would go", evidence=list(swept.left.values())[:10], hint=RETRY
        )
    return Removed(absent=not swept.objects, detail=", ".join(swept.objects[:4]))


async def _resume(cluster: Cluster, entry: LedgerEntry, mark: RunMark) -> Removed | NodeyardError:
    pod, namespace = str(entry.data.get("pod")), str(entry.data.get(NAMESPACE))
    if not await Sweep(cluster, namespace, mark, 0.0).is_ours(pod):
        return Removed(absent=True)
    try:
        await Keeper(cluster, namespace, pod, entry.node or pod).tell("resume", within=5.0)
    except (KeeperGone, OperationFailed):
        return Removed(absent=True, detail="it does not run any more")
    return Removed(absent=False, detail="resumed")


def _incomplete(entry: LedgerEntry, error: NodeyardError) -> CleanupIncomplete:
    return CleanupIncomplete(error.message, node=entry.node, evidence=error.evidence, hint=RETRY)


def inside_settings(secrets: SecretSource) -> Mapping[str, str]:
    """The settings that reaching a cluster from inside of it takes, where a ledger is carried out without a run."""
    found: dict[str, str] = {}
    for name in ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        try:
            found[name] = secrets.reveal(Secret(f"env:{name}"))
        except SpecInvalid:
            continue
    return found
