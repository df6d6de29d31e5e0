"""What an answer of the API server, or its silence, means: every exception as a typed error. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx2
from httpx2.websockets import HTTPXWSException, WebSocketUpgradeError
from lightkube.config.kubeconfig import SingleConfig
from lightkube.core.exceptions import ApiError, ConfigError

from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import (
    BackendRefused,
    BackendUnavailable,
    CredentialsRefused,
    PermissionMissing,
    TlsFailed,
)

UNAUTHORIZED, FORBIDDEN, NOT_FOUND, CONFLICT, TOO_MANY = 401, 403, 404, 409, 429
PASSING = frozenset({TOO_MANY, 500, 502, 503, 504})
"""Answers that time can cure: a server that starts, stops, or has too much to do."""


@dataclass(frozen=True)
class Asked:
    """One request in the words of Kubernetes' permissions: ``create`` ``pods/exec`` in a namespace."""

    verb: str
    resource: str
    namespace: str | None = None
    name: str | None = None

    def __str__(self) -> str:
        name = f" {self.name}" if self.name else ""
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.verb} {self.resource}{name}{where}"


@contextmanager
def translated(config: SingleConfig, asked: Asked, node: str | None = None) -> Iterator[None]:
    """Turn what lightkube and its HTTP library raise inside into errors of ``errors.provider``."""
    try:
        yield
    except ConfigError as error:
        raise CredentialsRefused(
            f"the credentials of context '{config.context_name}' cannot be used: {error}",
            node=node, operation=str(asked), hint="log in again, or correct the user in the kubeconfig",
        ) from error  # fmt: skip
    except ApiError as error:
        raise refusal(config, asked, error.status.code or 0, error.status.message or "", node) from error
    except httpx2.HTTPStatusError as error:
        raise refusal(config, asked, error.response.status_code, _said(error.response), node) from error
    except WebSocketUpgradeError as error:
        raise refusal(config, asked, error.response.status_code, _said(error.response), node) from error
    except (httpx2.HTTPError, HTTPXWSException, OSError) as error:
        raise unreachable(config, asked, error, node) from error


def _said(response: httpx2.Response) -> str:
    try:
        return " ".join(response.text.split())[:300]
    except httpx2.HTTPError:
        return response.reason_phrase
    except RuntimeError:  # a body that was not read: there is none to show
        return response.reason_phrase


def refusal(config: SingleConfig, asked: Asked, code: int, said: str, node: str | None) -> NodeyardError:
    """The error of an answer with a status of 400 and more."""
    context = config.context_name
    evidence = [f"HTTP {code}: {said}"]
    if code == UNAUTHORIZED:
        return CredentialsRefused(
            f"the cluster of context '{context}' does not accept our credentials",
            node=node, operation=str(asked), evidence=evidence,
            hint="they may have expired: log in again, or choose another context",
        )  # fmt: skip
    if code == FORBIDDEN and _is_permission(said):
        return PermissionMissing(
            f"not permitted to {asked}",
            node=node, operation=str(asked), evidence=evidence,
            hint="'nodeyard preflight' prints the permissions that this scenario lacks, ready to apply",
        )  # fmt: skip
    hint = REASONS.get(next((word for word in REASONS if word in said), ""), "")
    return BackendRefused(
        f"the cluster refused to {asked}: {said or f'HTTP {code}'}", status=code, node=node, operation=str(asked),
        hint=hint or "'kubectl describe' and the events of the namespace tell more",
    )  # fmt: skip


REASONS = {
    "exceeded quota": "raise the namespace's quota, ask for fewer 'resources', or use another namespace",
    "is being terminated": "the namespace is going away: wait until it is gone, or name another one",
    "violates PodSecurity": "the namespace's Pod Security level forbids it: use another namespace or image",
    "admission webhook": "a policy of the cluster refused it: its message says which",
    "minimum cpu": "the namespace has a LimitRange: give the nodes other 'resources'",
    "maximum": "the namespace has a LimitRange: give the nodes smaller 'resources'",
}
"""Refusals that people meet, by words of the API server, and what to do."""


def _is_permission(said: str) -> bool:
    """RBAC says that a user cannot do it; admission says why an object is refused, with the same status."""
    return " cannot " in said and ("User " in said or "is forbidden" in said)


def unreachable(config: SingleConfig, asked: Asked, error: Exception, node: str | None) -> NodeyardError:
    """The error of a request that got no answer."""
    text = str(error) or type(error).__name__
    server = config.cluster.server
    if "CERTIFICATE" in text.upper() or "SSL" in text.upper():
        return TlsFailed(
            f"{server} does not show a certificate that context '{config.context_name}' trusts",
            node=node, operation=str(asked), evidence=[text], hint="correct 'certificate-authority' in the kubeconfig",
        )  # fmt: skip
    return BackendUnavailable(
        f"the cluster at {server} gives no answer",
        node=node, operation=str(asked), evidence=[text],
        hint=f"is context '{config.context_name}' the right one, and does 'kubectl get namespaces' work?",
    )  # fmt: skip


def is_passing(error: NodeyardError) -> bool:
    """Whether the same request may succeed soon."""
    return isinstance(error, BackendUnavailable) or (isinstance(error, BackendRefused) and error.status in PASSING)


def is_absent(error: NodeyardError) -> bool:
    """Whether the object of the request is not there."""
    return isinstance(error, BackendRefused) and error.status == NOT_FOUND
