"""What the local deployer makes, in the words of its ledger entries, and where it puts things. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nodeyard.domain.launch_plan import AT_RUN
from nodeyard.ports.ledger import Json
from nodeyard.providers._clients.netns.namespace import Namespace
from nodeyard.providers._clients.process import ProcessId
from nodeyard.providers.deployer.local.ports import LOOPBACK

BY = "deployer:local"
FOLDERS = "folders"
"""``data``: ``paths``, the folders of nodes."""
PORTS = "ports"
"""``data``: ``cache`` and ``ports``, the numbers that may have been locked."""
PROCESS = "process"
"""``data``: ``pid``, ``start`` and ``boot`` once it was started."""
COMMAND = "command"
"""A command beside a node; ``data`` is empty, the mark finds it."""
PAUSED = "paused"
"""An inverse: let the process group go on. ``data`` as for a process."""
NETWORKS = "networks"
"""``data``: ``namespaces`` and ``cable`` by name, ``cache`` and ``subnets`` as for ports."""
SECRETS = "secret-files"
"""``data``: ``folder`` of the node, and ``paths`` below its config folder, of files that hold secrets."""


@dataclass(frozen=True)
class LocalPlace:
    """Where one node lives. A port without a number is one that only the run can know, like the address ``at-run``.

    A node with a network of its own has a ``namespace``, and an address that only it has.
    """

    folder: Path
    ports: Mapping[str, int | None] = field(default_factory=dict)
    address: str = LOOPBACK
    namespace: Namespace | None = None

    @property
    def data_dir(self) -> str:
        return str(self.folder / "data")

    @property
    def config_dir(self) -> str:
        return str(self.folder / "config")

    @property
    def log_files(self) -> tuple[Path, Path]:
        return (self.folder / "stdout.log", self.folder / "stderr.log")

    def listen(self, port: str) -> str:
        """``host:port`` to bind: loopback, because nodes are nobody else's business, or its own network."""
        number = self.ports[port]
        return AT_RUN if self.address == AT_RUN else f"{self.address}:{number or AT_RUN}"

    def advertise(self, port: str) -> str:
        """``host:port`` at which the other nodes of this machine reach it: the same."""
        return self.listen(port)


def process_data(who: ProcessId) -> Mapping[str, Json]:
    return {"pid": who.pid, "start": who.start, "boot": who.boot}


def process_of(data: Mapping[str, Json]) -> ProcessId | None:
    """The process that an entry names; ``None`` while it was not yet known."""
    pid, start, boot = data.get("pid"), data.get("start"), data.get("boot")
    if isinstance(pid, int) and isinstance(start, int) and isinstance(boot, str):
        return ProcessId(pid, start, boot)
    return None


def texts(data: Mapping[str, Json], key: str) -> tuple[str, ...]:
    """A list of texts in an entry; empty where there is none."""
    value = data.get(key)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list | tuple) else ()


def numbers(data: Mapping[str, Json], key: str) -> tuple[int, ...]:
    """A list of whole numbers in an entry; empty where there is none."""
    value = data.get(key)
    return tuple(item for item in value if isinstance(item, int)) if isinstance(value, list | tuple) else ()
