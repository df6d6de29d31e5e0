"""Where the engine is: by option, ``DOCKER_HOST``, context or default socket, in the order of the docker command.

Reads the docker command's own configuration and nothing else of the world; the environment is given.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodeyard.errors.provider import BackendUnavailable
from nodeyard.ports.ledger import Json

DEFAULT = "unix:///var/run/docker.sock"
TLS_FILES = ("ca.pem", "cert.pem", "key.pem")
CHOOSING = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_TLS", "DOCKER_CERT_PATH")
"""The variables by which the docker command chooses its engine."""
SPOKEN = ("unix://", "tcp://", "http://", "https://")


@dataclass(frozen=True)
class EngineAddress:
    """An engine: ``url`` as the docker command writes it, the folder of its TLS files, and who said so.

    ``verify``: whether its certificate must be signed by ``ca.pem`` of that folder.
    """

    url: str
    certificates: str | None = None
    verify: bool = True
    origin: str = "the default socket"

    @property
    def local(self) -> bool:
        """Whether the engine runs on this machine as far as can be told: it is reached by a socket."""
        return self.url.startswith("unix://")

    @property
    def socket(self) -> str:
        return self.url.removeprefix("unix://")

    def data(self) -> Mapping[str, Json]:
        """For the ledger: whoever removes later knows nothing of today's environment."""
        return {"url": self.url, "certificates": self.certificates, "verify": self.verify}

    @staticmethod
    def of(data: Json) -> EngineAddress:
        """The address in an entry. Raises ``BackendUnavailable`` for none."""
        known = data if isinstance(data, Mapping) else {}
        url, folder = known.get("url"), known.get("certificates")
        if not isinstance(url, str):
            raise BackendUnavailable("the ledger does not say which engine", hint="was it written by a later version?")
        certificates = folder if isinstance(folder, str) else None
        return EngineAddress(url, certificates, known.get("verify") is not False, "the ledger")

    def command_environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """``environment`` in which the docker command speaks to this very engine."""
        chosen = {name: value for name, value in environment.items() if name not in CHOOSING}
        chosen["DOCKER_HOST"] = self.url
        if self.certificates is not None:
            chosen |= {"DOCKER_CERT_PATH": self.certificates, "DOCKER_TLS": "1"}
            if self.verify:
                chosen["DOCKER_TLS_VERIFY"] = "1"
        return chosen


def engine_address(
    environment: Mapping[str, str], *, host: str | None = None, context: str | None = None
) -> EngineAddress:
    """The engine that these options and this environment mean. Raises ``BackendUnavailable`` with a hint."""
    if host is not None:
        return _checked(_with_tls(host, environment, "the option 'host'"))
    if context is not None:
        return _checked(_of_context(context, environment, "the option 'context'"))
    if given := environment.get("DOCKER_HOST"):
        return _checked(_with_tls(given, environment, "$DOCKER_HOST"))
    if named := environment.get("DOCKER_CONTEXT"):
        return _checked(_of_context(named, environment, "$DOCKER_CONTEXT"))
    folder = _folder(environment)
    current = _read(folder / "config.json").get("currentContext") if folder is not None else None
    if isinstance(current, str) and current:
        return _checked(_of_context(current, environment, "the current context of the docker command"))
    return EngineAddress(DEFAULT)


def _folder(environment: Mapping[str, str]) -> Path | None:
    """The folder of the docker command's configuration."""
    if given := environment.get("DOCKER_CONFIG"):
        return Path(given)
    home = environment.get("HOME")
    return Path(home) / ".docker" if home else None


def _with_tls(url: str, environment: Mapping[str, str], origin: str) -> EngineAddress:
    wanted = environment.get("DOCKER_TLS_VERIFY") or environment.get("DOCKER_TLS")
    if url.startswith("unix://") or not wanted:
        return EngineAddress(url, origin=origin)
    folder = environment.get("DOCKER_CERT_PATH") or _folder(environment)
    return EngineAddress(url, str(folder), bool(environment.get("DOCKER_TLS_VERIFY")), origin)


def _of_context(name: str, environment: Mapping[str, str], origin: str) -> EngineAddress:
    if name == "default":
        given = environment.get("DOCKER_HOST")
        return _with_tls(given, environment, "$DOCKER_HOST") if given else EngineAddress(DEFAULT, origin=origin)
    folder = _folder(environment)
    known = folder / "contexts" if folder is not None else Path("contexts")
    key = hashlib.sha256(name.encode()).hexdigest()
    meta = _read(known / "meta" / key / "meta.json")
    endpoint = meta.get("Endpoints", {}).get("docker", {}) if isinstance(meta.get("Endpoints"), dict) else {}
    if not isinstance(endpoint.get("Host"), str):
        raise BackendUnavailable(
            f"there is no docker context '{name}' ({origin})", hint="'docker context ls' lists those there are"
        )
    certificates = known / "tls" / key / "docker"
    return EngineAddress(
        endpoint["Host"],
        str(certificates) if certificates.is_dir() else None,
        not endpoint.get("SkipTLSVerify", False),
        f"context '{name}', {origin}",
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise BackendUnavailable(f"{path} cannot be read: {error}", hint="correct or remove that file") from error
    return found if isinstance(found, dict) else {}


def _checked(address: EngineAddress) -> EngineAddress:
    if not address.url.startswith(SPOKEN):
        hint = "name it unix:///PATH or tcp://HOST:PORT"
        if address.url.startswith("ssh://"):
            hint = "forward its socket, as in 'ssh -L /tmp/docker.sock:/var/run/docker.sock HOST', and name that socket"
        raise BackendUnavailable(f"{address.url} ({address.origin}) is no engine that can be spoken to", hint=hint)
    missing = [name for name in TLS_FILES[1:] if address.certificates and not Path(address.certificates, name).exists()]
    if missing:
        raise BackendUnavailable(
            f"TLS towards {address.url} needs {' and '.join(missing)} in {address.certificates}",
            hint="set DOCKER_CERT_PATH to the folder of ca.pem, cert.pem and key.pem",
        )
    return address
