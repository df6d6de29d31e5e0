"""The pure parts: manifests, layouts, pod states, kubeconfigs, roles."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lightkube.resources.coordination_v1 import Lease
from lightkube.resources.core_v1 import Pod
from ruamel.yaml import YAML

from nodeyard.domain.launch_plan import FileToWrite, LaunchPlan, NodePlan, PortSpec
from nodeyard.domain.run_identity import RunMark
from nodeyard.domain.secrets import Secret
from nodeyard.domain.sources import Resources
from nodeyard.errors.validation import SpecInvalid
from nodeyard.providers._clients.kube import states, texts
from nodeyard.providers._clients.kube.config import load, reach, reach_of
from nodeyard.providers._clients.kube.rights import Right, manifest, rights
from nodeyard.providers.deployer.k8s import manifests
from nodeyard.providers.deployer.k8s.collecting import judged
from nodeyard.providers.deployer.k8s.layout import LONGEST, layout_of, place_of
from nodeyard.providers.deployer.k8s.options import K8sOptions

MARK = RunMark("run-1", "host", "boot")
NODE = NodePlan("n0", "toy", 0, 0, ports=(PortSpec("client", 2379), PortSpec("peer", 2380)))
DEV = '"contexts": [{"name": "dev", "context": {"cluster": "c"}}]'
NAMES = st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True)


def reveal(secret: Secret) -> str:
    return f"value of {secret.reference}"


def objects(node: NodePlan = NODE, launch: LaunchPlan | None = None, **options: Any) -> dict[str, Any]:
    launch = launch or LaunchPlan("n0", "toyd", ("--listen=0.0.0.0:2379",))
    layout = layout_of(MARK, None)
    made = manifests.node_objects(layout, K8sOptions(type="k8s", **options), node, launch, "toy:1", reveal)
    return {str(item["kind"]): json.loads(json.dumps(item)) for item in made}


@given(run=NAMES, node=NAMES, given=st.none() | NAMES)
def test_every_name_and_label_is_one_that_kubernetes_takes(run: str, node: str, given: str | None) -> None:
    layout = layout_of(RunMark(run, "host", "boot"), given)
    assert len(layout.namespace) <= LONGEST
    assert layout.namespace.strip("-") == layout.namespace or given is not None
    assert all(len(value) <= LONGEST for value in layout.labels.values())
    assert layout.owns_namespace == (given is None)


@given(first=NAMES, second=NAMES)
def test_two_runs_never_share_a_name_or_a_selector(first: str, second: str) -> None:
    one, two = (layout_of(RunMark(run, "host", "boot"), None) for run in (first, second))
    assert (first == second) == (one.namespace == two.namespace) == (one.selector == two.selector)
    one, two = (layout_of(RunMark(run, "host", "boot"), "shared") for run in (first, second))
    assert (first == second) == (one.pod("n0") == two.pod("n0"))


def test_a_pod_holds_to_the_restricted_level_and_names_its_peers_by_dns() -> None:
    pod = objects()["Pod"]
    spec, container = pod["spec"], pod["spec"]["containers"][0]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert not spec["automountServiceAccountToken"]
    place = place_of(NODE, layout_of(MARK, None))
    assert (spec["hostname"], spec["subdomain"]) == tuple(place.advertise("peer").partition(":")[0].split("."))
    assert place.listen("client") == "0.0.0.0:2379"
    assert container["args"] == ["--", "toyd", "--listen=0.0.0.0:2379"]


def test_pods_that_start_together_wait_for_the_names_that_they_know_each_other_by() -> None:
    layout, launch = layout_of(MARK, "shared"), LaunchPlan("n0", "toyd", ("-v",))
    made = manifests.node_objects(
        layout, K8sOptions(type="k8s", start_timeout=1.5), NODE, launch, "toy:1", reveal, together=["n0", "n1"]
    )
    args = json.loads(json.dumps(made[-1]))["spec"]["containers"][0]["args"]
    peer = place_of(NodePlan("n1", "toy", 1, 0, ports=NODE.ports), layout).advertise("peer").partition(":")[0]
    assert args == ["--await", "2", layout.name("n0"), peer, "--", "toyd", "-v"]


def test_options_become_fields() -> None:
    node = NodePlan("n0", "toy", 0, 0, resources=Resources(cpu=0.5, memory="64Mi"))
    made = objects(
        node, storage={"size": "2Gi", "class": "fast"}, pull_secrets=["regcred"], node_selector={"disk": "ssd"},
        tolerations=[{"key": "a", "effect": "NoSchedule"}, {"key": "b", "value": "c"}], spread="required",
        user=None, restricted=False, service_account="sa",
    )  # fmt: skip
    spec = made["Pod"]["spec"]
    assert spec["containers"][0]["resources"]["limits"] == {"cpu": "500m", "memory": "64Mi"}
    assert made["PersistentVolumeClaim"]["spec"]["storageClassName"] == "fast"
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "n0-data"}} in spec["volumes"]
    assert spec["tolerations"][1] == {"operator": "Equal", "key": "b", "value": "c"}
    assert "requiredDuringSchedulingIgnoredDuringExecution" in spec["affinity"]["podAntiAffinity"]
    assert spec["nodeSelector"]["disk"] == "ssd"
    assert "securityContext" not in spec


def test_secrets_stand_in_secrets_alone() -> None:
    node = NodePlan("n0", "toy", 0, 0, env={"PLAIN": "seen", "TOKEN": "env:TOKEN"})
    files = (FileToWrite("a/b.toml", b"plain"), FileToWrite("key", b"hidden", secret=True))
    initial = (FileToWrite("state.json", b"hidden state", secret=True),)
    made = objects(node, LaunchPlan("n0", "toyd", (), files=files, initial=initial))
    others = json.dumps({kind: item for kind, item in made.items() if kind != "Secret"})
    for word in (b"value of env:TOKEN", b"hidden", b"hidden state"):
        assert base64.b64encode(word).decode() in made["Secret"]["data"].values()
        assert word.decode() not in others
        assert base64.b64encode(word).decode() not in others
    args = made["Pod"]["spec"]["containers"][0]["args"]
    assert args[:4] == ["--file", "/nodeyard/files/plain/file-0", "/nodeyard/work/config/a/b.toml", "0644"]
    assert args[8:12] == ["--initial", "/nodeyard/files/secret/file-1", "/nodeyard/data/state.json", "0600"]
    shown = manifests.without_secrets(LaunchPlan("n0", "toyd", (), files=files, initial=initial))
    assert [file.content for file in (*shown.files, *shown.initial)] == [b"plain", b"***", b"***"]


def expanded(text: str) -> str:
    """What Kubernetes makes of a text where the variable ``a`` is ``VALUE``: two dollars are one, and begin nothing."""
    return re.sub(r"\$\$|\$\(a\)", lambda match: "$" if match[0] == "$$" else "VALUE", text)


@given(st.lists(st.text(alphabet="$()ab", max_size=8), max_size=4))
@example(["$$(a)"])
def test_no_text_of_a_node_is_taken_for_a_variable(words: list[str]) -> None:
    args = objects(launch=LaunchPlan("n0", "toyd", tuple(words)))["Pod"]["spec"]["containers"][0]["args"]
    assert [expanded(word) for word in args[2:]] == words


def test_the_text_of_manifests_reads_back_as_they_are() -> None:
    made = list(objects(storage={}).values())
    assert list(YAML(typ="safe", pure=True).load_all(texts.as_yaml(made))) == made


def test_what_stands_without_a_run_carries_no_mark_and_is_otherwise_the_same() -> None:
    made = list(objects(storage={}).values())
    plain = manifests.unowned(made)
    assert MARK.text not in json.dumps(plain)
    for item in made:
        del item["metadata"]["annotations"]
    assert plain == made


def pod(**status: Any) -> Pod:
    return Pod.from_dict({"metadata": {"name": "p"}, "status": status})


def container(**state: Any) -> dict[str, Any]:
    about = {"name": "node", "image": "i", "imageID": "i", "ready": False, "restartCount": 0, "containerID": "c2"}
    return {"containerStatuses": [{**about, **state}]}


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (container(state={"waiting": {"reason": "ContainerCreating"}}), ""),
        (container(state={"waiting": {"reason": "ErrImagePull"}}), ""),
        (container(state={"waiting": {"reason": "ImagePullBackOff", "message": "no"}}), "ImagePullBackOff: no"),
        (container(state={"waiting": {"reason": "InvalidImageName"}}), "InvalidImageName"),
        ({"phase": "Failed", "reason": "Evicted", "message": "low on memory"}, "Evicted: low on memory"),
        ({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1"}]},
         "Unschedulable: 0/1"),
        ({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]}, ""),
    ],
)  # fmt: skip
def test_only_what_does_not_change_by_itself_ends_a_wait(status: dict[str, Any], reason: str) -> None:
    assert states.hopeless(pod(**status), "node") == reason


def test_ends_are_told_once_each_with_their_container() -> None:
    first = {"terminated": {"exitCode": 3, "containerID": "c1", "reason": "Error"}}
    second = {"terminated": {"exitCode": 137, "containerID": "c2", "reason": "OOMKilled"}}
    seen = pod(**container(lastState=first, state=second))
    assert [(end.container, end.status) for end in states.ends_of(seen, "node")] == [
        ("c1", "exit status 3"),
        ("c2", "killed by SIGKILL (OOMKilled)"),
    ]
    assert states.begun(seen, "node") == "c1"
    assert states.running(seen, "node") == ""
    assert states.running(pod(**container(state={"running": {}})), "node") == "c2"


def config(folder: Path, name: str, **parts: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **parts}))
    return path


def test_kubeconfigs_are_merged_and_their_paths_start_from_their_folders(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    cluster = {"server": "https://h:1", "certificate-authority": "ca.crt"}
    one = config(tmp_path, "one", contexts=[{"name": "a", "context": {"cluster": "c", "user": "u"}}])
    two = config(
        other, "two", clusters=[{"name": "c", "cluster": cluster}], users=[{"name": "u", "user": {"token": "t"}}],
        contexts=[{"name": "a", "context": {"cluster": "no", "user": "no"}}], **{"current-context": "a"},
    )  # fmt: skip
    environment = {"KUBECONFIG": f"{one}:{tmp_path}/missing:{two}"}
    where = reach(None, environment)
    assert reach_of(where.as_data()) == where
    found = load(where, environment)
    assert (found.context_name, found.cluster.certificate_auth) == ("a", str(other / "ca.crt"))
    assert where.context == "a", "the reaper reaches the same cluster, whatever the current context is then"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "there is no kubeconfig"),
        ("{", "cannot be read"),
        ("[]", "no mapping"),
        (f"{{{DEV}}}", "no kubeconfig names a current context"),
        (
            '{"current-context": "devv", "contexts": [{"name": "dev", "context": {"cluster": "c"}}]}',
            "did you mean 'dev'",
        ),
        ('{"current-context": "dev", "contexts": [{"name": "dev", "context": {"cluster": "c"}}]}', "is not complete"),
    ],
)
def test_a_kubeconfig_that_is_no_good_says_why(content: str | None, text: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SpecInvalid) as caught:
        reach(None, {"KUBECONFIG": str(path)})
    assert text in str(caught.value.problems[0])


def test_roles_grant_exactly_what_is_lacking() -> None:
    missing = [Right("create", "namespaces"), *rights("dev", {"pods/exec": ("get",), "pods": ("list", "get")})]
    cluster_role, _, role, binding = manifest(missing, {"kind": "User", "name": "alice"})
    assert (cluster_role["kind"], role["kind"], binding["kind"]) == ("ClusterRole", "Role", "RoleBinding")
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get"]},
    ]
    assert binding["subjects"] == [{"kind": "User", "name": "alice"}]


def lease(mark: str, renewed: str | None, seconds: int | None = 60) -> Lease:
    meta = {"name": "nodeyard", "namespace": "ns", "annotations": {"nodeyard.dev/mark": mark}}
    return Lease.from_dict({"metadata": meta, "spec": {"renewTime": renewed, "leaseDurationSeconds": seconds}})


def test_only_a_lease_that_ran_out_makes_a_run_dead() -> None:
    now = datetime(2030, 1, 1, 12, 0, 0, tzinfo=UTC)
    leases = [
        lease("a@h@b", "2030-01-01T11:58:59.000000Z"),
        lease("b@h@b", "2030-01-01T11:59:30.000000Z"),
        lease("c@h@b", None),
        lease("d@h@b", "2030-01-01T11:00:00.000000Z", None),
        lease("no mark", "2030-01-01T11:00:00.000000Z"),
    ]
    assert {item.mark.run: item.dead for item in judged(leases, [], now)} == {
        "a": True,
        "b": False,
        "c": False,
        "d": False,
    }
