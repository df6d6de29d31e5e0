"""What a scenario may say under ``attach: {type: k8s}``. Values only."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from nodeyard.domain.quantity import NodeName, PositiveDuration
from nodeyard.domain.sources import AttachOptions, Auth, Tls

Access = Literal["auto", "pod-ip", "node-port", "port-forward", "api-proxy"]
PortNumber = Annotated[int, Field(ge=1, le=65535)]


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class K8sAttachOptions(AttachOptions):
    """Nodes that run as pods of a Kubernetes cluster already."""

    type: Literal["k8s"]
    context: str | None = Field(default=None, description="context of the kubeconfig; without one the current context")
    namespace: Annotated[
        tuple[NodeName, ...],
        BeforeValidator(_as_list, json_schema_input_type=NodeName | list[NodeName]),
    ] = Field(default=(), description="namespace, or a list of them; without one that of the context")
    selector: str | None = Field(default=None, description="label selector, as kubectl takes it: app=etcd,tier!=test")
    fields: str | None = Field(default=None, description="field selector, as kubectl takes it: spec.nodeName=node-1")
    container: NodeName | None = Field(default=None, description="the container of the node; the first one by default")
    port: PortNumber | NodeName | None = Field(
        default=None, description="name or number of the container's port that is the kind's API port"
    )
    access: Access = Field(default="auto", description="how the tester reaches pods; auto: the quickest that works")
    auth: Auth | None = Field(default=None, description="how we prove to the nodes who we are")
    tls: Tls | None = Field(default=None, description="TLS towards the nodes")
    restart_timeout: PositiveDuration = Field(
        default=120.0, description="how long a pod may take to be ready again after a restart"
    )
