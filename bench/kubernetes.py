"""Pods to ready against ``kubectl`` with the same manifests, and discovery of many pods against ``kubectl get``.

Takes a cluster (``KUBECONFIG``) and an image in it (``NODEYARD_ETCD_IMAGE``); without them there are no rows.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.measure import Row, Setup, in_turns, ratio, single, worker

NODES = 3
PODS = 1000
SCENARIO = """
nodeyard: 1
name: bench
kind: etcd
source:
  mode: managed
  deployer: {{type: k8s, pull: never}}
  nodes: {{count: {count}, image: "{image}"}}
"""


def rows(setup: Setup) -> list[Row]:
    image = os.environ.get("NODEYARD_ETCD_IMAGE")
    if not image or not os.environ.get("KUBECONFIG"):
        print("  no cluster: KUBECONFIG and NODEYARD_ETCD_IMAGE name one and an image in it", file=sys.stderr)
        return []
    return [*_to_ready(setup, image), *_discovery(setup)]


def _to_ready(setup: Setup, image: str) -> list[Row]:
    scenario = SCENARIO.format(count=NODES, image=image)

    def ours() -> dict[str, float]:
        return worker("yard.to_ready", setup.new_folder(), scenario=scenario)

    def bare() -> float:
        folder = setup.new_folder()
        path = folder / "scenario.yaml"
        path.write_text(scenario)
        command = [str(Path(sys.executable).with_name("nodeyard")), "plan", str(path), "--manifests"]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        (folder / "manifests.yaml").write_text(text)
        namespace = next(line.split()[-1] for line in text.splitlines() if line.startswith("  namespace: "))
        try:
            begin = time.monotonic()
            kubectl("apply", "-f", str(folder / "manifests.yaml"))
            kubectl("wait", "--for=condition=Ready", "pods", "--all", "-n", namespace, "--timeout=90s")
            addresses = kubectl("get", "pods", "-n", namespace, "-o", "jsonpath={.items[*].status.podIP}").split()
            _until_healthy(addresses)
            return time.monotonic() - begin
        finally:
            kubectl("delete", "pods", "--all", "-n", namespace, "--grace-period=0", "--force")
            kubectl("delete", "namespace", namespace)

    if not setup.tiny:
        in_turns(1, ours, bare)
    mine, least = in_turns(setup.count(5), ours, bare)
    return [
        ratio("kubernetes", f"{NODES} etcd pods to ready", [f["session"] for f in mine], least, 1.1),
        ratio("kubernetes", "the same, from the start of the process", [f["process"] for f in mine], least, None),
    ]


def _until_healthy(addresses: Sequence[str]) -> None:
    """A pod is ready when its port is open, and etcd when it has a leader: both sides wait for that."""
    for address in addresses:
        while True:
            try:
                with urllib.request.urlopen(f"http://{address}:2379/health", timeout=1) as answer:
                    if answer.status == 200:
                        break
            except OSError:
                time.sleep(0.01)


def _discovery(setup: Setup) -> list[Row]:
    count = setup.size(PODS, 20)
    with many_pods(count) as namespace:

        def ours() -> dict[str, float]:
            return worker("kubernetes.discover", setup.new_folder(), namespace=namespace, expect=count)

        def bare() -> float:
            begin = time.monotonic()
            kubectl("get", "pods", "-n", namespace, "-o", "json")
            return time.monotonic() - begin

        mine, least = in_turns(setup.count(10), ours, bare)
    return [
        ratio("kubernetes", f"discovery of {count} pods", [f["discovery"] for f in mine], least, 1.5),
        ratio("kubernetes", "the same, from the start of the process", [f["process"] for f in mine], least, None),
        single("kubernetes", "memory for each pod", [f["memory"] / count for f in mine], None, unit="kB"),
    ]


def discover(asked: dict[str, object], born: float) -> dict[str, float]:
    """One discovery, in a process of its own."""
    import asyncio
    from typing import Any, cast

    from nodeyard._aio.clock import SystemClock
    from nodeyard.domain.run_identity import RunMark
    from nodeyard.kinds.etcd.kind import EtcdKind
    from nodeyard.ports.plugins import PluginContext
    from nodeyard.providers.attach.k8s import K8sAttachOptions
    from nodeyard.providers.attach.k8s.provider import K8sProvider

    nothing = cast(Any, None)
    folder = Path(str(asked["folder"]))
    context = PluginContext(
        mark=RunMark("bench", "host", "boot"), folder=folder, base=folder, cache=folder, ledger=nothing,
        clock=SystemClock(), emit=nothing, transport=nothing, secrets=nothing, environment=dict(os.environ),
        kind="etcd", kinds={"etcd": EtcdKind()},
    )  # fmt: skip
    options = K8sAttachOptions(type="k8s", namespace=(str(asked["namespace"]),), access="pod-ip")

    async def once() -> dict[str, float]:
        provider = K8sProvider(options, context)
        held, begin = memory(), time.monotonic()
        found = await provider.discover()
        end = time.monotonic()
        await provider.close()
        assert len(found.nodes) == asked["expect"], found.problems[:3]
        return {"discovery": end - begin, "process": end - born, "memory": memory() - held}

    return asyncio.run(once())


def memory() -> float:
    """The most memory that this process ever held, in kB."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return float(status["VmHWM"].split()[0])


def kubectl(*words: str, stdin: str | None = None) -> str:
    return subprocess.run(["kubectl", *words], check=True, capture_output=True, text=True, input=stdin).stdout


@contextmanager
def many_pods(count: int) -> Iterator[str]:
    """A namespace with pods that no scheduler takes and whose status says that they run."""
    import asyncio

    namespace = f"bench-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", namespace)
    try:
        kubectl("wait", "--for=create", "serviceaccount/default", "-n", namespace, "--timeout=30s")
        asyncio.run(_make(namespace, count))
        yield namespace
    finally:
        kubectl("delete", "pods", "--all", "-n", namespace, "--grace-period=0", "--force")
        kubectl("delete", "namespace", namespace, "--wait=false")


async def _make(namespace: str, count: int) -> None:
    from lightkube import AsyncClient, KubeConfig
    from lightkube.models.core_v1 import Pod as PodModel
    from lightkube.resources.core_v1 import Pod, PodStatus

    from nodeyard._aio.tasks import side_by_side

    spec = {
        "schedulerName": "none",
        "containers": [{"name": "etcd", "image": "etcd", "ports": [{"name": "client", "containerPort": 2379}]}],
    }

    async with AsyncClient(KubeConfig.from_file(os.environ["KUBECONFIG"]), field_manager="bench") as client:

        async def one(index: int) -> None:
            meta = {"name": f"p{index}", "namespace": namespace}
            made: PodModel = await client.create(Pod.from_dict({"metadata": meta, "spec": spec}))
            about = {"name": "etcd", "image": "etcd", "imageID": "e", "ready": True, "restartCount": 0}
            status = {
                "phase": "Running",
                "podIP": f"10.{index >> 16}.{index >> 8 & 255}.{index & 255}",
                "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [{**about, "containerID": f"c{index}", "state": {"running": {}}}],
            }
            await client.patch(PodStatus, made.metadata.name, {"status": status}, namespace=namespace)  # type: ignore[union-attr,arg-type,type-var]

        outcomes: Sequence[object] = await side_by_side(one, range(count), at_once=16)
    failed = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    if failed:
        raise failed[0]
