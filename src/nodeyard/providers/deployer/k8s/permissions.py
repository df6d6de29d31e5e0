"""What the deployer needs to be permitted. Pure."""

from __future__ import annotations

from nodeyard.providers._clients.kube.rights import Right, rights
from nodeyard.providers.deployer.k8s.layout import Layout
from nodeyard.providers.deployer.k8s.options import K8sOptions

MADE = ("create", "patch", "list", "delete")
"""What making and removing objects of a kind takes; server-side apply makes them by ``patch``."""


def needed(layout: Layout, options: K8sOptions) -> tuple[Right, ...]:
    """Every right that a run with these options uses. In a namespace of its own, roles must hold everywhere."""
    namespace = None if layout.owns_namespace else layout.namespace
    core = {
        "pods": (*MADE, "watch"),
        "pods/exec": ("get", "create"),
        "pods/log": ("get",),
        "events": ("list",),
        "services": (*MADE, *(("get",) if options.access == "node-port" else ())),
        "configmaps": MADE,
        "secrets": MADE,
    }
    if options.storage is not None:
        core["persistentvolumeclaims"] = MADE
    if options.access == "port-forward":
        core["pods/portforward"] = ("get",)
    if options.access == "api-proxy":
        core["pods/proxy"] = ("get", "create")
    found = rights(namespace, core) + rights(namespace, {"leases": MADE}, "coordination.k8s.io")
    found += rights(None, {"namespaces": ("create", "get", "delete")}) if layout.owns_namespace else []
    return tuple(found)
