"""The real cluster that tests use, and images for it. Asks ``kubectl`` and never the code under test."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from etcd.etcd_processes import BINARY

REPOSITORY = Path(__file__).parents[2]
SCRIPT = Path(os.environ.get("NODEYARD_TEST_CLUSTER", REPOSITORY / ".." / "shared" / "kube" / "cluster"))
"""Starts a cluster, tells its kubeconfig and loads images into it."""
ETCD = Path(BINARY)
BUSYBOX = Path("/bin/busybox")
Json = dict[str, Any]


@functools.cache
def kubeconfig() -> str:
    """The kubeconfig of a cluster that answers; where there is none the test is skipped, except in CI."""
    if SCRIPT.is_file() and subprocess.run([SCRIPT, "status"], capture_output=True, check=False).returncode == 0:
        return subprocess.run([SCRIPT, "kubeconfig"], capture_output=True, check=True, text=True).stdout.strip()
    message = f"no Kubernetes cluster runs; start one with: {SCRIPT} up"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def kubectl(*words: str, stdin: str | None = None, check: bool = True, config: str | None = None) -> str:
    """What ``kubectl`` prints."""
    done = subprocess.run(
        ["kubectl", "--kubeconfig", config or kubeconfig(), *words],
        input=stdin, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0 or not check, done.stderr
    return done.stdout


def objects(*words: str) -> list[Json]:
    """Objects by ``kubectl get``; none where there is nothing of that name."""
    out = kubectl("get", *words, "-o", "json", "--ignore-not-found")
    if not out.strip():
        return []
    found: Json = json.loads(out)
    return list(found["items"]) if found["kind"].endswith("List") else [found]


def of_run(mark: str, namespace: str) -> list[str]:
    """Everything in a namespace whose annotation is this mark, by kind and name."""
    kinds = "pods,services,configmaps,secrets,leases,persistentvolumeclaims"
    found = objects(kinds, "-n", namespace)
    mine = [o for o in found if (o["metadata"].get("annotations") or {}).get("nodeyard.dev/mark") == mark]
    return sorted(f"{o['kind'].lower()} {o['metadata']['name']}" for o in mine)


@contextmanager
def a_namespace(prefix: str = "t", **labels: str) -> Iterator[str]:
    """A namespace of a test's own, with its service account; it goes away behind us."""
    name = f"{prefix}-{uuid.uuid4().hex[:10]}"
    kubectl("create", "namespace", name)
    try:
        if labels:
            kubectl("label", "namespace", name, *(f"{key}={value}" for key, value in labels.items()))
        kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=30s")
        yield name
    finally:
        kubectl("delete", "pods", "--all", "-n", name, "--grace-period=0", "--force", check=False)
        kubectl("delete", "namespace", name, "--wait=false", check=False)


def _dockerfile(shell: bool) -> str:
    lines = ["FROM scratch", "COPY etcd /usr/local/bin/etcd"]
    if shell:
        applets = ("sh", "sleep", "cat", "ls", "env", "echo", "wget", "kill")
        lines += [
            "COPY busybox /bin/busybox",
            *(f'RUN ["/bin/busybox", "ln", "-s", "busybox", "/bin/{a}"]' for a in applets),
        ]
    return "\n".join(lines) + "\n"


@functools.cache
def image(*, shell: bool = False) -> str:
    """An image with etcd, and with a shell too; built and loaded once for all workers of a session."""
    if shell and not BUSYBOX.is_file():
        pytest.fail(f"{BUSYBOX} is missing: apt-get install busybox-static")
    text = _dockerfile(shell)
    digest = hashlib.sha256(text.encode() + ETCD.read_bytes()).hexdigest()[:12]
    name = f"nodeyard.test/etcd{'-shell' if shell else ''}:{digest}"
    cache = Path(os.environ["NODEYARD_CACHE_DIR"])
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "images.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = cache / f"loaded-{digest}"
        if not done.exists():
            _build(name, text, shell, cache / f"build-{digest}")
            subprocess.run([SCRIPT, "load", name], check=True, capture_output=True)
            done.touch()
    return name


def _build(name: str, text: str, shell: bool, folder: Path) -> None:
    folder.mkdir()
    (folder / "Dockerfile").write_text(text)
    shutil.copy(ETCD, folder / "etcd")
    if shell:
        shutil.copy(BUSYBOX, folder / "busybox")
    subprocess.run(["docker", "build", "-q", "-t", name, folder], check=True, capture_output=True)
    shutil.rmtree(folder)


def load(reference: str, name: str) -> str:
    """Give the cluster an image of the engine under a name that stays the same, so that it replaces an older one."""
    known = f"nodeyard.test/{name}:example"
    with (Path(tempfile.gettempdir()) / "nodeyard-test-images.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of all sessions of this machine, because the name is
        subprocess.run(["docker", "tag", reference, known], check=True, capture_output=True)
        try:
            subprocess.run([SCRIPT, "load", known], check=True, capture_output=True)
        finally:
            subprocess.run(["docker", "rmi", known], check=True, capture_output=True)
    return known
