"""A run as Kubernetes objects: plain values that ``kubectl apply -f`` takes as well. Pure.

One pod per node and not one StatefulSet per group: nodes of one group differ (arguments, patches, files), and a node
that ended stays down until it is told to start. A headless service gives every pod its name.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from nodeyard.domain.launch_plan import FileToWrite, LaunchPlan, NodePlan
from nodeyard.domain.secrets import Secret
from nodeyard.ports.ledger import Json
from nodeyard.providers.deployer.k8s.layout import (
    ANNOTATION,
    BIN,
    CONFIG,
    CONTAINER,
    DATA,
    FILES,
    KEEPER,
    LABEL_NODE,
    WORK,
    Layout,
)  # fmt: skip
from nodeyard.providers.deployer.k8s.options import K8sOptions

Manifest = Mapping[str, Json]
Reveal = Callable[[Secret], str]
PULL = {"missing": "IfNotPresent", "never": "Never", "always": "Always"}
BEGUN = "2000-01-01T00:00:00.000000Z"
"""Stands for the time of a lease that nobody holds yet."""
HIDDEN = "***"


@dataclass(frozen=True)
class Owner:
    """The object that others hang on, once it exists."""

    name: str
    uid: str


@dataclass(frozen=True)
class Placed:
    """A rendered file and where the program sees it; an ``initial`` one is the node's own once it is there."""

    target: str
    file: FileToWrite
    initial: bool = False


