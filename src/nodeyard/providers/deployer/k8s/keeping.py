"""Talking to the keeper, the first process of a node's container. See ``keeper/keeper.c``."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from nodeyard.domain.launch_plan import FileToWrite
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import OperationFailed
from nodeyard.ports.node_control import ExecResult
from nodeyard.providers._clients.kube.cluster import Cluster
from nodeyard.providers.deployer.k8s.layout import CONFIG, CONTAINER, DATA, KEEPER, WORK

REPLY = 15.0
"""Seconds for the keeper to reply, beside the time that an act itself may take."""
TIME_OVER, FAILED, NOT_RUN = 124, 125, 127
"""The keeper's own statuses."""


def program(arch: str) -> bytes:
    """The keeper for an architecture as Kubernetes names it. Raises ``FileNotFoundError`` for one there is none for."""
    return (resources.files("nodeyard.providers.deployer.k8s") / "keeper" / f"keeper-{arch}").read_bytes()


@dataclass(frozen=True)
class Kept:
    """What the keeper says: ``running``, ``paused`` or ``stopped``, how often it started, its last status."""

    state: str
    starts: int
    code: int


class KeeperGone(Exception):
    """The keeper did not reply because its container ended, or is not there."""


@dataclass(frozen=True)
class Keeper:
    """The keeper of one node's pod."""

    cluster: Cluster
    namespace: str
    pod: str
    node: str

    async def tell(self, verb: str, *words: str, within: float = 0.0, stdin: bytes | None = None) -> Kept:
        """Have something done; each verb may be repeated. ``within``: seconds that the act itself may take.

        Raises ``OperationFailed`` with what the keeper said, ``KeeperGone``, and the errors of the cluster.
        """
        argv = [KEEPER, "ctl", WORK, verb, *words]
        done = await self.run(argv, timeout=within + REPLY, stdin=stdin, operation=verb)
        state, _, rest = done.stdout.strip().partition(" ")
        starts, _, code = rest.partition(" ")
        if done.status == 0 and starts.isdigit() and code.isdigit():
            return Kept(state, int(starts), int(code))
        if done.status in (FAILED, 137):
            raise KeeperGone(done.stderr.strip())
        said = (done.stdout + done.stderr).strip().removeprefix("error ")
        raise OperationFailed(said or f"ended with {done.status}", node=self.node, operation=verb, hint="try it again")

    async def start(self, argv: Sequence[str], env: Mapping[str, str]) -> Kept:
        """Start the program, if none runs."""
        words = [*argv, "", *(f"{name}={value}" for name, value in env.items())]
        payload = b"".join(word.encode() + b"\0" for word in words)
        return await self.tell("start", str(len(payload)), stdin=payload)

    async def args(self) -> tuple[str, ...]:
        """The arguments that the program runs with, by the kernel's word; none while it does not run."""
        done = await self.run([KEEPER, "ctl", WORK, "args"], timeout=REPLY, operation="patch")
        return tuple(done.stdout.removesuffix("\n").split("\0")[1:-1])

    async def digest(self, path: str) -> str | None:
        """The SHA-256 of a file below the config folder; ``None`` where there is none."""
        done = await self.run([KEEPER, "cat", f"{CONFIG}/{path}"], timeout=REPLY, operation="patch")
        return None if done.status else hashlib.sha256(done.stdout.encode()).hexdigest()

    async def put(self, file: FileToWrite, *, initial: bool = False) -> None:
        """Write a file below the config folder; an initial one below the data folder, if it is not there."""
        verb, folder = ("put-missing", DATA) if initial else ("put", CONFIG)
        mode, size = "0600" if file.secret else "0644", str(len(file.content))
        argv = [KEEPER, verb, f"{folder}/{file.path}", mode, size]
        done = await self.run(argv, timeout=REPLY, stdin=file.content, operation="put")
        if done.status:
            raise OperationFailed(
                f"the file '{file.path}' could not be written", node=self.node, operation="patch",
                evidence=[done.stderr.strip()], hint="is the disk of its machine full?",
            )  # fmt: skip

    async def command(self, argv: Sequence[str], *, timeout: float) -> ExecResult:
        """Run a command of the image beside the program; ended with all that it started when its time is over.

        Raises ``OperationFailed`` for one that takes longer, and for one that the image does not have.
        """
        words = [KEEPER, "exec", str(math.ceil(timeout)), "--", *argv]
        try:
            done = await self.run(words, timeout=timeout + REPLY, operation="exec")
        except KeeperGone as gone:
            raise OperationFailed(
                f"has no running container: {gone}", node=self.node, operation="exec", hint="start it first"
            ) from gone
        if done.status == TIME_OVER:
            raise OperationFailed(
                f"'{argv[0]}' did not end within {timeout:g}s", node=self.node, operation="exec",
                hint="give it more time",
            )  # fmt: skip
        if done.status == NOT_RUN and done.stderr.startswith("keeper:"):
            raise OperationFailed(
                f"'{argv[0]}' cannot be run: {done.stderr.strip().removeprefix('keeper: ')}",
                node=self.node, operation="exec", hint="name a program of the node's image",
            )  # fmt: skip
        return done

    async def run(
        self, argv: Sequence[str], *, timeout: float, stdin: bytes | None = None, operation: str
    ) -> ExecResult:
        """Run something in the container. Raises ``KeeperGone`` where there is none, ``OperationFailed`` after it."""

        async def act() -> ExecResult:
            try:
                return await self.cluster.exec(
                    self.pod, self.namespace, argv, container=CONTAINER, stdin=stdin, timeout=timeout, node=self.node
                )
            except NodeyardError as error:
                if _no_container(error):
                    raise KeeperGone(error.message) from error
                raise

        try:
            return await self.cluster.persist(act)
        except TimeoutError:
            raise OperationFailed(
                f"gave no reply within {timeout:g}s", node=self.node, operation=operation,
                hint="does the machine under its pod still answer?",
            ) from None  # fmt: skip


def _no_container(error: NodeyardError) -> bool:
    words = " ".join((error.message, *error.evidence))
    return any(
        part in words for part in ("container not found", "not found", "not running", "is not created", "not exist")
    )
