"""The pure rules of the Compose deployer and attach provider: addresses, documents, images, words."""

from __future__ import annotations

import hashlib
import io
import json
import random
import tarfile
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from nodeyard.domain.launch_plan import LaunchPlan, NodePlan, PortSpec
from nodeyard.domain.sources import Resources
from nodeyard.errors.provider import (
    AddressesExhausted,
    BackendUnavailable,
    DiscoveryFailed,
    DiskFull,
    ImageNotFound,
    PortTaken,
    ProvisioningFailed,
)
from nodeyard.kinds.etcd import EtcdKind
from nodeyard.providers._clients.docker import labels
from nodeyard.providers._clients.docker.address import DEFAULT, EngineAddress, engine_address
from nodeyard.providers._clients.docker.containers import Container, Published, exit_words, inspected, listed
from nodeyard.providers._clients.docker.refusals import of_message
from nodeyard.providers.attach.compose.finding import Wanted, find
from nodeyard.providers.attach.compose.options import ComposeAttachOptions
from nodeyard.providers.deployer.compose import making
from nodeyard.providers.deployer.compose.command import meaning, version_problem
from nodeyard.providers.deployer.compose.document import (
    NetworkSpec,
    ServiceSpec,
    document,
    dump,
    escaped,
    memory_bytes,
)
from nodeyard.providers.deployer.compose.subnets import RESERVED, candidates, prefix_for, routes

# --- subnets ---------------------------------------------------------------------------------------------------------


@given(
    nodes=st.integers(1, 2000),
    taken=st.lists(st.tuples(st.integers(0, 2**17 - 1), st.integers(16, 30)), max_size=20),
    seed=st.integers(),
)
def test_a_subnet_never_overlaps_one_in_use_and_holds_all_nodes(
    nodes: int, taken: list[tuple[int, int]], seed: int
) -> None:
    pool = IPv4Network("198.18.0.0/15")
    used = [IPv4Network((int(pool[0]) + offset, prefix), strict=False) for offset, prefix in taken]
    found = next(
        candidates(str(pool), nodes, [*map(str, used), "0.0.0.0/0", "fd00::/8", "none"], random.Random(seed)), None
    )
    if found is None:
        assert used
        return
    subnet = IPv4Network(found.cidr)
    assert subnet.subnet_of(pool)
    assert not any(subnet.overlaps(other) for other in used)
    inside = [IPv4Address(address) for address in found.addresses]
    assert len(set(inside)) == nodes
    assert all(address in subnet and address != subnet.broadcast_address for address in inside)
    assert IPv4Address(found.gateway) not in inside


@given(st.integers(1, 60_000))
def test_a_prefix_is_the_smallest_that_is_enough(nodes: int) -> None:
    prefix = prefix_for(nodes)
    assert 2 ** (32 - prefix) >= nodes + RESERVED + 1
    assert prefix == 24 or 2 ** (31 - prefix) < nodes + RESERVED + 1


def test_a_pool_that_is_too_small_gives_none() -> None:
    assert list(candidates("10.0.0.0/29", 3, [], random.Random(1))) == []


def test_routes_are_read_as_the_kernel_writes_them() -> None:
    table = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n"
    table += (
        "eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\neth0\t000011AC\t0\t1\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
    )
    assert routes(table) == ["0.0.0.0/0", "172.17.0.0/16"]


# --- the Compose file ------------------------------------------------------------------------------------------------


def spec(**more: Any) -> ServiceSpec:
    node = NodePlan("n0", "toy", 0, 0, ports=(PortSpec("client", 2379), PortSpec("peer", 2380)), **more)
    launch = LaunchPlan("n0", "toy", ("--name=$x", "a b"))
    return ServiceSpec(
        node, launch, "toy:1", "198.18.0.10", "/run/config", "v", {"a": "b"}, 2.4,
        env={"E": "${Y}"}, secrets={"S": "NODEYARD_SECRET_N0_S"}, published={2379: 12379},
    )  # fmt: skip


