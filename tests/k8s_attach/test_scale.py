"""A thousand borrowed pods: found, asked side by side over one pool of connections, and one inventory at the end.

The pods are objects that no scheduler takes and whose status says that they run. Each has an address of its own in
127.0.0.0/8, where one server answers for all of them as that many etcd members.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from lightkube import AsyncClient, KubeConfig
from lightkube.resources.core_v1 import Pod, PodStatus

from e2e.support import Nodeyard
from k8s.clusters import a_namespace, kubeconfig, kubectl
from nodeyard._aio.tasks import raise_first, side_by_side

pytestmark = pytest.mark.real

COUNT, ASLEEP = 1000, 10
PEAK = """
import sys
from nodeyard.cli import main
try:
    main()
finally:
    peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print("peak", peak.split()[1], file=sys.stderr)
"""
"""The command line, which tells at its end how many kB it held at the most."""
SCENARIO = """
nodeyard: 1
name: many
kind: etcd
source:
  mode: attached
  attach: {{type: k8s, namespace: {namespace}, selector: app=many, access: pod-ip, port: {port}, expect: {count}}}
"""


def address(index: int) -> str:
    return f"127.77.{index // 250}.{1 + index % 250}"


@contextmanager
def members() -> Iterator[int]:
    """One server that is another etcd member at each address; gives its port."""

    def own(request: web.Request) -> str:
        assert request.transport is not None
        host: str = request.transport.get_extra_info("sockname")[0]
        _, _, high, low = host.split(".")
        return str(1_000_000 + int(high) * 250 + int(low))

    async def status(request: web.Request) -> web.Response:
        header = {"cluster_id": "77", "member_id": own(request), "revision": "1", "raft_term": "2"}
        told = {"header": header, "version": "3.5.1", "leader": "1000001", "raftIndex": "8", "raftTerm": "2"}
        return web.json_response(told)

    async def health(_: web.Request) -> web.Response:
        return web.json_response({"health": "true"})

    app = web.Application()
    app.add_routes([web.post("/v3/maintenance/status", status), web.get("/health", health)])
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(app, access_log=None)
    loop.run_until_complete(runner.setup())
    site = web.TCPSite(runner, "0.0.0.0", 0, backlog=2048)
    loop.run_until_complete(site.start())
    port: int = runner.addresses[0][1]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(runner.cleanup())
        loop.close()


async def make_pods(namespace: str, port: int) -> None:
    """All of them, and the status of each; the last ``ASLEEP`` are not ready and carry a label of their own."""
    container: dict[str, Any] = {"name": "etcd", "image": "etcd", "ports": [{"name": "client", "containerPort": port}]}
    spec = {"schedulerName": "none", "terminationGracePeriodSeconds": 0, "containers": [container]}

    async with AsyncClient(KubeConfig.from_file(kubeconfig()), field_manager="test") as client:

        async def one(index: int) -> None:
            ready = index < COUNT
            labels = {"app": "many" if ready else "asleep"}
            meta = {"name": f"p{index}", "namespace": namespace, "labels": labels}
            await client.create(Pod.from_dict({"metadata": meta, "spec": spec}))
            told = {"name": "etcd", "image": "etcd", "imageID": "e", "ready": ready, "restartCount": 0}
            status = {
                "phase": "Running",
                "podIP": address(index),
                "podIPs": [{"ip": address(index)}],
                "conditions": [{"type": "Ready", "status": str(ready)}],
                "containerStatuses": [{**told, "containerID": f"c{index}", "state": {"running": {}}}],
            }
            await client.patch(PodStatus, meta["name"], {"status": status}, namespace=namespace)  # type: ignore[type-var,arg-type]

        raise_first(await side_by_side(one, range(COUNT + ASLEEP), at_once=32))


@contextmanager
def many_pods(port: int) -> Iterator[str]:
    """Their namespace. They go in one request: one by one, ``kubectl`` removes five in a second."""
    with a_namespace("many") as namespace:
        try:
            asyncio.run(make_pods(namespace, port))
            yield namespace
        finally:
            kubectl("delete", "--raw", f"/api/v1/namespaces/{namespace}/pods?gracePeriodSeconds=0")


def scenario(home: Nodeyard, text: str) -> Path:
    path = home.path / "scenario.yaml"
    path.write_text(text)
    return path


def test_a_thousand_pods_become_one_inventory_and_those_that_are_not_ready_are_named(tmp_path: Path) -> None:
    with members() as port, many_pods(port) as namespace:
        command = (sys.executable, "-c", PEAK)
        home = Nodeyard(tmp_path, range(30000, 30001), extra={"KUBECONFIG": kubeconfig()}, command=command)
        text = SCENARIO.format(namespace=namespace, port=port, count=COUNT)
        done = home("attach", scenario(home, text), "--json")
        assert done.status == 0, done.err[-2000:]
        nodes = json.loads(done.out)["nodes"]
        assert len(nodes) == len({node["identity"]["peer_id"] for node in nodes}) == COUNT
        assert {node["network"]["id"] for node in nodes} == {nodes[0]["network"]["id"]}
        assert {node["ownership"] for node in nodes} == {"borrowed"}
        peak = int(done.err.rpartition("peak ")[2])
        assert peak < 200_000, f"{peak} kB"

        both = text.replace("app=many", "'app in (many, asleep)'").replace(str(COUNT), str(COUNT + ASLEEP))
        partial = home("attach", scenario(home, both), "--json")
        assert partial.status == 7
        for index in range(COUNT, COUNT + ASLEEP):
            assert f"p{index}" in partial.err + partial.out
