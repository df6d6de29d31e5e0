"""What tests of Nodeyard and of its plugins use: virtual time, fakes, recordings.

Strategies for hypothesis are in ``nodeyard.testing.strategies``, because hypothesis is not needed to run Nodeyard.
"""

from nodeyard.testing.fakes import (
    FakeAttach,
    FakeAttachOptions,
    FakeAttachPlugin,
    FakeClient,
    FakeControl,
    FakeDeployer,
    FakeDeployerPlugin,
    FakeKind,
    FakeNetwork,
    FakeNode,
    FakeOptions,
    FakePlace,
    FakeRemover,
    FakeSecrets,
    FakeTransport,
    FakeWorld,
    Life,
    Sent,
    context,
)
from nodeyard.testing.recording import TEST_MARK, MemoryLedger, RecordingObserver
from nodeyard.testing.virtual_time import TasksLeft, VirtualClock, VirtualDeadlock, VirtualTimeout, run_virtual

__all__ = [
    "TEST_MARK",
    "FakeAttach",
    "FakeAttachOptions",
    "FakeAttachPlugin",
    "FakeClient",
    "FakeControl",
    "FakeDeployer",
    "FakeDeployerPlugin",
    "FakeKind",
    "FakeNetwork",
    "FakeNode",
    "FakeOptions",
    "FakePlace",
    "FakeRemover",
    "FakeSecrets",
    "FakeTransport",
    "FakeWorld",
    "Life",
    "MemoryLedger",
    "RecordingObserver",
    "Sent",
    "TasksLeft",
    "VirtualClock",
    "VirtualDeadlock",
    "VirtualTimeout",
    "context",
    "run_virtual",
]
