"""What a user may do in a cluster, asked beforehand; and what is lacking, as RBAC objects ready to apply."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from lightkube.models.authorization_v1 import ResourceAttributes, SelfSubjectAccessReviewSpec
from lightkube.resources.authorization_v1 import SelfSubjectAccessReview

from nodeyard._aio.tasks import side_by_side
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import PermissionMissing
from nodeyard.ports.ledger import Json
from nodeyard.providers._clients.kube import texts
from nodeyard.providers._clients.kube.cluster import Cluster

NAME = "nodeyard"


@dataclass(frozen=True, order=True)
class Right:
    """One verb on one resource, in a namespace or (``None``) in the whole cluster."""

    verb: str
    resource: str
    group: str = ""
    namespace: str | None = None

    def __str__(self) -> str:
        full = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {full}" + (f" in namespace {self.namespace}" if self.namespace else "")


def rights(namespace: str | None, table: Mapping[str, Sequence[str]], group: str = "") -> list[Right]:
    """Rights from a table of resources and verbs."""
    return [Right(verb, resource, group, namespace) for resource, verbs in table.items() for verb in verbs]


async def lacking(cluster: Cluster, wanted: Collection[Right]) -> tuple[Right, ...]:
    """Those of ``wanted`` that the API server does not grant us."""
    namespaces = {right.namespace for right in wanted}
    if all([await _granted(cluster, Right("*", "*", "*", namespace)) for namespace in namespaces]):
        return ()  # whoever may do everything is asked no more
    asked = sorted(set(wanted), key=lambda right: (right.namespace or "", right.group, right.resource, right.verb))
    answers = await side_by_side(lambda right: _granted(cluster, right), asked, at_once=4)
    missing: list[Right] = []
    for right, answer in zip(asked, answers, strict=True):
        if isinstance(answer, Exception):
            raise answer
        if not answer:
            missing.append(right)
    return tuple(missing)


async def _granted(cluster: Cluster, right: Right) -> bool:
    resource, _, sub = right.resource.partition("/")
    attributes = ResourceAttributes(
        verb=right.verb, group=right.group, resource=resource, subresource=sub or None, namespace=right.namespace
    )
    review = SelfSubjectAccessReview(spec=SelfSubjectAccessReviewSpec(resourceAttributes=attributes))

    async def ask() -> bool:
        with cluster.asking("create", "selfsubjectaccessreviews.authorization.k8s.io"):
            reply = await cluster.api.create(review)
        return bool(reply.status and reply.status.allowed)

    return await cluster.persist(ask)


async def subject(cluster: Cluster) -> Mapping[str, Json]:
    """Who we are, as a binding names it; ``EDIT-ME`` where the API server does not tell."""
    try:
        with cluster.asking("create", "selfsubjectreviews.authentication.k8s.io"):
            body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
            reply = await cluster.http.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", json=body)
            reply.raise_for_status()
            name = str(reply.json()["status"]["userInfo"]["username"])
    except (NodeyardError, KeyError, ValueError):
        name = "EDIT-ME"
    parts = name.split(":")
    if len(parts) == 4 and parts[:2] == ["system", "serviceaccount"]:
        return {"kind": "ServiceAccount", "namespace": parts[2], "name": parts[3]}
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}


def manifest(missing: Sequence[Right], who: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    """Roles that grant exactly ``missing``, each with its binding to ``who``. Pure."""
    made: list[Mapping[str, Json]] = []
    for namespace in sorted({right.namespace for right in missing}, key=lambda n: n or ""):
        mine = [right for right in missing if right.namespace == namespace]
        kind = "Role" if namespace else "ClusterRole"
        meta: dict[str, Json] = {"name": NAME, **({"namespace": namespace} if namespace else {})}
        reference: Json = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": NAME}
        api = "rbac.authorization.k8s.io/v1"
        made.append({"apiVersion": api, "kind": kind, "metadata": meta, "rules": _rules(mine)})
        made.append(
            {"apiVersion": api, "kind": f"{kind}Binding", "metadata": meta, "roleRef": reference, "subjects": [who]}
        )
    return made


async def refused(cluster: Cluster, missing: Sequence[Right]) -> PermissionMissing:
    """The error of rights that are lacking, with the roles that would grant them."""
    more = f" and {len(missing) - 4} more" if len(missing) > 4 else ""
    return PermissionMissing(
        f"not permitted to {', '.join(map(str, missing[:4]))}{more}",
        operation="check",
        hint="have the roles that 'nodeyard preflight' prints applied: pipe them to 'kubectl apply -f -'",
        remedy=texts.as_yaml(manifest(missing, await subject(cluster))),
    )


def _rules(mine: Sequence[Right]) -> list[Json]:
    verbs: dict[tuple[str, str], list[str]] = {}
    for right in mine:
        verbs.setdefault((right.group, right.resource), []).append(right.verb)
    return [
        {"apiGroups": [group], "resources": [resource], "verbs": sorted(found)}
        for (group, resource), found in sorted(verbs.items())
    ]
