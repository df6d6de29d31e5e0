"""Networks in a cluster that Nodeyard did not make: plain objects, applied by ``kubectl``."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from k8s.clusters import Json, kubectl, objects

CLUSTER = """
apiVersion: v1
kind: Service
metadata: {{name: etcd}}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  selector: {{app: etcd}}
  ports: [{{name: client, port: 2379}}, {{name: peer, port: 2380}}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: etcd}}
spec:
  serviceName: etcd
  replicas: 3
  podManagementPolicy: Parallel
  selector: {{matchLabels: {{app: etcd}}}}
  template:
    metadata: {{labels: {{app: etcd}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: etcd
        image: {image}
        imagePullPolicy: Never
        command: [etcd]
        args:
        - --name=$(POD)
        - --data-dir=/data
        - --listen-client-urls=http://0.0.0.0:2379
        - --advertise-client-urls=http://$(POD).etcd:2379
        - --listen-peer-urls=http://0.0.0.0:2380
        - --initial-advertise-peer-urls=http://$(POD).etcd:2380
        - --initial-cluster=etcd-0=http://etcd-0.etcd:2380,etcd-1=http://etcd-1.etcd:2380,etcd-2=http://etcd-2.etcd:2380
        - --initial-cluster-token={token}
        - --heartbeat-interval=50
        - --election-timeout=500
        env: [{{name: POD, valueFrom: {{fieldRef: {{fieldPath: metadata.name}}}}}}]
        ports: [{{name: client, containerPort: 2379}}, {{name: peer, containerPort: 2380}}]
        readinessProbe: {{httpGet: {{path: /health, port: client}}, periodSeconds: 1}}
        volumeMounts: [{{name: data, mountPath: /data}}]
      volumes: [{{name: data, emptyDir: {{}}}}]
"""
NODE_PORTS = """
apiVersion: v1
kind: Service
metadata: {{name: outside-{index}}}
spec:
  type: NodePort
  selector: {{statefulset.kubernetes.io/pod-name: etcd-{index}}}
  ports: [{{name: client, port: 2379}}]
---
"""
ALONE = """
apiVersion: apps/v1
kind: {kind}
metadata: {{name: {name}}}
spec:
  {service}
  replicas: 1
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: etcd
        image: {image}
        imagePullPolicy: Never
        command: [etcd, --data-dir=/data, "--listen-client-urls=http://0.0.0.0:2379",
                  "--advertise-client-urls=http://127.0.0.1:2379"]
        ports: [{{name: client, containerPort: 2379}}]
        readinessProbe: {{httpGet: {{path: /health, port: client}}, periodSeconds: 1}}
        volumeMounts: [{{name: data, mountPath: /data}}]
      volumes: [{{name: data, emptyDir: {{}}}}]
"""
ROLE = (Path(__file__).parents[2] / "examples" / "k8s" / "read-only-role.yaml").read_text()


def apply_cluster(namespace: str, image: str) -> None:
    """Three etcd as a StatefulSet, each with a NodePort of its own; returns when all are ready."""
    text = CLUSTER.format(image=image, token=namespace) + "---" + "".join(NODE_PORTS.format(index=i) for i in range(3))
    kubectl("apply", "-n", namespace, "-f", "-", stdin=text)
    kubectl("rollout", "status", "statefulset/etcd", "-n", namespace, "--timeout=90s")


def apply_alone(namespace: str, image: str, kind: str, name: str) -> None:
    """One etcd under a controller; returns when it is ready."""
    service = f"serviceName: {name}" if kind == "StatefulSet" else "paused: false"
    kubectl("apply", "-n", namespace, "-f", "-", stdin=ALONE.format(kind=kind, name=name, image=image, service=service))
    kubectl("rollout", "status", f"{kind.lower()}/{name}", "-n", namespace, "--timeout=90s")


def state_of(namespace: str) -> dict[str, Any]:
    """All of the pods and their owners that attaching must not change."""
    found: dict[str, Any] = {}
    for item in objects("pods,statefulsets,services,configmaps,secrets", "-n", namespace):
        key, meta = f"{item['kind']}/{item['metadata']['name']}", item["metadata"]
        found[key] = [meta["uid"], meta.get("generation"), item.get("spec"), item.get("data"), restarts(item)]
    return found


def restarts(item: Json) -> list[tuple[int, str]]:
    statuses = item.get("status", {}).get("containerStatuses", [])
    return [(status["restartCount"], status["containerID"]) for status in statuses]


def user_of(namespace: str, folder: Path, admin: str, *, role: str = ROLE) -> str:
    """The kubeconfig of a service account that has exactly this role."""
    name = "reader"
    kubectl("create", "serviceaccount", name, "-n", namespace)
    kubectl("apply", "-n", namespace, "-f", "-", stdin=role)
    kubectl(
        "create", "rolebinding", name, "-n", namespace, "--role=nodeyard-attach", f"--serviceaccount={namespace}:{name}"
    )
    token = kubectl("create", "token", name, "-n", namespace).strip()
    return config_with(folder, admin, {"token": token}, namespace)


def view_of(config: str) -> Json:
    """A kubeconfig as one document, with the contents of the files that it names."""
    words = ["kubectl", "config", "view", "--raw", "--flatten", "-o", "json", "--kubeconfig", config]
    view: Json = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    return view


def config_with(folder: Path, admin: str, user: Mapping[str, str], namespace: str = "default") -> str:
    """A kubeconfig for the same cluster and another user."""
    config = view_of(admin)
    config["users"] = [{"name": "other", "user": dict(user)}]
    config["contexts"] = [
        {
            "name": "other",
            "context": {"cluster": config["clusters"][0]["name"], "user": "other", "namespace": namespace},
        }
    ]
    config["current-context"] = "other"
    path = folder / f"kubeconfig-{namespace}-{len(list(folder.iterdir()))}.json"
    path.write_text(json.dumps(config))
    return str(path)
