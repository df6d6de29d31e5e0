"""Nodes as pods of a Kubernetes cluster. The package exports the plugin; nothing outside needs its parts."""

from nodeyard.providers.deployer.k8s.plugin import K8sPlugin

__all__ = ["K8sPlugin"]