def test_a_service_says_all_that_its_plan_says() -> None:
    limits = Resources(cpu=0.5, memory="64Mi")
    made = document(
        "p", [spec(resources=limits, on_demand=True)], NetworkSpec("net", "198.18.0.0/24", "198.18.0.1"), {}
    )
    read = YAML(typ="safe", pure=True).load(dump(made, run="r", file="compose.yaml"))
    service = read["services"]["n0"]
    assert (service["entrypoint"], service["command"]) == (["toy"], ["--name=$$x", "a b"])
    assert service["environment"] == {"E": "$${Y}", "S": "${NODEYARD_SECRET_N0_S}"}
    assert service["deploy"]["resources"]["limits"] == {"cpus": "0.5", "memory": str(64 * 2**20)}
    assert service["profiles"] == ["on-demand"]
    assert service["stop_grace_period"] == "2s"
    assert {port["host_ip"] for port in service["ports"]} == {"127.0.0.1"}
    assert [port.get("published") for port in service["ports"]] == ["12379", None]
    assert read["networks"]["nodes"]["ipam"]["config"] == [{"subnet": "198.18.0.0/24", "gateway": "198.18.0.1"}]


@given(st.text())
def test_no_text_of_a_scenario_is_a_variable_of_compose(text: str) -> None:
    assert escaped(text).replace("$$", "") == text.replace("$", "")


@pytest.mark.parametrize(
    ("text", "number"), [("512", 512), ("2k", 2000), ("3M", 3_000_000), ("4Mi", 4 * 2**20), ("1G", 10**9)]
)
def test_memory_is_counted_as_scenarios_write_it(text: str, number: int) -> None:
    assert memory_bytes(text) == number


# --- images ----------------------------------------------------------------------------------------------------------


def test_an_archive_is_an_image_with_the_program_on_its_path(tmp_path: Path) -> None:
    program = tmp_path / "toy"
    program.write_bytes(b"\x7fELF and so on")
    data = making.archive(program, "toy", reference="nodeyard/toy:1", machine="amd64", labels={"a": "b"})
    assert data == making.archive(program, "toy", reference="nodeyard/toy:1", machine="amd64", labels={"a": "b"})
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        read = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    (manifest,) = json.loads(read["manifest.json"])
    config = json.loads(read[manifest["Config"]])
    layer = read[manifest["Layers"][0]]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    assert config["config"]["Labels"] == {"a": "b"}
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        found = {member.name: member.mode for member in tar}
    assert found["usr/local/bin/toy"] == 0o755
    assert found["nodeyard/data"] == 0o1777


def test_only_a_static_program_makes_an_image(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    assert "no Linux program by itself" in making.static_problem(script)
    assert "needs shared libraries" in making.static_problem(Path("/bin/sh"))


# --- what engine and command say -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (
            "driver failed programming external connectivity: Bind for 127.0.0.1:80 failed: port is already allocated",
            PortTaken,
        ),
        ("listen tcp4 127.0.0.1:2379: bind: address already in use", PortTaken),
        ("could not find an available, non-overlapping IPv4 address pool among the defaults", AddressesExhausted),
        ("Pool overlaps with other one on this address space", AddressesExhausted),
        ("write /var/lib/docker/tmp/x: no space left on device", DiskFull),
        ("No such image: nobody/etcd:1", ImageNotFound),
        ("pull access denied for nobody, repository does not exist", ImageNotFound),
        ("manifest for etcd:0 not found: manifest unknown", ImageNotFound),
        ("dial tcp: lookup registry on 10.0.0.1:53: no such host", ImageNotFound),
        ('OCI runtime create failed: exec: "etcd": executable file not found in $PATH: unknown', ProvisioningFailed),
        ("Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?", BackendUnavailable),
        ("permission denied while trying to connect to the Docker daemon socket", BackendUnavailable),
        ("something that nobody has thought of", ProvisioningFailed),
    ],
)
def test_what_a_refusal_means(words: str, kind: type[Exception]) -> None:
    error = of_message(words, node="n0", operation="start")
    assert type(error) is kind
    assert error.hint
    assert words in str(error)


