"""What a scenario may say of the Kubernetes deployer. Values only."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from nodeyard.domain.quantity import NodeName, PositiveDuration, Switch
from nodeyard.domain.sources import MEMORY_PATTERN, DeployerOptions, Spec

Access = Literal["auto", "pod-ip", "node-port", "port-forward", "api-proxy"]
"""How the tester reaches a port of a pod."""
LABEL_PATTERN = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
LabelName = Annotated[str, Field(pattern=LABEL_PATTERN)]


class Toleration(Spec):
    """A taint of cluster nodes that pods bear; without a key: every taint."""

    key: str | None = Field(default=None, description="key of the taint")
    value: str | None = Field(default=None, description="its value; without one any value")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="its effect; without one every effect"
    )


class Storage(Spec):
    """A volume claim per node instead of the pod's own disk."""

    size: Annotated[str, Field(pattern=MEMORY_PATTERN)] = Field(default="1Gi", description="as in 512Mi or 2G")
    storage_class: str | None = Field(
        default=None, alias="class", description="storage class; without one the cluster's default"
    )


class K8sOptions(DeployerOptions):
    """Nodes as pods of a Kubernetes cluster."""

    type: Literal["k8s"]
    context: str | None = Field(default=None, description="context of the kubeconfig; without one the current context")
    namespace: NodeName | None = Field(
        default=None, description="a namespace that exists, and stays; without one each run makes and removes its own"
    )
    access: Access = Field(
        default="auto", description="how the tester reaches pods; auto takes the quickest that works"
    )
    arch: Literal["amd64", "arm64"] = Field(default="amd64", description="machines that the pods run on")
    pull: Literal["missing", "never", "always"] = Field(default="missing", description="when images are pulled")
    pull_secrets: tuple[NodeName, ...] = Field(default=(), description="secrets of the namespace for private images")
    service_account: NodeName | None = Field(default=None, description="service account of the pods")
    node_selector: dict[LabelName, str] = Field(
        default_factory=dict, description="labels of the cluster nodes to run on"
    )
    tolerations: tuple[Toleration, ...] = Field(default=(), description="taints that the pods bear")
    spread: Literal["none", "preferred", "required"] = Field(
        default="preferred", description="whether nodes of a run stand on different machines"
    )
    storage: Storage | None = Field(default=None, description="a volume claim per node, instead of the pod's own disk")
    user: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = Field(
        default=65532, description="user id of the processes; null leaves it to the image and to restricted: false"
    )
    restricted: Switch = Field(default=True, description="hold to Pod Security 'restricted': no root, no capabilities")
    stop_grace: PositiveDuration | None = Field(
        default=None, description="how long a graceful stop may take before it is forced; default: the kind's own"
    )
    start_timeout: PositiveDuration = Field(default=120.0, description="how long pods may take until they run")
    lease: Annotated[PositiveDuration, Field(ge=5)] = Field(
        default=120.0, description="after this long without a sign of the runner, gc of any machine may remove the run"
    )

    @model_validator(mode="after")
    def _consistent(self) -> K8sOptions:
        if self.user is None and self.restricted:
            raise ValueError("'user: null' needs 'restricted: false', because the image may want to be root")
        return self
