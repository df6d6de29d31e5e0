"""Which cluster is meant, and how to reach it: kubeconfig files, merged as ``kubectl`` does. Reads, and asks nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.config.models import NameValue
from lightkube.core.exceptions import ConfigError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from nodeyard.domain.document import nearest
from nodeyard.errors.validation import Problem, SpecInvalid
from nodeyard.ports.ledger import Json

DEFAULT_FILE = ".kube/config"
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds who it is; there ``nodeyard`` itself runs in a cluster."""
PATHS = {"cluster": ("certificate-authority",), "user": ("client-certificate", "client-key", "tokenFile")}
NAMED = {"clusters": "cluster", "users": "user", "contexts": "context"}


@dataclass(frozen=True)
class Reach:
    """How a cluster was reached, so that the same one is reached again, from the reaper and from ``gc`` too.

    ``files`` are kubeconfig files, none of them where the process runs in the cluster. Holds no secret.
    """

    files: tuple[str, ...]
    context: str | None

    def as_data(self) -> Mapping[str, Json]:
        """For a ledger entry; ``reach_of`` reads it back."""
        return {"kubeconfig": list(self.files), "context": self.context}


def reach_of(data: Mapping[str, Json]) -> Reach:
    """The cluster that a ledger entry names."""
    files, context = data.get("kubeconfig"), data.get("context")
    paths = tuple(str(file) for file in files) if isinstance(files, list | tuple) else ()
    return Reach(paths, context if isinstance(context, str) else None)


def reach(context: str | None, environment: Mapping[str, str]) -> Reach:
    """The cluster that ``context`` means with these settings, its context by name. Raises ``SpecInvalid``."""
    given = [path for path in environment.get("KUBECONFIG", "").split(":") if path]
    default = Path(environment.get("HOME") or Path.home()) / DEFAULT_FILE
    if not given and not default.exists() and environment.get("KUBERNETES_SERVICE_HOST"):
        return Reach((), None)
    files = tuple(str(Path(path).expanduser().absolute()) for path in given or [str(default)])
    found = Reach(files, context)
    return Reach(files, load(found, environment).context_name)


def load(where: Reach, environment: Mapping[str, str]) -> SingleConfig:
    """The connection of a cluster. Raises ``SpecInvalid`` that says what is missing and what there is."""
    if not where.files:
        return _in_cluster(environment)
    merged = _merged(where.files)
    context = where.context or merged.get("current-context")
    known = [str(item["name"]) for item in merged["contexts"]]
    if not context:
        raise _invalid("no kubeconfig names a current context", nearest("", known))
    if context not in known:
        raise _invalid(f"there is no context '{context}' in {', '.join(where.files)}", nearest(context, known))
    try:
        found = KubeConfig.from_dict(merged, fname=where.files[0]).get(str(context))
    except (ConfigError, KeyError, TypeError, ValueError) as error:
        raise _invalid(f"context '{context}' of {', '.join(where.files)} is not complete: {error}", FIX) from error
    if found is None or found.user is None:
        raise _invalid(f"context '{context}' names no user", FIX)
    if found.user.exec is not None:
        # The program that fetches credentials sees the settings that we were given.
        given = [NameValue(name=name, value=value) for name, value in environment.items()]
        found.user.exec.env = [*given, *(found.user.exec.env or [])]
    return found


FIX = "'kubectl config view' shows what the files say; 'kubectl get namespaces' tries it"


def _invalid(message: str, hint: str) -> SpecInvalid:
    return SpecInvalid([Problem(message=message, hint=hint)], hint="KUBECONFIG names the files; 'context' one of them")


def _in_cluster(environment: Mapping[str, str]) -> SingleConfig:
    host, port = environment.get("KUBERNETES_SERVICE_HOST", ""), environment.get("KUBERNETES_SERVICE_PORT", "443")
    if not host or not (ACCOUNT / "token").is_file():
        raise _invalid("there is no kubeconfig, and this is no pod with a service account", FIX)
    namespace = ACCOUNT / "namespace"
    conf = {
        "clusters": [{"name": "pod", "cluster": {
            "server": f"https://{f'[{host}]' if ':' in host else host}:{port}",
            "certificate-authority": str(ACCOUNT / "ca.crt"),
        }}],
        "users": [{"name": "pod", "user": {"tokenFile": str(ACCOUNT / "token")}}],
        "contexts": [{"name": "pod", "context": {
            "cluster": "pod", "user": "pod",
            "namespace": namespace.read_text().strip() if namespace.is_file() else "default",
        }}],
    }  # fmt: skip
    found = KubeConfig.from_dict(conf).get("pod")
    assert found is not None
    return found


def _merged(files: tuple[str, ...]) -> dict[str, Any]:
    """Several files as one: what stands first wins; paths in a file start from its folder. A missing one is skipped."""
    merged: dict[str, Any] = {"clusters": [], "users": [], "contexts": [], "current-context": None}
    present = [Path(file) for file in files if Path(file).is_file()]
    if not present:
        raise _invalid(
            f"there is no kubeconfig {' or '.join(files)}", "set KUBECONFIG, or copy your cluster's file there"
        )
    for path in present:
        content = _read(path)
        merged["current-context"] = merged["current-context"] or content.get("current-context")
        for group, inner in NAMED.items():
            have = {item["name"] for item in merged[group]}
            for item in content.get(group) or ():
                if item.get("name") in have or not isinstance(item.get(inner), dict):
                    continue
                for key in PATHS.get(inner, ()):
                    if value := item[inner].get(key):
                        item[inner][key] = str(path.parent / value)
                merged[group].append(item)
    return merged


def _read(path: Path) -> dict[str, Any]:
    try:
        content = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise _invalid(f"the kubeconfig {path} cannot be read: {reason}", FIX) from error
    if not isinstance(content, dict):
        raise _invalid(f"the kubeconfig {path} is empty, or no mapping", FIX)
    return content
