"""etcd passes the suite of all kinds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from nodeyard.domain.sources import Scalar
from nodeyard.kinds.etcd import EtcdKind
from nodeyard.testing import FakeTransport
from nodeyard.testing.conformance_kind import KindConformance

STATUS = {
    "header": {"cluster_id": "14841639068965178418", "member_id": "10276657743932975437", "raft_term": "2"},
    "version": "3.5.1",
    "leader": "10276657743932975437",
    "raftIndex": "8",
    "raftTerm": "2",
}


class TestEtcd(KindConformance):
    kind = EtcdKind()
    config: ClassVar[Mapping[str, Scalar]] = {"heartbeat-interval": 100}
    wrong_config: ClassVar[Mapping[str, Scalar]] = {"hartbeat-interval": 100, "name": "mine"}

    def well(self) -> FakeTransport:
        url = self.url("client")
        transport = FakeTransport().reply("POST", f"{url}/v3/maintenance/status", json=STATUS)
        return transport.reply("GET", f"{url}/health", json={"health": "true"})
