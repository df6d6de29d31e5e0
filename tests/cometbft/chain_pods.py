"""A real CometBFT chain as a StatefulSet, applied by plain ``kubectl``; no Nodeyard in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compose.engine import BUSYBOX, needs_engine
from compose.system_images import image_of
from etcd.etcd_processes import wait_until
from k8s.clusters import a_namespace, kubeconfig, kubectl, load, objects
from k8s_attach.borrowed import state_of

from .borrowed import heights
from .chain_processes import Json, binary, cometbft, settle

NAMES = ("h-0", "h-1", "h-2", "h-3")
KEYS = ("node_key.json", "priv_validator_key.json")
SET = """
apiVersion: v1
kind: Service
metadata: {{name: h}}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  selector: {{app: chain}}
  ports: [{{name: rpc, port: 26657}}, {{name: p2p, port: 26656}}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: h}}
spec:
  serviceName: h
  replicas: 4
  podManagementPolicy: Parallel
  selector: {{matchLabels: {{app: chain}}}}
  template:
    metadata: {{labels: {{app: chain}}}}
    spec:
      terminationGracePeriodSeconds: 0
      initContainers:
      - name: home
        image: {image}
        imagePullPolicy: Never
        env: [{{name: POD, valueFrom: {{fieldRef: {{fieldPath: metadata.name}}}}}}]
        command: [busybox, sh, -ec]
        args:
        - |
          busybox mkdir -p /home/config /home/data
          busybox cp /chain/* /home/config
          for key in node_key.json priv_validator_key.json; do
            busybox cp /keys/$POD.$key /home/config/$key
          done
          echo '{{"height": "0", "round": 0, "step": 0}}' > /home/data/priv_validator_state.json
          for i in 0 1 2 3; do  # CometBFT looks the names of its peers up only once
            until busybox nslookup h-$i.h.{namespace}.svc.cluster.local; do busybox sleep 0.1; done
          done
        volumeMounts:
        - {{name: home, mountPath: /home}}
        - {{name: chain, mountPath: /chain}}
        - {{name: keys, mountPath: /keys}}
      containers:
      - name: cometbft
        image: {image}
        imagePullPolicy: Never
        command: [cometbft, start, --home=/home, --proxy_app=kvstore, "--rpc.laddr=tcp://0.0.0.0:26657"]
        ports: [{{name: rpc, containerPort: 26657}}, {{name: p2p, containerPort: 26656}}]
        readinessProbe: {{httpGet: {{path: /health, port: rpc}}, periodSeconds: 1}}
        volumeMounts: [{{name: home, mountPath: /home}}]
      volumes:
      - {{name: home, emptyDir: {{}}}}
      - {{name: chain, configMap: {{name: chain}}}}
      - {{name: keys, secret: {{secretName: keys}}}}
"""


@dataclass(frozen=True)
class PodChain:
    """Its validators by the addresses of their pods."""

    namespace: str
    external: list[Json]

    def portrait(self) -> dict[str, Any]:
        return state_of(self.namespace)


@contextmanager
def pod_chain(folder: Path) -> Iterator[PodChain]:
    """Four validators that make blocks, from the image to the removal of their namespace."""
    image = chain_image(folder / "image")
    with a_namespace("chain") as namespace:
        _make_homes(folder / "homes", namespace)
        kubectl("apply", "-n", namespace, "-f", "-", stdin=SET.format(image=image, namespace=namespace))
        kubectl("rollout", "status", "statefulset/h", "-n", namespace, "--timeout=90s")
        chain = PodChain(namespace, listed(namespace, dict(zip(NAMES, ("h0", "h1", "h2", "h3"), strict=True))))
        wait_until(lambda: all(heights(chain).values()), "the chain makes blocks")
        yield chain


def chain_image(folder: Path) -> str:
    """An image with CometBFT and a shell that the cluster has."""
    kubeconfig()
    needs_engine()
    with image_of(folder, "chain", {"cometbft": Path(binary()), "busybox": BUSYBOX}) as made:
        return load(made, "chain")


def listed(namespace: str, names: Mapping[str, str]) -> list[Json]:
    """How a scenario lists these pods; ``names`` are those of the nodes by pod."""
    addresses = {pod["metadata"]["name"]: pod["status"]["podIP"] for pod in objects("pods", "-n", namespace)}
    return [{"name": name, "endpoints": {"rpc": f"http://{addresses[pod]}:26657"}} for pod, name in names.items()]


def _make_homes(homes: Path, namespace: str) -> None:
    """Keys as a secret, genesis and settings for all as a config map."""
    words = [word for pod in NAMES for word in ("--hostname", f"{pod}.h")]
    cometbft("testnet", "--v", "4", "--o", homes, *words)
    settle(homes / "node0")
    shared = [f"--from-file={homes}/node0/config/{name}" for name in ("config.toml", "genesis.json")]
    kubectl("create", "configmap", "chain", "-n", namespace, *shared)
    keys = [f"--from-file={pod}.{key}={homes}/node{i}/config/{key}" for i, pod in enumerate(NAMES) for key in KEYS]
    kubectl("create", "secret", "generic", "keys", "-n", namespace, *keys)
