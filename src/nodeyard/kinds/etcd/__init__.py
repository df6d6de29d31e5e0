"""The node kind ``etcd``: everything that Nodeyard knows of etcd, and nothing of how or where it runs."""

from nodeyard.kinds.etcd.kind import EtcdKind

__all__ = ["EtcdKind"]