def test_the_command_names_the_node_that_it_failed_on() -> None:
    text = " Container p-n1-1  Starting\n"
    text += "Error response from daemon: driver failed on endpoint p-n1-1 (ab): port is already allocated\n"
    assert meaning(text, operation="start", nodes=["n0", "n1", "n10"]).node == "n1"
    assert meaning("Error: no space left on device", operation="start", nodes=["n0", "n1"]).node is None


@pytest.mark.parametrize("answer", ["2.17.0", "v2.26.1-4", "2.100.0", "5.0.0-rc1"])
def test_a_good_version_is_no_problem(answer: str) -> None:
    assert version_problem(answer, old=None) == ""


@pytest.mark.parametrize("answer", ["", "1.29.2", "2.16.9", "docker-compose"])
def test_an_old_version_is_refused(answer: str) -> None:
    assert "install Compose v2" in version_problem(answer, old="/usr/bin/docker-compose")


def test_ends_are_told_in_words() -> None:
    assert [exit_words(code) for code in (0, 3, 137, 143, 255)] == [
        "exit status 0", "exit status 3", "killed by SIGKILL", "killed by SIGTERM", "exit status 255",
    ]  # fmt: skip


# --- engines ---------------------------------------------------------------------------------------------------------


def context_folder(home: Path, name: str, url: str, *, certificates: bool = False, current: bool = False) -> None:
    key = hashlib.sha256(name.encode()).hexdigest()
    meta = home / ".docker/contexts/meta" / key
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(
        json.dumps({"Name": name, "Endpoints": {"docker": {"Host": url, "SkipTLSVerify": False}}})
    )
    if certificates:
        folder = home / ".docker/contexts/tls" / key / "docker"
        folder.mkdir(parents=True)
        for file in ("ca.pem", "cert.pem", "key.pem"):
            (folder / file).write_text("")
    if current:
        (home / ".docker/config.json").write_text(json.dumps({"currentContext": name}))


def test_the_engine_is_found_in_the_order_of_the_docker_command(tmp_path: Path) -> None:
    context_folder(tmp_path, "dev", "tcp://dev:2376", certificates=True)
    context_folder(tmp_path, "now", "unix:///now.sock", current=True)
    home = {"HOME": str(tmp_path)}
    assert engine_address(home).url == "unix:///now.sock"
    assert engine_address({**home, "DOCKER_CONTEXT": "dev"}).url == "tcp://dev:2376"
    both = {**home, "DOCKER_CONTEXT": "dev", "DOCKER_HOST": "unix:///host.sock"}
    assert engine_address(both).url == "unix:///host.sock"
    assert engine_address(both, context="dev").url == "tcp://dev:2376"
    assert engine_address(both, host="tcp://here:1").url == "tcp://here:1"
    assert engine_address({**home, "DOCKER_CONTEXT": "default"}).url == DEFAULT
    assert engine_address({}).url == DEFAULT
    found = engine_address(home, context="dev")
    assert found.certificates is not None
    assert EngineAddress.of(found.data()).url == found.url
    told = found.command_environment({"DOCKER_CONTEXT": "x", "PATH": "/bin"})
    assert told == {
        "PATH": "/bin", "DOCKER_HOST": "tcp://dev:2376", "DOCKER_CERT_PATH": found.certificates, "DOCKER_TLS": "1",
        "DOCKER_TLS_VERIFY": "1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"DOCKER_CONTEXT": "nowhere"}, "there is no docker context 'nowhere' ($DOCKER_CONTEXT)"),
        ({"DOCKER_HOST": "ssh://me@there"}, "ssh://me@there ($DOCKER_HOST) is no engine that can be spoken to"),
        (
            {"DOCKER_HOST": "tcp://x:1", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/none"},
            "needs cert.pem and key.pem",
        ),
    ],
)
def test_an_engine_that_cannot_be_is_refused(environment: dict[str, str], words: str, tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailable) as caught:
        engine_address({"HOME": str(tmp_path), **environment})
    assert words in caught.value.message
    assert caught.value.hint


# --- finding nodes ---------------------------------------------------------------------------------------------------


