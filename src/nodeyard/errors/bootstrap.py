"""Errors of the nine bootstrap steps after the spec was resolved."""

from __future__ import annotations

from collections.abc import Sequence

from nodeyard.errors.base import ExitStatus, NodeyardError


class BootstrapError(NodeyardError):
    """The network of the scenario could not be brought up as declared."""

    layer = "bootstrap"
    exit_status = ExitStatus.INFRASTRUCTURE


class IdentityConflict(BootstrapError):
    """One endpoint answers with two peer ids, or one peer id lives at two places of one provider."""

    code = "identity-conflict"


class OwnershipConflict(BootstrapError):
    """One node is both owned and borrowed."""

    code = "ownership-conflict"


class Incompatible(BootstrapError):
    """Nodes that do not belong to one network; ``evidence`` is the table of mismatches."""

    code = "incompatible"


class NotReady(BootstrapError):
    """The readiness policy was not met in time, or cannot be met any more; names every laggard."""

    code = "not-ready"


class NodeExited(NotReady):
    """A managed node ended before it was ready; ``evidence`` holds its last lines."""

    code = "node-exited"


class QuorumUnreachable(BootstrapError):
    """The declared membership can no longer meet the readiness policy."""

    code = "quorum-unreachable"


class PreflightFailed(BootstrapError):
    """The run is not permitted or not possible; carries every problem found, not the first one."""

    layer = "preflight"
    code = "preflight-failed"

    def __init__(self, problems: Sequence[str], *, hint: str | None = None) -> None:
        self.problems = tuple(problems)
        head = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__(f"preflight found {head}", evidence=self.problems, hint=hint)


class ReaperUnavailable(BootstrapError):
    """No reaper acknowledged, so nothing may be created."""

    code = "reaper-unavailable"


class RunFolderUnusable(BootstrapError):
    """The run's folder cannot be written: missing permission, or a full disk."""

    code = "run-folder-unusable"
