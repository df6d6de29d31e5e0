"""Compose projects that somebody else runs, started by the plain ``docker compose`` command."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .engine import docker, ids, inspected


@dataclass(frozen=True)
class Foreign:
    """A project of somebody else."""

    name: str
    file: Path

    def compose(self, *words: str) -> str:
        return docker("compose", "--project-name", self.name, "--file", str(self.file), *words)

    def containers(self) -> list[str]:
        return ids("container", f"com.docker.compose.project={self.name}")

    def portrait(self) -> dict[str, Any]:
        """What a run must leave as it is: each container's id, start, restarts and state."""
        return {
            one["Name"]: (one["Id"], one["State"]["StartedAt"], one["RestartCount"], one["State"]["Status"],
                          one["State"]["Pid"], one["NetworkSettings"]["Ports"], one["Config"], one["HostConfig"])
            for one in inspected(*self.containers())
        }  # fmt: skip


def document(image: str, subnet: str, *, count: int = 3, published: bool = True) -> dict[str, Any]:
    """A Compose file with so many etcd nodes at fixed addresses, as people write it."""
    hosts = {f"n{i}": f"{subnet}.{10 + i}" for i in range(count)}
    members = ",".join(f"{name}=http://{host}:2380" for name, host in hosts.items())
    return {
        "services": {
            name: {
                "image": image,
                "command": [
                    "etcd", f"--name={name}", "--data-dir=/data", "--listen-client-urls=http://0.0.0.0:2379",
                    f"--advertise-client-urls=http://{host}:2379", "--listen-peer-urls=http://0.0.0.0:2380",
                    f"--initial-advertise-peer-urls=http://{host}:2380", f"--initial-cluster={members}",
                    "--initial-cluster-token=foreign", "--unsafe-no-fsync",
                ],
                "networks": {"default": {"ipv4_address": host}},
                "volumes": [f"{name}:/data"],
                **({"ports": ["127.0.0.1::2379"]} if published else {}),
            }
            for name, host in hosts.items()
        },
        "networks": {"default": {"ipam": {"config": [{"subnet": f"{subnet}.0/24"}]}}},
        "volumes": dict.fromkeys(hosts),
    }  # fmt: skip


def free_subnet() -> str:
    """The first three numbers of a subnet that no network of the engine has, different in every process."""
    taken = json.dumps(inspected(*docker("network", "ls", "-q").split()))
    first = os.getpid() % 200
    for step in range(200):
        subnet = f"10.213.{(first + step) % 200}"
        if f'"{subnet}.' not in taken:
            return subnet
    raise AssertionError("all subnets for tests are in use")


@contextmanager
def etcd_project(
    folder: Path, image: str, *, published: bool = True, content: dict[str, Any] | None = None
) -> Iterator[Foreign]:
    """A project that runs, from its file to the removal of everything of it."""
    project = Foreign(f"foreign-{uuid.uuid4().hex[:8]}", folder / "compose.yaml")
    folder.mkdir(exist_ok=True)
    project.file.write_text(json.dumps(content or document(image, free_subnet(), published=published)))
    try:
        project.compose("up", "--detach", "--wait")
        yield project
    finally:
        subprocess.run(
            ["docker", "compose", "-p", project.name, "-f", str(project.file), "down", "-v", "-t", "0"],
            capture_output=True, check=False, timeout=120,
        )  # fmt: skip