def namespace(layout: Layout) -> Manifest:
    """The run's own namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": _meta(layout, layout.namespace, inside=False)}


def owner(layout: Layout, *, seconds: float, renewed: str = BEGUN) -> Manifest:
    """The lease that everything of the run hangs on: its time says that the runner lives, its removal removes all."""
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": _meta(layout, layout.owner),
        "spec": {"holderIdentity": layout.mark.text, "leaseDurationSeconds": round(seconds), "renewTime": renewed},
    }


def shared(layout: Layout, options: K8sOptions, keeper: bytes, owned: Owner | None = None) -> list[Manifest]:
    """What all nodes of a run need before any of them: their names, and their keeper."""
    service: Manifest = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _meta(layout, layout.service, owned),
        # Peers look for each other before they are ready, so that names must not wait for that.
        "spec": {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": {**layout.labels}},
    }
    program: Manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _meta(layout, layout.keeper, owned),
        "binaryData": {"keeper": base64.b64encode(keeper).decode()},
    }
    return [service, program]


def node_objects(
    layout: Layout,
    options: K8sOptions,
    node: NodePlan,
    launch: LaunchPlan,
    image: str,
    reveal: Reveal,
    owned: Owner | None = None,
    together: Sequence[str] = (),
) -> list[Manifest]:
    """Everything of one node; its pod comes last. Its program waits for the names of the nodes of ``together``."""
    name = layout.pod(node.name)
    placed = [Placed(f"{CONFIG}/{file.path}", file) for file in launch.files]
    placed += [Placed(f"{DATA}/{file.path}", file, initial=True) for file in launch.initial]
    plain = [item for item in placed if not item.file.secret]
    secret = [item for item in placed if item.file.secret]
    env, hidden = _variables({**node.env, **launch.env}, reveal)
    made: list[Manifest] = []
    if plain:
        made.append(_holder("ConfigMap", "binaryData", layout, node, f"{name}-files", _contents(plain), owned))
    if secret or hidden:
        data = {**_contents(secret), **{key: _base64(value.encode()) for key, value in hidden.items()}}
        made.append(_holder("Secret", "data", layout, node, f"{name}-secret", data, owned))
    if options.storage is not None:
        made.append(_claim(layout, options, node, owned))
    if options.access == "node-port" and node.ports:
        made.append(_node_port(layout, node, owned))
    made.append(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": _meta(layout, name, owned, node.name),
            "spec": _pod(layout, options, node, launch, image, env, plain, secret, together),
        }
    )
    return made


def unowned(objects: Sequence[Manifest]) -> list[Manifest]:
    """The same objects as they stand without a run: without the mark, by which cleanup knows what it may remove."""

    def plain(meta: Json) -> Json:
        return {key: value for key, value in meta.items() if key != "annotations"} if isinstance(meta, dict) else meta

    return [{**item, "metadata": plain(item["metadata"])} for item in objects]


def without_secrets(launch: LaunchPlan) -> LaunchPlan:
    """The same plan with its secret files empty, for people to see."""

    def shown(files: Sequence[FileToWrite]) -> tuple[FileToWrite, ...]:
        return tuple(replace(file, content=HIDDEN.encode()) if file.secret else file for file in files)

    return replace(launch, files=shown(launch.files), initial=shown(launch.initial))


def _meta(
    layout: Layout, name: str, owned: Owner | None = None, node: str | None = None, *, inside: bool = True
) -> dict[str, Json]:
    meta: dict[str, Json] = {
        "name": name,
        "labels": {**layout.labels, **({LABEL_NODE: node} if node else {})},
        "annotations": {ANNOTATION: layout.mark.text},
    }
    if inside:
        meta["namespace"] = layout.namespace
    if owned is not None:
        meta["ownerReferences"] = [
            {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "name": owned.name, "uid": owned.uid}
        ]
    return meta


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _contents(files: Sequence[Placed]) -> dict[str, str]:
    """Contents by key: a key holds no slash, so the path stands where the volume is mounted."""
    return {f"file-{index}": _base64(item.file.content) for index, item in enumerate(files)}


def _holder(
    kind: str, field: str, layout: Layout, node: NodePlan, name: str, data: Mapping[str, str], owned: Owner | None
) -> Manifest:
    return {
        "apiVersion": "v1", "kind": kind, "metadata": _meta(layout, name, owned, node.name), field: dict(data),
    }  # fmt: skip


def _variables(env: Mapping[str, str], reveal: Reveal) -> tuple[dict[str, str], dict[str, str]]:
    """Variables that may be seen, and those that come from references to secrets, with their values."""
    hidden = {name: reveal(secret) for name, value in env.items() if (secret := Secret(value)).is_reference}
    return {name: value for name, value in env.items() if name not in hidden}, hidden | {}


def _claim(layout: Layout, options: K8sOptions, node: NodePlan, owned: Owner | None) -> Manifest:
    storage = options.storage
    assert storage is not None
    spec: dict[str, Json] = {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": storage.size}},
    }  # fmt: skip
    if storage.storage_class is not None:
        spec["storageClassName"] = storage.storage_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": _meta(layout, f"{layout.pod(node.name)}-data", owned, node.name),
        "spec": spec,
    }


def _node_port(layout: Layout, node: NodePlan, owned: Owner | None) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _meta(layout, f"{layout.pod(node.name)}-port", owned, node.name),
        "spec": {
            "type": "NodePort",
            "publishNotReadyAddresses": True,
            "selector": {**layout.labels, LABEL_NODE: node.name},
            "ports": [{"name": port.name, "port": port.number} for port in node.ports],
        },
    }


def _pod(
    layout: Layout,
    options: K8sOptions,
    node: NodePlan,
    launch: LaunchPlan,
    image: str,
    env: Mapping[str, str],
    plain: Sequence[Placed],
    secret: Sequence[Placed],
    together: Sequence[str],
) -> dict[str, Json]:
    spec: dict[str, Json] = {
        "hostname": node.name,
        "subdomain": layout.service,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": max(1, round(options.stop_grace or launch.stop.grace)),
        # A program that ends takes its container with it; the next one holds still until it is told to start.
        "restartPolicy": "Always",
        "nodeSelector": {"kubernetes.io/os": "linux", "kubernetes.io/arch": options.arch, **options.node_selector},
        "containers": [_container(layout, options, node, launch, image, env, plain, secret, together)],
        "volumes": _volumes(layout, options, node, bool(plain), bool(secret)),
    }
    context: dict[str, Json] = {}
    if options.user is not None:
        context |= {"runAsUser": options.user, "runAsGroup": options.user, "fsGroup": options.user}
    if options.restricted:
        context |= {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    if context:
        spec["securityContext"] = context
    if options.service_account is not None:
        spec["serviceAccountName"] = options.service_account
    if options.pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in options.pull_secrets]
    if options.tolerations:
        spec["tolerations"] = [_toleration(t.key, t.value, t.effect) for t in options.tolerations]
    if options.spread != "none":
        spec["affinity"] = {"podAntiAffinity": _apart(layout, required=options.spread == "required")}
    return spec


def _toleration(key: str | None, value: str | None, effect: str | None) -> dict[str, Json]:
    made: dict[str, Json] = {"operator": "Exists" if value is None else "Equal"}
    made |= {name: word for name, word in (("key", key), ("value", value), ("effect", effect)) if word is not None}
    return made


def _apart(layout: Layout, *, required: bool) -> dict[str, Json]:
    term: dict[str, Json] = {
        "labelSelector": {"matchLabels": {**layout.labels}}, "topologyKey": "kubernetes.io/hostname",
    }  # fmt: skip
    if required:
        return {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    return {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": term}]}


def _container(
    layout: Layout,
    options: K8sOptions,
    node: NodePlan,
    launch: LaunchPlan,
    image: str,
    env: Mapping[str, str],
    plain: Sequence[Placed],
    secret: Sequence[Placed],
    together: Sequence[str],
) -> dict[str, Json]:
    name = layout.pod(node.name)
    hidden = sorted({**node.env, **launch.env}.keys() - env.keys())
    variables: list[Json] = [{"name": key, "value": _literal(value)} for key, value in sorted(env.items())]
    variables += [
        {"name": key, "valueFrom": {"secretKeyRef": {"name": f"{name}-secret", "key": key}}} for key in hidden
    ]
    orders = [*_copies(plain, secret), *_awaits(layout, options, together)]
    made: dict[str, Json] = {
        "name": CONTAINER,
        "image": image,
        "imagePullPolicy": PULL[options.pull],
        "command": [KEEPER, "run", WORK],
        "args": [_literal(word) for word in (*orders, "--", launch.program, *launch.args)],
        "workingDir": DATA,
        "env": variables,
        "ports": [{"name": port.name, "containerPort": port.number} for port in node.ports],
        "volumeMounts": _mounts(bool(plain), bool(secret)),
    }
    if node.ports:
        probe: dict[str, Json] = {"tcpSocket": {"port": node.ports[0].number}, "periodSeconds": 1, "timeoutSeconds": 1}
        made["readinessProbe"] = probe
    if node.resources is not None:
        limits: dict[str, Json] = {}
        if node.resources.cpu is not None:
            limits["cpu"] = f"{round(node.resources.cpu * 1000)}m"
        if node.resources.memory is not None:
            limits["memory"] = node.resources.memory
        made["resources"] = {"requests": limits, "limits": dict(limits)}
    if options.restricted:
        made["securityContext"] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return made


def _literal(text: str) -> str:
    """A text in which Kubernetes finds no variable to replace."""
    return text.replace("$", "$$")


def _copies(plain: Sequence[Placed], secret: Sequence[Placed]) -> list[str]:
    """The keeper's orders to copy files to where the program may change them."""
    words: list[str] = []
    for folder, files, mode in (("plain", plain, "0644"), ("secret", secret, "0600")):
        for index, item in enumerate(files):
            how = "--initial" if item.initial else "--file"
            words += [how, f"{FILES}/{folder}/file-{index}", item.target, mode]
    return words


