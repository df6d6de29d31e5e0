"""Compose attach: nodes that are containers of a project which somebody else runs. Exports the plugin."""

from nodeyard.providers.attach.compose.plugin import ComposeAttachPlugin

__all__ = ["ComposeAttachPlugin"]
