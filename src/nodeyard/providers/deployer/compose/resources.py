"""What the Compose deployer makes, in the words of its ledger entries, and where it puts things. Values only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from nodeyard.domain.launch_plan import AT_RUN
from nodeyard.ports.ledger import Json

BY = "deployer:compose"
NETWORK, IMAGE = "network", "image"
CONTAINER, VOLUME = "container", "volume"
"""``data`` of all four: ``engine``, and ``made`` once the engine has said that it is there; labels find them."""
COMMAND = "command"
"""A docker command that the run started; ``data`` is empty, the mark in its environment finds it."""
PAUSED = "paused"
"""An inverse: let a container go on. ``data``: ``engine`` and ``container``, its id."""
SECRETS = "secret-files"
"""``data``: ``folder``, a config folder, and ``paths`` below it of files that hold secrets."""

DATA_DIR, CONFIG_DIR = "/nodeyard/data", "/nodeyard/config"
"""Where every container finds its volume and its rendered files."""
FILE = "compose.yaml"
NETWORK_KEY = "nodes"
"""What the Compose file calls the run's network."""


@dataclass(frozen=True)
class ComposePlace:
    """Where one node lives. An address that is ``None`` is one that only the run can know."""

    ports: Mapping[str, int] = field(default_factory=dict)
    address: str | None = None

    @property
    def data_dir(self) -> str:
        return DATA_DIR

    @property
    def config_dir(self) -> str:
        return CONFIG_DIR

    def listen(self, port: str) -> str:
        """All interfaces of the container: the engine forwards to one of them, peers come by the other way."""
        return f"0.0.0.0:{self.ports[port]}"

    def advertise(self, port: str) -> str:
        """The container's own address: right for its peers and, with a local engine, for nodes of the host."""
        return f"{self.address or AT_RUN}:{self.ports[port]}"


def project_name(run: str) -> str:
    """The Compose project of a run."""
    return f"nodeyard-{run}"


def volume_name(run: str, node: str) -> str:
    return f"{project_name(run)}_{node}-data"


def network_name(run: str) -> str:
    return f"{project_name(run)}_{NETWORK_KEY}"


def made_image(program: str, run: str, content: str) -> str:
    """The reference of an image that a run makes of a program, tagged by its content and the run."""
    words = re.sub(r"[^a-z0-9]+", "-", program.lower()).strip("-") or "program"
    return f"nodeyard/{words}:{content[:12]}-{run}"


def texts(data: Mapping[str, Json], key: str) -> tuple[str, ...]:
    """A list of texts in an entry; empty where there is none."""
    value = data.get(key)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list | tuple) else ()
