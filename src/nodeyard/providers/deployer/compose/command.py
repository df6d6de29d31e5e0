"""The ``docker compose`` command: whether it is there, and running it so that nothing of it outlives its run."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from nodeyard.domain.run_identity import MARK_VARIABLE
from nodeyard.errors.provider import ProviderError, ProvisioningFailed
from nodeyard.ports.plugins import PluginContext
from nodeyard.providers._clients.docker import refusals
from nodeyard.providers._clients.docker.address import EngineAddress
from nodeyard.providers._clients.process_run import Finished, run_briefly
from nodeyard.providers.deployer.compose.resources import BY, COMMAND

ASKING = 30.0
"""Seconds that the command may take to print its version: the first one after a boot reads a plugin of 60 MB."""
INSTALL = "install Compose v2 as a plugin of the docker command ('docker compose version' must print a version)"
LEAST = (2, 17)
"""The first version that takes a Dockerfile inside the Compose file."""
KEPT = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "XDG_RUNTIME_DIR")
FAMILIES = ("DOCKER_", "BUILDKIT_", "BUILDX_", "COMPOSE_PARALLEL", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
            "http_proxy", "https_proxy", "no_proxy", "SSL_CERT")  # fmt: skip


class ComposeCommand:
    """The command, speaking to one engine."""

    def __init__(self, address: EngineAddress, context: PluginContext) -> None:
        self._context = context
        self._environment = address.command_environment(_chosen(context.environment))

    async def problem(self) -> str:
        """Why it cannot be used, with what to do; empty when it can."""
        docker = self._docker()
        if docker is None:
            return f"the command 'docker' is not on the PATH ({INSTALL})"
        known = _Known(self._context.cache, docker, self._environment.get("HOME", "/"))
        answer = known.answer()
        if answer is None:
            try:
                done = await self._briefly([docker, "compose", "version", "--short"], {}, ASKING)
            except (TimeoutError, OSError) as error:
                return f"'docker compose version' cannot be run: {error or 'it does not end'} ({INSTALL})"
            answer = done.stdout.strip() if done.code == 0 else ""
            known.remember(answer)
        return version_problem(answer, old=shutil.which("docker-compose", path=self._path))

    async def run(
        self, words: Sequence[str], *, within: float, secrets: Mapping[str, str], operation: str, nodes: Sequence[str]
    ) -> None:
        """``docker compose WORDS``. Raises the error that its last words mean; when cancelled it is killed."""
        entry = await self._context.ledger.record(BY, COMMAND, node=None, data={})
        docker = self._docker() or "docker"
        try:
            done = await self._briefly([docker, "compose", "--ansi", "never", *words], secrets, within)
        except TimeoutError:
            fact = f"'docker compose' did not end within {within:g}s"
            raise ProvisioningFailed(fact, operation=operation, hint="try it by hand") from None
        except OSError as error:
            raise ProvisioningFailed(
                f"'docker compose' cannot be run: {error.strerror}", operation=operation, hint=INSTALL
            ) from error
        # Not settled when it was cut short: then something of it may live on, and the entry is what finds that.
        self._context.ledger.settle(entry)
        if done.code:
            raise meaning(done.stderr + done.stdout, operation=operation, nodes=nodes)

    async def _briefly(self, argv: Sequence[str], secrets: Mapping[str, str], within: float) -> Finished:
        environment = {**self._environment, **secrets, MARK_VARIABLE: self._context.mark.text}
        return await run_briefly(argv, cwd=Path("/"), env=environment, timeout=within)

    @property
    def _path(self) -> str:
        return self._environment.get("PATH", os.defpath)

    def _docker(self) -> str | None:
        return shutil.which("docker", path=self._path)


def _chosen(environment: Mapping[str, str]) -> dict[str, str]:
    """What the command may see of the tester's environment: a run must not depend on the rest, nor leak it."""
    return {name: value for name, value in environment.items() if name in KEPT or name.startswith(FAMILIES)}


def version_problem(answer: str, *, old: str | None) -> str:
    """What is wrong with Compose by the version that it printed; empty when nothing is. Pure."""
    found = re.match(r"v?(\d+)\.(\d+)", answer)
    if found is None:
        too = f"; {old} is version 1, which is not enough" if old else ""
        return f"the docker command has no 'compose'{too} ({INSTALL})"
    if (int(found[1]), int(found[2])) < LEAST:
        return f"Compose is version {answer}, and {'.'.join(map(str, LEAST))} or later is needed ({INSTALL})"
    return ""


NOISE = re.compile(
    r"^\s*(#\d+ |time=\S+ level=warning|(Network|Volume|Container|Image) .*(Creat|Start|Recreat|Wait|Pull))"
)


def meaning(text: str, *, operation: str, nodes: Sequence[str]) -> ProviderError:
    """The error that the last words of the command mean, naming the node where it does."""
    lines = [line for line in text.splitlines() if line.strip() and not NOISE.match(line)]
    telling = "\n".join(line.removeprefix("Error response from daemon: ") for line in lines[-20:]) or text[-2000:]
    named = [node for node in nodes if re.search(rf"\b{re.escape(node)}(-1)?\b", telling)]
    node = named[0] if len(named) == 1 else (nodes[0] if len(nodes) == 1 else None)
    return refusals.of_message(telling, node=node, operation=operation)


class _Known:
    """The version that a docker command printed, kept as long as neither it nor its plugins change."""

    def __init__(self, cache: Path, docker: str, home: str) -> None:
        places = [Path(docker), Path(home, ".docker/cli-plugins/docker-compose")]
        places += [Path(where, "docker/cli-plugins/docker-compose") for where in ("/usr/lib", "/usr/libexec")]
        places += [Path("/usr/local", lib, "docker/cli-plugins/docker-compose") for lib in ("lib", "libexec")]
        facts = [(str(p), p.stat().st_mtime_ns, p.stat().st_size) for p in places if p.exists()]
        self._line = repr(facts)
        self._file = cache / "versions" / "docker-compose"

    def answer(self) -> str | None:
        try:
            line, _, answer = self._file.read_text().partition("\n")
        except (OSError, UnicodeDecodeError):
            return None
        return answer if line == self._line else None

    def remember(self, answer: str) -> None:
        if not answer:
            return  # a plugin may be installed at any moment
        with contextlib.suppress(OSError):  # without a cache it is asked again next time, which is only slower
            self._file.parent.mkdir(parents=True, exist_ok=True)
            draft = self._file.with_name(f".docker-compose.{os.getpid()}")
            draft.write_text(f"{self._line}\n{answer}")
            draft.replace(self._file)
