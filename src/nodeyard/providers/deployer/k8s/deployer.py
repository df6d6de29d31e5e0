"""Makes, starts and removes the nodes of one run as pods of a Kubernetes cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from lightkube.resources.core_v1 import Namespace

from nodeyard._aio.tasks import raise_first, side_by_side
from nodeyard.domain.launch_plan import AT_RUN, Endpoint, LaunchPlan, NodePlan, Place, Scheme
from nodeyard.domain.network_rules import Effect
from nodeyard.errors.provider import BackendRefused, NodeUnreachable, ProvisioningFailed
from nodeyard.ports.deployer import DeploymentPlan
from nodeyard.ports.kind import ProgramSpec
from nodeyard.ports.ledger import LedgerEntry
from nodeyard.ports.node_control import NodeControl
from nodeyard.ports.plugins import PluginContext
from nodeyard.ports.transport import CanPrepare
from nodeyard.providers._clients.kube import nearby, rights, texts
from nodeyard.providers._clients.kube.errors import CONFLICT
from nodeyard.providers._clients.removing import remove_own
from nodeyard.providers.deployer.k8s import keeping, lease, manifests, permissions, resolve
from nodeyard.providers.deployer.k8s.control import K8sControl
from nodeyard.providers.deployer.k8s.layout import BY, RUN, place_of
from nodeyard.providers.deployer.k8s.options import K8sOptions
from nodeyard.providers.deployer.k8s.remover import K8sRemover
from nodeyard.providers.deployer.k8s.run import Run

REMOVING = 45.0
"""Seconds for removing everything: a namespace takes 4 to 8."""
AT_ONCE = 32
MANIFESTS = "manifests.yaml"


class K8sDeployer:
    """The Kubernetes deployer of one run; see ``ports.deployer.Deployer``."""

    def __init__(self, options: K8sOptions, context: PluginContext) -> None:
        self._options = options
        self._context = context
        self._run = Run(options, context)
        self._nodes: dict[str, NodePlan] = {}
        self._controls: dict[str, K8sControl] = {}
        self._lease = lease.Keeping(self._run)

    @property
    def source(self) -> str:
        return "k8s"

    async def resolve(self, nodes: Sequence[NodePlan], programs: Mapping[str, ProgramSpec]) -> Sequence[str]:
        return resolve.resolve(nodes, programs, self._run)

    def plan(self, nodes: Sequence[NodePlan]) -> DeploymentPlan:
        layout = self._run.layout
        self._nodes = {node.name: node for node in nodes}
        places = {node.name: place_of(node, layout) for node in nodes}
        programs = {node.name: f"image {self._run.images.get(node.name, AT_RUN)}" for node in nodes}
        resources = [f"namespace {layout.namespace}"] if layout.owns_namespace else []
        resources += [f"lease {layout.owner}", f"service {layout.service}", f"configmap {layout.keeper}"]
        resources += [f"pod {layout.namespace}/{layout.pod(node.name)}" for node in nodes]
        notes = {node.name: "the binary is not used by the k8s deployer" for node in nodes if node.binary}
        return DeploymentPlan(tuple(nodes), places, programs, tuple(resources), notes)

    async def check(self) -> None:
        """See ``ports.plugins.CanCheck``: reachable, and permitted everything that the run needs."""
        run = self._run
        missing = await rights.lacking(run.cluster, permissions.needed(run.layout, self._options))
        if missing:
            raise await rights.refused(run.cluster, missing)
        if not run.layout.owns_namespace and await run.cluster.get(Namespace, run.layout.namespace) is None:
            raise ProvisioningFailed(
                f"there is no namespace '{run.layout.namespace}'",
                operation="check", hint="create it, or leave 'namespace' out: then each run makes its own",
            )  # fmt: skip

    async def network_problems(self, effects: Collection[Effect]) -> Sequence[str]:
        """See ``ports.node_control.ShapesNetworks``."""
        self._run.near = await nearby.all_here(self._run.cluster)
        return await nearby.network_problems(effects, self._context.environment, here=self._run.near)

    def manifests(self, launches: Sequence[LaunchPlan]) -> str:
        """See ``ports.deployer.HasManifests``. A lease would only tell that its runner is gone, so there is none."""
        run, layout = self._run, self._run.layout
        objects = [manifests.namespace(layout)] if layout.owns_namespace else []
        objects += manifests.shared(layout, self._options, keeping.program(self._options.arch))
        planned, together = self._nodes, [launch.node for launch in launches]
        for launch in launches:
            objects += manifests.node_objects(
                layout, self._options, planned[launch.node], launch, run.images[launch.node],
                lambda _: manifests.HIDDEN, together=together,
            )  # fmt: skip
        return texts.as_yaml(manifests.unowned(objects))

    async def provision(self, plan: DeploymentPlan) -> Mapping[str, Place]:
        run, layout = self._run, self._run.layout
        data = {**run.where.as_data(), "namespace": layout.namespace, "owns_namespace": layout.owns_namespace}
        await self._context.ledger.record(BY, RUN, node=None, data=data)
        try:
            if layout.owns_namespace:
                await self._make_namespace()
            run.owner = await self._lease.begin()
            shared = manifests.shared(layout, self._options, keeping.program(self._options.arch), run.owner)
            acts: list[Callable[[], Awaitable[object]]] = [partial(run.cluster.apply, item) for item in shared]
            raise_first(await side_by_side(lambda act: act(), [*acts, run.watch.start, self._find_near]))
        except BackendRefused as error:
            raise ProvisioningFailed(
                error.message, operation="provision", evidence=error.evidence, hint=error.hint
            ) from error
        places: dict[str, Place] = {}
        for node in plan.nodes:
            place = place_of(node, layout)
            self._controls[node.name] = K8sControl(node, place, run)
            places[node.name] = place
        return places

    async def _find_near(self) -> None:
        self._run.near = self._run.near or await nearby.all_here(self._run.cluster)

    async def _make_namespace(self) -> None:
        run = self._run
        try:
            await run.cluster.create(manifests.namespace(run.layout))
        except BackendRefused as error:
            if error.status != CONFLICT:
                raise
            raise ProvisioningFailed(
                f"the namespace '{run.layout.namespace}' is there already, and is not this run's",
                operation="provision", hint="remove it if nobody needs it, or wait until it is gone",
            ) from error  # fmt: skip

    async def start(self, launches: Sequence[LaunchPlan]) -> None:
        for launch in launches:
            self.prepare(launch)
        controls, together = [self._controls[launch.node] for launch in launches], [launch.node for launch in launches]
        made = await side_by_side(lambda control: control.make(together), controls, at_once=AT_ONCE)
        await self._while_pods_start()
        _raise_failure(made)
        _raise_failure(await side_by_side(lambda control: control.launch_made(), controls))

    async def _while_pods_start(self) -> None:
        """What takes a moment and nothing waits for: pods that the cluster was given take longer."""
        transport = self._context.transport
        if isinstance(transport, CanPrepare):
            transport.prepare()
        await asyncio.to_thread(self._write_manifests)

    def _write_manifests(self) -> None:
        """Keep what the cluster is given in the run's folder, for people; a full disk is told elsewhere.

        The folder outlives the run, and so do no keys.
        """
        launches = [control.launch for control in self._controls.values() if control.launch is not None]
        known = [manifests.without_secrets(launch) for launch in launches]
        with suppress(OSError):
            self._context.folder.mkdir(parents=True, exist_ok=True)
            (self._context.folder / MANIFESTS).write_text(self.manifests(known), encoding="utf-8")

    def prepare(self, launch: LaunchPlan) -> None:
        self._known(launch.node).launch = launch

    def control(self, node: str) -> NodeControl:
        return self._known(node)

    def endpoint(self, node: str, port: str) -> Endpoint:
        control = self._controls.get(node)
        number = control.place.ports.get(port) if control else None
        if control is None or number is None:
            fact = f"has no port '{port}'" if control else "was not provisioned"
            raise NodeUnreachable(fact, node=node, operation="endpoint", hint="see 'nodeyard plan' for nodes and ports")
        address = self._run.address(node, port, number)
        if address is None:
            raise NodeUnreachable("has no pod that could be reached", node=node, operation="endpoint", hint="start it")
        schemes = {spec.name: spec.scheme for spec in self._nodes[node].ports}
        return Endpoint(f"{'http' if schemes[port] is Scheme.HTTP else 'tcp'}://{address}")

    def log_files(self, node: str) -> Sequence[Path]:
        """None: the cluster keeps the output, and controls fetch it."""
        return ()

    async def hand_over(self, ttl: float) -> None:
        """See ``ports.deployer.CanHandOver``: nobody renews the lease while the network stands alone."""
        await self._lease.leave(ttl)

    async def destroy(self) -> Sequence[str]:
        self._run.closed = True
        await self._lease.end()
        problems = await remove_own(self._context, BY, K8sRemover(), within=REMOVING, where=_where)
        await self._part()
        return problems

    async def close(self) -> None:
        """See ``ports.plugins.CanClose``: the network stands, and nobody watches it from here any more."""
        self._run.closed = True
        await self._lease.end()
        await self._run.close()

    async def _part(self) -> None:
        """Let the watch tell the end of every pod, then close it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PARTING):
                await asyncio.gather(*(control.gone() for control in self._controls.values()))
        await asyncio.gather(*(control.settled() for control in self._controls.values()))
        await self._run.close()

    def _known(self, node: str) -> K8sControl:
        if node not in self._controls:
            raise ProvisioningFailed("was not provisioned", node=node, operation="control", hint="provision it first")
        return self._controls[node]


PARTING = 3.0
"""Seconds for the watch to say that the pods are gone, which it does in a moment unless the cluster is gone itself."""


def _raise_failure(outcomes: Sequence[Exception | None]) -> None:
    """Raise the first failure, but before it what is more than a node that did not start."""
    failed = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    for error in sorted(failed, key=lambda error: isinstance(error, ProvisioningFailed)):
        raise error


def _where(entry: LedgerEntry) -> str:
    return str(entry.data.get("pod") or entry.data.get("namespace"))
