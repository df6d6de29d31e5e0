"""All fakes by one import: the world, and the ports over it."""

from nodeyard.testing.fake_attach import FakeAttach, FakeAttachOptions, FakeAttachPlugin
from nodeyard.testing.fake_client import FakeClient
from nodeyard.testing.fake_context import FakeSecrets, context
from nodeyard.testing.fake_control import FakeControl, FakeRemover
from nodeyard.testing.fake_deployer import FakeDeployer, FakeDeployerPlugin, FakeOptions, FakePlace
from nodeyard.testing.fake_kind import FakeKind
from nodeyard.testing.fake_node import FakeNode, Life
from nodeyard.testing.fake_transport import FakeTransport, Sent
from nodeyard.testing.fake_world import FakeNetwork, FakeWorld

__all__ = [
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
    "Sent",
    "context",
]
