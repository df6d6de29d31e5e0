"""Nodes as containers of one Compose project. The package exports the plugin; nothing outside needs its parts."""

from nodeyard.providers.deployer.compose.plugin import ComposePlugin

__all__ = ["ComposePlugin"]