def _awaits(layout: Layout, options: K8sOptions, together: Sequence[str]) -> list[str]:
    """The keeper's order to start no program before the names of all have addresses: some look them up only once."""
    if not together:
        return []
    return ["--await", str(math.ceil(options.start_timeout)), *(layout.name(node) for node in together)]


def _mounts(plain: bool, secret: bool) -> list[Json]:
    made: list[Json] = [
        {"name": "keeper", "mountPath": BIN, "readOnly": True},
        {"name": "work", "mountPath": WORK},
        {"name": "data", "mountPath": DATA},
    ]
    for name, there in (("plain", plain), ("secret", secret)):
        if there:
            made.append({"name": name, "mountPath": f"{FILES}/{name}", "readOnly": True})
    return made


def _volumes(layout: Layout, options: K8sOptions, node: NodePlan, plain: bool, secret: bool) -> list[Json]:
    name = layout.pod(node.name)
    data: dict[str, Json] = {"name": "data", "emptyDir": {}}
    if options.storage is not None:
        data = {"name": "data", "persistentVolumeClaim": {"claimName": f"{name}-data"}}
    made: list[Json] = [
        {"name": "keeper", "configMap": {"name": layout.keeper, "defaultMode": 0o555}},
        {"name": "work", "emptyDir": {}},
        data,
    ]
    if plain:
        made.append({"name": "plain", "configMap": {"name": f"{name}-files"}})
    if secret:
        made.append({"name": "secret", "secret": {"secretName": f"{name}-secret", "defaultMode": 0o440}})
    return made
