"""One test scenario over a network of nodes, wherever the nodes come from.

The public names. They are imported when they are used, so that ``import nodeyard`` costs nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as of ``typing``, whose import would take longer than all else here
if TYPE_CHECKING:
    from typing import Any

    from nodeyard.app.api import OpenNetwork as OpenNetwork
    from nodeyard.app.api import open_network as open_network
    from nodeyard.app.api_sync import SyncNetwork as SyncNetwork
    from nodeyard.app.api_sync import SyncNode as SyncNode
    from nodeyard.app.api_sync import open_network_sync as open_network_sync
    from nodeyard.domain.node_client import ChainReader as ChainReader
    from nodeyard.domain.node_client import CompareAndSet as CompareAndSet
    from nodeyard.domain.node_client import KeepsRevisions as KeepsRevisions
    from nodeyard.domain.node_client import KeyValue as KeyValue
    from nodeyard.domain.node_client import ListsTx as ListsTx
    from nodeyard.domain.node_client import PeerView as PeerView
    from nodeyard.domain.node_client import ReportsHeight as ReportsHeight
    from nodeyard.domain.node_client import ReportsRole as ReportsRole
    from nodeyard.domain.node_client import StateDigest as StateDigest
    from nodeyard.domain.node_client import TxSubmit as TxSubmit
    from nodeyard.domain.verdict import Check as Check
    from nodeyard.domain.verdict import Verdict as Verdict
    from nodeyard.errors.base import NodeyardError as NodeyardError
    from nodeyard.errors.runtime import ExpectationFailed as ExpectationFailed
    from nodeyard.errors.runtime import OperationDenied as OperationDenied
    from nodeyard.errors.validation import SpecInvalid as SpecInvalid
    from nodeyard.observability.history_file import read_history as read_history
    from nodeyard.runtime.node import Node as Node
    from nodeyard.workloads.python_call import Turn as Turn

_PLACES = {
    "open_network": "nodeyard.app.api",
    "OpenNetwork": "nodeyard.app.api",
    "open_network_sync": "nodeyard.app.api_sync",
    "SyncNetwork": "nodeyard.app.api_sync",
    "SyncNode": "nodeyard.app.api_sync",
    "Node": "nodeyard.runtime.node",
    "Turn": "nodeyard.workloads.python_call",
    "read_history": "nodeyard.observability.history_file",
    "Check": "nodeyard.domain.verdict",
    "Verdict": "nodeyard.domain.verdict",
    "KeyValue": "nodeyard.domain.node_client",
    "KeepsRevisions": "nodeyard.domain.node_client",
    "CompareAndSet": "nodeyard.domain.node_client",
    "ListsTx": "nodeyard.domain.node_client",
    "ReportsHeight": "nodeyard.domain.node_client",
    "ReportsRole": "nodeyard.domain.node_client",
    "StateDigest": "nodeyard.domain.node_client",
    "ChainReader": "nodeyard.domain.node_client",
    "TxSubmit": "nodeyard.domain.node_client",
    "PeerView": "nodeyard.domain.node_client",
    "NodeyardError": "nodeyard.errors.base",
    "SpecInvalid": "nodeyard.errors.validation",
    "ExpectationFailed": "nodeyard.errors.runtime",
    "OperationDenied": "nodeyard.errors.runtime",
}
__all__ = [
    "ChainReader",
    "Check",
    "CompareAndSet",
    "ExpectationFailed",
    "KeepsRevisions",
    "KeyValue",
    "ListsTx",
    "Node",
    "NodeyardError",
    "OpenNetwork",
    "OperationDenied",
    "PeerView",
    "ReportsHeight",
    "ReportsRole",
    "SpecInvalid",
    "StateDigest",
    "SyncNetwork",
    "SyncNode",
    "Turn",
    "TxSubmit",
    "Verdict",
    "__version__",
    "open_network",
    "open_network_sync",
    "read_history",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("nodeyard")
    if name not in _PLACES:
        raise AttributeError(f"module 'nodeyard' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return __all__
