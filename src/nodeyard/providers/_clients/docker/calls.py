"""The calls about containers that deployer and attach provider share. Each is one request, or the few that it takes."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from typing import Any

import aiodocker

from nodeyard.domain.launch_plan import FileToWrite
from nodeyard.errors.provider import OperationFailed, ProvisioningFailed
from nodeyard.ports.node_control import ExecResult
from nodeyard.providers._clients.docker.containers import Container, inspected, listed
from nodeyard.providers._clients.docker.engine import CALL, Engine, Missing, label_filter

LONGEST_LINE = 2000
"""Characters kept of one line of output."""
NOT_THERE = 127
"""What a shell, and the engine since version 23, say of a command that is not there; older engines say 126."""


async def containers(engine: Engine, wanted: Mapping[str, str | None]) -> list[Container]:
    """All containers with these labels, running or not."""
    filters = json.dumps(label_filter(wanted))
    found = await engine.call(lambda docker: docker.containers.list(all=True, filters=filters), "list containers")
    return sorted((listed(one._container) for one in found), key=lambda one: (one.name, one.id))


async def inspect(engine: Engine, container: str) -> Mapping[str, Any] | None:
    """Everything that the engine says of a container; ``None`` if it is not there."""
    try:
        said: Mapping[str, Any] = await engine.call(
            lambda docker: docker.containers.container(container).show(), "inspect a container"
        )
    except Missing:
        return None
    return said


async def diagnosed(engine: Engine, container: str) -> Mapping[str, str]:
    """``inspect.json`` of a container: its exit code, whether memory ran out, its ports and addresses, and all else."""
    said = await inspect(engine, container)
    return {"inspect.json": json.dumps(said, indent=2) + "\n"} if said is not None else {}


async def look(engine: Engine, container: str) -> Container | None:
    """A container as it is now; ``None`` if it is not there."""
    said = await inspect(engine, container)
    return inspected(said) if said is not None else None


async def start(engine: Engine, container: str, *, node: str) -> None:
    """Start it; no effect on a running one."""
    await _act(engine, "start", node, container, lambda c: c.start(), CALL)


async def stop(engine: Engine, container: str, *, grace: float, node: str) -> None:
    """End it by its own stop signal, by force after ``grace`` seconds. Returns when it has ended."""
    seconds = max(1, round(grace))
    await _act(engine, "stop", node, container, lambda c: c.stop(t=seconds), seconds + CALL)


async def kill(engine: Engine, container: str, *, node: str) -> None:
    """Send SIGKILL; no effect on one that does not run."""
    try:
        await _act(engine, "kill", node, container, lambda c: c.kill(signal="SIGKILL"), CALL)
    except ProvisioningFailed as error:
        if "is not running" not in str(error):
            raise


async def pause(engine: Engine, container: str, *, node: str) -> None:
    await _act(engine, "pause", node, container, lambda c: c.pause(), CALL)


async def unpause(engine: Engine, container: str, *, node: str) -> None:
    await _act(engine, "resume", node, container, lambda c: c.unpause(), CALL)


async def _act(engine: Engine, word: str, node: str, container: str, act: Any, within: float) -> None:
    try:
        await engine.call(lambda docker: act(docker.containers.container(container)), word, node=node, within=within)
    except Missing as error:
        raise gone(node, word) from error


def gone(node: str, operation: str) -> OperationFailed:
    """The error of an operation on a container that was removed."""
    return OperationFailed(
        "its container is not there any more", node=node, operation=operation, hint="was it removed by hand?"
    )


async def ended(engine: Engine, container: str) -> None:
    """Wait until a container does not run, for as long as that takes. Returns at once if it is not there."""
    try:
        await engine.call(lambda docker: docker.containers.container(container).wait(), "wait", within=None)
    except Missing:
        return


async def output(engine: Engine, container: str, tail: int | None) -> list[str]:
    """The last ``tail`` lines that it printed, or all; none if it is not there."""
    if tail == 0:
        return []
    words = {"stdout": True, "stderr": True, "tail": "all" if tail is None else tail}
    try:
        parts = await engine.call(
            lambda docker: docker.containers.container(container).log(**words), "read the output of a container"
        )
    except Missing:
        return []
    lines = [line[:LONGEST_LINE] for line in "".join(parts).splitlines()]
    return lines if tail is None else lines[-tail:]


async def put_missing(engine: Engine, container: str, folder: str, files: Sequence[FileToWrite], *, node: str) -> None:
    """Write those files below ``folder`` of a container, running or not, that are not there yet."""

    async def act(docker: Any) -> None:
        target = docker.containers.container(container)
        missing = [file for file in files if not await _there(target, f"{folder}/{file.path}")]
        if missing:
            await target.put_archive(folder, _packed(missing))

    await engine.call(act, "write files into a container", node=node)


async def _there(container: Any, path: str) -> bool:
    try:
        (await container.get_archive(path)).close()
    except aiodocker.DockerError as error:
        if error.status == 404:
            return False
        raise
    return True


def _packed(files: Sequence[FileToWrite]) -> io.BytesIO:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for file in files:
            info = tarfile.TarInfo(file.path)
            info.size, info.mode = len(file.content), 0o600 if file.secret else 0o644
            tar.addfile(info, io.BytesIO(file.content))
    out.seek(0)
    return out


async def execute(engine: Engine, container: str, argv: Sequence[str], *, timeout: float, node: str) -> ExecResult:
    """Run a command in a container. Raises ``OperationFailed`` when it cannot be run, or takes too long."""

    async def act(docker: Any) -> ExecResult:
        command = await docker.containers.container(container).exec(list(argv), stdout=True, stderr=True)
        parts: dict[int, bytearray] = {1: bytearray(), 2: bytearray()}
        async with command.start(detach=False) as stream:
            while (message := await stream.read_out()) is not None:
                parts[message.stream] += message.data
        known = await command.inspect()
        texts = (bytes(parts[number]).decode("utf-8", "replace") for number in (1, 2))
        return ExecResult(known["ExitCode"] if known["ExitCode"] is not None else NOT_THERE, *texts)

    try:
        async with asyncio.timeout(timeout):
            done = await engine.call(act, "exec", node=node, within=None)
    except Missing as error:
        raise gone(node, "exec") from error
    except TimeoutError:
        raise OperationFailed(
            f"'{argv[0]}' did not end within {timeout:g}s",
            node=node,
            operation="exec",
            evidence=["it may still run in the container"],
            hint="give it more time",
        ) from None
    if done.status in (126, NOT_THERE) and "exec" in done.stdout and not done.stderr:
        raise OperationFailed(
            f"'{argv[0]}' cannot be run there",
            node=node,
            operation="exec",
            evidence=[done.stdout.strip()],
            hint="name a program of the node's image; an image made from one program has no other, and no shell",
        )
    return done
