"""Making the pod of a node and waiting for it: until it runs, or until it is certain that it will not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lightkube.resources.core_v1 import Pod

from nodeyard._aio import poll
from nodeyard.domain.launch_plan import LaunchPlan, NodePlan
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import BackendRefused, BackendUnavailable, PermissionMissing, ProvisioningFailed
from nodeyard.ports.ledger import Json
from nodeyard.providers._clients.kube import states
from nodeyard.providers._clients.kube.errors import Asked
from nodeyard.providers.deployer.k8s.layout import BY, CONTAINER, POD
from nodeyard.providers.deployer.k8s.manifests import Manifest, node_objects
from nodeyard.providers.deployer.k8s.run import Run

LAST_LINES = 12
ACCOUNT = "error looking up service account"
"""How the API server says that a namespace is so new that it is not furnished yet."""
FURNISHING = 15.0


class PodMaker:
    """Makes the pod of one node, each time that there is none. ``env_changed``: a patch gave it other variables."""

    def __init__(self, node: NodePlan, run: Run) -> None:
        self.env_changed = False
        self._node = node
        self._run = run

    @property
    def data(self) -> Mapping[str, Json]:
        """For ledger entries: where the pod is."""
        layout = self._run.layout
        return {"namespace": layout.namespace, "pod": layout.pod(self._node.name)}

    async def make(self, launch: LaunchPlan, together: Sequence[str] = ()) -> None:
        """Make the pod and what it needs. Raises ``ProvisioningFailed``.

        Its program starts once the names of the nodes of ``together`` have addresses.
        """
        run, name = self._run, self._node.name
        objects = node_objects(
            run.layout, run.options, self._node, launch, run.images[name], run.reveal, run.owner, together
        )
        await run.context.ledger.record(BY, POD, node=name, data={**run.where.as_data(), **self.data})
        try:
            await self._make_room()
            if run.closed:
                raise self._failed("is not started: its network is being taken down", hint="start a new run")
            for item in objects:
                await self._apply(item)
        except (BackendRefused, PermissionMissing) as error:
            raise self._failed(error.message, evidence=error.evidence, hint=error.hint) from error
        self.env_changed = False

    async def until_begun(self) -> str:
        """The id of the container of a pod that was made, once it began. Raises as ``make``."""
        return await self._until(states.begun)

    async def until_running(self) -> str:
        """The id of the container once it runs; a container that ended is soon replaced. Raises as ``make``."""
        return await self._until(states.running)

    async def _apply(self, item: Manifest) -> None:
        clock = self._run.context.clock

        async def attempt() -> poll.Done[None] | str:
            try:
                await self._run.cluster.persist(lambda: self._run.cluster.apply(item, node=self._node.name))
            except (BackendRefused, PermissionMissing) as error:
                said = " ".join((error.message, *error.evidence))
                if ACCOUNT not in said:
                    raise
                return said
            return poll.Done(None)

        try:
            await poll.until(attempt, clock=clock, deadline=clock.now() + FURNISHING)
        except poll.Timeout as late:
            raise self._failed(
                f"its pod is refused: {late.last}", hint="does the namespace get a service account?"
            ) from None

    async def _make_room(self) -> None:
        """A pod that was evicted stands in the way until it is removed; one that is going goes at once."""
        run = self._run
        name, namespace = run.layout.pod(self._node.name), run.layout.namespace
        old = run.watch.pods.get(name)
        if old is None or old.metadata is None:
            return
        asked = Asked("delete", "pods", namespace, name)
        await run.cluster.delete(f"/api/v1/namespaces/{namespace}/pods/{name}", asked, uid=old.metadata.uid)
        deadline = run.context.clock.now() + FURNISHING
        await run.watch.until(lambda: True if run.watch.pods.get(name) is None else None, deadline=deadline)

    async def _until(self, wanted: Callable[[Pod, str], str]) -> str:
        run = self._run
        name = run.layout.pod(self._node.name)
        refused: list[str] = []

        def look() -> str | None:
            pod = run.watch.pods.get(name)
            if pod is None:
                return None
            if found := wanted(pod, CONTAINER):
                return found
            if reason := states.hopeless(pod, CONTAINER):
                refused[:] = [reason]
                return ""
            return None

        timeout = run.options.start_timeout
        try:
            found = await run.watch.until(look, deadline=run.context.clock.now() + timeout)
        except TimeoutError:
            at = states.waiting_for(run.watch.pods.get(name), CONTAINER)
            raise await self._explained(f"does not run after {timeout:g}s: {at}", "raise 'start_timeout'") from None
        if refused:
            raise await self._explained(refused[0], _hint(refused[0]))
        return found

    async def _explained(self, fact: str, hint: str) -> ProvisioningFailed:
        """An error with what Kubernetes told of the pod, and the last lines of its container."""
        layout, evidence = self._run.layout, list[str]()
        pod = layout.pod(self._node.name)
        try:
            evidence += (await self._run.cluster.events_of("Pod", pod, layout.namespace))[-LAST_LINES:]
            evidence += await self._run.cluster.log(pod, layout.namespace, container=CONTAINER, tail=LAST_LINES)
        except (BackendUnavailable, NodeyardError) as error:
            evidence.append(f"(no more is known: {error.message})")
        return self._failed(fact, evidence=evidence, hint=hint)

    def _failed(self, fact: str, *, evidence: Sequence[str] = (), hint: str | None = None) -> ProvisioningFailed:
        return ProvisioningFailed(fact, node=self._node.name, operation="start", evidence=evidence, hint=hint)


def _hint(reason: str) -> str:
    """What to do about a pod that will not run, by the first word of why."""
    word = reason.partition(":")[0]
    if word in (
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "ImageInspectError",
        "RegistryUnavailable",
    ):
        return "is the image's name right, and can the cluster pull it? 'pull', 'pull_secrets' and 'image' say how"
    if word == "Unschedulable":
        return "ask for fewer 'resources', or correct 'node_selector', 'tolerations', 'spread' or 'arch'"
    if word in ("CreateContainerConfigError", "CreateContainerError", "RunContainerError"):
        return "does the image run on this machine's architecture, and as this 'user'?"
    return "'kubectl describe pod' tells more while the run stands ('nodeyard up')"
