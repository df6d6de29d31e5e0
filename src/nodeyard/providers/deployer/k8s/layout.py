"""Names, labels and folders of a run in a cluster. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from nodeyard.domain.launch_plan import NodePlan
from nodeyard.domain.run_identity import RunMark

BY = "deployer:k8s"
RUN, POD, PAUSED, NAMESPACE = "run", "pod", "paused", "namespace"
"""Types of ledger entries."""

LABEL_RUN, LABEL_MARK, LABEL_NODE = "nodeyard.dev/run", "nodeyard.dev/mark", "nodeyard.dev/node"
ANNOTATION = "nodeyard.dev/mark"
"""The whole mark, which no label can hold; what decides whether an object is ours."""
CONTAINER = "node"
"""The one container of every pod."""

BIN, FILES, WORK, DATA = "/nodeyard/bin", "/nodeyard/files", "/nodeyard/work", "/nodeyard/data"
KEEPER = f"{BIN}/keeper"
CONFIG = f"{WORK}/config"
LONGEST = 63
"""Characters of a label, of a namespace and of a DNS name."""


@dataclass(frozen=True)
class Layout:
    """Where one run stands. ``namespace`` is the run's own if ``owns_namespace``."""

    mark: RunMark
    namespace: str
    owns_namespace: bool

    @property
    def digest(self) -> str:
        """The mark as a label can hold it."""
        return hashlib.sha256(self.mark.text.encode()).hexdigest()[:40]

    @property
    def prefix(self) -> str:
        """Begins the names of objects in a namespace that is shared; empty in the run's own."""
        return "" if self.owns_namespace else f"ny-{self.digest[:8]}-"

    @property
    def service(self) -> str:
        """The headless service, which gives every pod its DNS name."""
        return f"{self.prefix}nodes"

    @property
    def owner(self) -> str:
        """The lease that everything else hangs on."""
        return f"{self.prefix}nodeyard"

    @property
    def keeper(self) -> str:
        return f"{self.prefix}keeper"

    @property
    def selector(self) -> str:
        return f"{LABEL_MARK}={self.digest}"

    @property
    def labels(self) -> dict[str, str]:
        return {LABEL_RUN: self.mark.run, LABEL_MARK: self.digest, "app.kubernetes.io/managed-by": "nodeyard"}

    def pod(self, node: str) -> str:
        return f"{self.prefix}{node}"

    def name(self, node: str) -> str:
        """The DNS name of a node inside the namespace, which stays when the pod's address does not."""
        return f"{node}.{self.service}"

    def locator(self, node: str, starts: int) -> str:
        """One start of a node's program."""
        return f"{self.namespace}/pod/{self.pod(node)}#{starts}"


def layout_of(mark: RunMark, namespace: str | None) -> Layout:
    """The layout of a run, in a given namespace or in one of its own."""
    if namespace is not None:
        return Layout(mark, namespace, owns_namespace=False)
    name = f"nodeyard-{mark.run}"
    if len(name) > LONGEST or name.endswith("-"):
        name = f"{name[: LONGEST - 9].rstrip('-')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return Layout(mark, name, owns_namespace=True)


@dataclass(frozen=True)
class PodPlace:
    """The place of a node; implements ``domain.launch_plan.Place``. Addresses are known before the pod exists."""

    node: str
    service: str
    ports: Mapping[str, int] = field(default_factory=dict)

    @property
    def data_dir(self) -> str:
        return DATA

    @property
    def config_dir(self) -> str:
        return CONFIG

    def listen(self, port: str) -> str:
        """Every address of the pod: nobody else listens there."""
        return f"0.0.0.0:{self.ports[port]}"

    def advertise(self, port: str) -> str:
        """The pod's DNS name inside its namespace, which stays when the pod's address does not."""
        return f"{self.node}.{self.service}:{self.ports[port]}"


def place_of(node: NodePlan, layout: Layout) -> PodPlace:
    return PodPlace(node.name, layout.service, {port.name: port.number for port in node.ports})
