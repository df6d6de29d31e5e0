"""Reading a file of nodes into a document."""

from __future__ import annotations

from pathlib import Path

from nodeyard.domain.document import Document, parse
from nodeyard.errors.provider import DiscoveryFailed


def read(path: Path) -> Document:
    """Read and parse a file.

    Raises ``DiscoveryFailed`` when it cannot be read, ``SpecInvalid`` with the place when it is neither JSON nor YAML.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe would block, a device never end
            raise DiscoveryFailed(f"{path} is not a regular file", operation="discover", hint="give a file of nodes")
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DiscoveryFailed(
            f"the file {path} cannot be read: {reason}",
            operation="discover",
            hint="the path of 'file' is relative to the folder of the scenario",
        ) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DiscoveryFailed(
            f"the file {path} is not UTF-8 text",
            operation="discover",
            evidence=[f"byte {error.start}: {error.reason}"],
            hint="give a nodes file, an inventory.json or a file_sd file",
        ) from error
    return parse(text, str(path))
