"""Nodes as processes of this machine. The package exports the plugin; nothing outside needs its parts."""

from nodeyard.providers.deployer.local.plugin import LocalPlugin

__all__ = ["LocalPlugin"]