def container(
    name: str, service: str, *, number: int = 1, project: str = "p", state: str = "running", **more: Any
) -> Container:
    marks = {labels.PROJECT: project, labels.SERVICE: service, labels.NUMBER: str(number)}
    given = {
        "published": (Published(2379, "127.0.0.1", 30000 + number),),
        "addresses": {"p": f"10.0.0.{number}"},
        **more,
    }
    return Container(name * 4, name, marks, state, **given)


def wanted(**options: Any) -> Wanted:
    return Wanted(ComposeAttachOptions(type="compose", **{"project": "p", **options}), EtcdKind())


def test_replicas_and_projects_have_names_of_their_own() -> None:
    two = [container(f"p-a-{n}", "a", number=n) for n in (1, 2)]
    assert list(find([*two, container("p-b-1", "b")], wanted()).containers) == ["a-1", "a-2", "b"]
    other = container("q-b-1", "b", project="q")
    assert list(find([container("p-b-1", "b"), other], wanted()).containers) == ["p-b", "q-b"]
    strange = container("p-x", "My_Service.1")
    assert list(find([strange], wanted()).containers) == ["my-service-1"]


def test_nothing_is_dropped_in_silence() -> None:
    found = find(
        [
            container("p-a-1", "a", state="exited"),
            container("p-b-1", "b", health="unhealthy"),
            container("p-c-1", "c", published=(Published(80, "0.0.0.0", 8080),)),
            container("p-d-1", "d", state="paused"),
            container("p-e-1", "e"),
        ],
        wanted(),
    )
    assert list(found.containers) == ["b", "d", "e"]
    assert [problem.split(")")[1][:22] for problem in found.discovery.problems] == [
        " does not run: it is e", " is unhealthy by its o", " does not publish port", " is paused",
    ]  # fmt: skip
    assert "(client; published: 80)" in found.discovery.problems[2]


def test_an_unknown_service_tells_those_that_there_are() -> None:
    with pytest.raises(DiscoveryFailed) as caught:
        find([container("p-alpha-1", "alpha"), container("p-beta-1", "beta")], wanted(services=["alpa"]))
    assert caught.value.evidence == ("its services: alpha, beta",)
    assert caught.value.hint == "did you mean 'alpha'?"


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ({}, "http://127.0.0.1:30001"),
        ({"address": "container"}, "http://10.0.0.1:2379"),
        ({"address": "auto"}, "http://127.0.0.1:30001"),
        ({"address": "auto", "port": 9999}, "http://10.0.0.1:9999"),
        ({"tls": {}}, "https://127.0.0.1:30001"),
    ],
)
def test_how_a_container_is_reached(options: dict[str, Any], url: str) -> None:
    (node,) = find([container("p-a-1", "a")], wanted(**options)).discovery.nodes
    assert node.endpoints["client"].url == url
    assert node.exclusive


def test_a_container_is_read_alike_from_a_list_and_by_itself() -> None:
    ports = {"2379/tcp": [{"HostIp": "127.0.0.1", "HostPort": "30001"}], "2380/tcp": None}
    one = inspected(
        {
            "Id": "ab", "Name": "/p-a-1", "Config": {"Labels": {"x": "y"}, "ExposedPorts": {"2380/tcp": {}}},
            "State": {"Status": "running", "Pid": 7, "StartedAt": "now", "Health": {"Status": "healthy"}},
            "NetworkSettings": {"Ports": ports, "Networks": {"n": {"IPAddress": "10.0.0.9"}}},
        }
    )  # fmt: skip
    other = listed(
        {
            "Id": "ab", "Names": ["/p-a-1"], "Labels": {"x": "y"}, "State": "running", "Status": "Up 2 hours (healthy)",
            "Ports": [{"IP": "127.0.0.1", "PrivatePort": 2379, "PublicPort": 30001, "Type": "tcp"},
                      {"PrivatePort": 2380, "Type": "tcp"}],
            "NetworkSettings": {"Networks": {"n": {"IPAddress": "10.0.0.9"}}},
        }
    )  # fmt: skip
    assert one.published == other.published
    assert (one.name, one.labels, one.state, one.health, one.addresses, one.exposed) == (
        other.name, other.labels, other.state, other.health, other.addresses, other.exposed,
    )  # fmt: skip
    assert one.locator == "container:ab/pid:7"
