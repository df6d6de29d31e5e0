"""Errors of deployers, attach providers and the clients under them."""

from __future__ import annotations

from collections.abc import Sequence

from nodeyard.errors.base import ExitStatus, NodeyardError


class ProviderError(NodeyardError):
    """A backend could not do what was asked of it."""

    layer = "provider"
    exit_status = ExitStatus.INFRASTRUCTURE


class BackendUnavailable(ProviderError):
    """What carries the nodes (an engine, a cluster) does not answer, or not to us; nothing is known of the nodes."""

    code = "backend-unavailable"


class CredentialsRefused(ProviderError):
    """An engine or a cluster does not accept who we say we are."""

    code = "credentials-refused"


class PermissionMissing(ProviderError):
    """The backend knows us and does not permit it; the message names verb and resource.

    ``remedy`` is a text that whoever may permit it can apply as it stands; empty where there is none.
    """

    code = "permission-missing"

    def __init__(
        self,
        message: str,
        *,
        node: str | None = None,
        operation: str | None = None,
        evidence: Sequence[str] = (),
        hint: str | None = None,
        remedy: str = "",
    ) -> None:
        super().__init__(message, node=node, operation=operation, evidence=evidence, hint=hint)
        self.remedy = remedy


class BackendRefused(ProviderError):
    """The backend answered that it will not do it; ``status`` is its own number for why, 0 where it has none."""

    code = "backend-refused"

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        node: str | None = None,
        operation: str | None = None,
        evidence: Sequence[str] = (),
        hint: str | None = None,
    ) -> None:
        super().__init__(message, node=node, operation=operation, evidence=evidence, hint=hint)
        self.status = status


class ProvisioningFailed(ProviderError):
    """A managed node could not be created or started."""

    layer = "provisioning"
    code = "provisioning-failed"


class BinaryNotFound(ProviderError):
    """The program of a kind is nowhere where it was looked for."""

    layer = "provisioning"
    code = "binary-not-found"
    exit_status = ExitStatus.USAGE


class PortsExhausted(ProvisioningFailed):
    """No free port could be reserved."""

    code = "ports-exhausted"


class PortTaken(ProvisioningFailed):
    """A port that was asked for by number is in use."""

    code = "port-taken"


class AddressesExhausted(ProvisioningFailed):
    """No network could be made, because all addresses for one are in use."""

    code = "addresses-exhausted"


class DiskFull(ProvisioningFailed):
    """A disk on which nodes live takes nothing more."""

    code = "disk-full"


class ImageNotFound(ProvisioningFailed):
    """The image of a node is not there, and could not be fetched or made."""

    code = "image-not-found"


class DiscoveryFailed(ProviderError):
    """An attach provider could not look for nodes."""

    layer = "discovery"
    code = "discovery-failed"


class DiscoveryEmpty(DiscoveryFailed):
    """The search worked and found nothing."""

    code = "discovery-empty"


class DiscoveryPartial(DiscoveryFailed):
    """Fewer nodes than declared were found, or some of them cannot be reached, and membership is strict."""

    code = "discovery-partial"


class NodeUnreachable(ProviderError):
    """A node's endpoint did not answer at all."""

    layer = "node"
    code = "node-unreachable"


class NodeTimeout(NodeUnreachable):
    """A node accepted the connection and gave no answer in time. The operation may have happened."""

    code = "node-timeout"


class NodeRefused(ProviderError):
    """A node answered, and its answer was a refusal. The operation did not happen."""

    layer = "node"
    code = "node-refused"


class NodeAnswerInvalid(ProviderError):
    """Something answered that does not speak the node's protocol (for example an HTML page)."""

    layer = "node"
    code = "answer-invalid"


class AuthenticationFailed(NodeRefused):
    """The node refused our credentials."""

    code = "authentication-failed"


class TlsFailed(NodeUnreachable):
    """The TLS handshake failed: unknown authority, wrong name, expired or missing certificate."""

    code = "tls-failed"


class OperationFailed(ProviderError):
    """A lifecycle operation on a node was carried out and did not succeed."""

    layer = "operation"
    code = "operation-failed"


class CleanupIncomplete(ProviderError):
    """Some resource of the run could not be removed; the ledger still lists it and ``gc`` will try again."""

    layer = "cleanup"
    code = "cleanup-incomplete"


class LedgerInvalid(ProviderError):
    """A ledger that cannot be read: another format, or a damaged first line. Nothing that it lists was touched."""

    layer = "cleanup"
    code = "ledger-invalid"
