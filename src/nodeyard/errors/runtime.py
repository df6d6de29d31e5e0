"""Errors of the steps of a scenario."""

from __future__ import annotations

from nodeyard.errors.base import ExitStatus, NodeyardError


class RuntimeFailure(NodeyardError):
    """A step could not be carried out."""

    layer = "runtime"
    code = "step-failed"
    exit_status = ExitStatus.INFRASTRUCTURE


class OperationDenied(RuntimeFailure):
    """``authorize`` refused the operation on this node."""

    code = "operation-denied"


class NodeNotFound(RuntimeFailure):
    """A selector names a node that the inventory does not have."""

    code = "node-not-found"


class SelectionEmpty(RuntimeFailure):
    """A selector finds fewer nodes than it needs at this moment (for example no leader)."""

    code = "selection-empty"


class ProtocolUnsupported(RuntimeFailure):
    """The kind of a node does not speak the client protocol that a step needs."""

    code = "protocol-unsupported"


class ExpectationFailed(RuntimeFailure):
    """An ``expect`` step was not met before its deadline."""

    code = "expectation-failed"
    exit_status = ExitStatus.FAIL


class DeadlineExceeded(RuntimeFailure):
    """The scenario's deadline passed."""

    code = "deadline-exceeded"


class WorkloadFailed(RuntimeFailure):
    """A workload that somebody wrote for this scenario raised an error that is none of a node."""

    code = "workload-failed"


class UserCodeInvalid(RuntimeFailure):
    """A function that a scenario names cannot be loaded."""

    code = "user-code-invalid"


class HistoryDamaged(RuntimeFailure):
    """A line of a history cannot be read."""

    code = "history-damaged"
