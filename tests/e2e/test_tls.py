"""Somebody else's etcd that speaks TLS only: what fits is used, and what does not is told in plain words."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from etcd.etcd_processes import EtcdCluster, EtcdProcess, bare_argv

from .authority import HOUR, Authority, Pair
from .support import Done, Json, Nodeyard, wait_for

pytestmark = pytest.mark.real


@dataclass(frozen=True)
class World:
    """Servers that prove who they are in different ways; the first one also demands a certificate of its clients."""

    authority: Authority
    stranger: Authority
    mutual: EtcdProcess
    elsewhere: EtcdProcess
    expired: EtcdProcess


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("tls")
    authority, stranger = Authority(folder / "ours"), Authority(folder / "stranger")
    with cluster(folder) as made:
        demanding = ("--client-cert-auth", "--trusted-ca-file", str(authority.ca))
        yield World(
            authority,
            stranger,
            secured(made, "mutual", authority.issue("mutual"), *demanding),
            secured(made, "elsewhere", authority.issue("elsewhere", host="db.example")),
            secured(made, "expired", authority.issue("expired", age=3 * HOUR, life=HOUR)),
        )


@contextmanager
def cluster(folder: Path) -> Iterator[EtcdCluster]:
    made = EtcdCluster(folder)
    try:
        yield made
    finally:
        made.close()


def secured(made: EtcdCluster, name: str, pair: Pair, *more: str) -> EtcdProcess:
    """A single etcd whose clients must speak TLS; it accepts connections."""
    place = made.place(name)
    plain = bare_argv(name, place, {name: place}, name, "--cert-file", str(pair.cert), "--key-file", str(pair.key))
    client = place.addresses["client"]
    argv = [f"https://{client}" if word == f"http://{client}" else word for word in plain]
    node = made.add(name, place, [*argv, *more], scheme="https")
    wait_for(lambda: accepts(node), f"{name} listens")
    return node


def accepts(node: EtcdProcess) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", node.client)) == 0


def run(nodeyard: Nodeyard, node: EtcdProcess, name: str = "s.yaml", *, scheme: str = "https", **tls: object) -> Done:
    """A whole run over one given node."""
    external: Json = {"name": "e0", "endpoints": {"client": f"{scheme}://127.0.0.1:{node.client}"}}
    if tls:
        external["tls"] = {key: str(value) for key, value in tls.items()}
    scenario = {
        "source": {"mode": "external-only", "external": [external]},
        "readiness": {"timeout": "10s"},
        "steps": [{"put": {"key": "a", "value": "b"}}],
        "expectations": [{"use": "reachable"}],
    }
    return nodeyard("run", nodeyard.write(scenario, name))


def test_both_sides_prove_who_they_are(nodeyard: Nodeyard, world: World) -> None:
    """Paths start from the scenario's folder, wherever the command is given."""
    ours = world.authority.issue("client")
    beside = nodeyard.path / "beside"
    beside.mkdir()
    for path in (world.authority.ca, ours.cert, ours.key):
        shutil.copy(path, beside)
    done = run(nodeyard, world.mutual, "beside/s.yaml", ca="ca.pem", cert=ours.cert.name, key=ours.key.name)
    assert done.status == 0, done.out + done.err


def test_a_certificate_for_another_name_is_accepted_under_that_name(nodeyard: Nodeyard, world: World) -> None:
    done = run(nodeyard, world.elsewhere, ca=world.authority.ca, server_name="db.example")
    assert done.status == 0, done.out + done.err


def refused(nodeyard: Nodeyard, done: Done, says: str, hint: str) -> None:
    assert done.status == 7, done.out + done.err
    assert "[node/tls-failed]" in done.out
    assert says in done.out
    assert hint in done.out
    assert "Traceback" not in done.out + done.err
    assert nodeyard.leftovers() == []


@pytest.mark.parametrize(
    ("server", "given", "says", "hint"),
    [
        ("mutual", {}, "from an unknown authority", "name the PEM file of the authority as 'ca'"),
        ("mutual", {"ca": "stranger"}, "from an unknown authority", "name the PEM file of the authority as 'ca'"),
        ("elsewhere", {"ca": "ours"}, "for another host name", "set 'server_name' under 'tls:'"),
        ("expired", {"ca": "ours"}, "its certificate has expired", "renew the node's certificate"),
        ("mutual", {"ca": "ours"}, "demands a client certificate", "add 'cert' and 'key' under 'tls:'"),
        ("mutual", {"ca": "ours", "client": "stranger"}, "refused our client certificate", "signed by the node's"),
    ],
)
def test_a_certificate_that_does_not_match(
    nodeyard: Nodeyard, world: World, server: str, given: dict[str, str], says: str, hint: str
) -> None:
    authorities = {"ours": world.authority, "stranger": world.stranger}
    tls: dict[str, object] = {"ca": authorities[given["ca"]].ca} if "ca" in given else {}
    if "client" in given:
        pair = authorities[given["client"]].issue("client")
        tls |= {"cert": pair.cert, "key": pair.key}
    refused(nodeyard, run(nodeyard, getattr(world, server), **tls), says, hint)


def test_a_node_that_expects_tls_and_is_asked_without(nodeyard: Nodeyard, world: World) -> None:
    """This one hangs up without a word."""
    done = run(nodeyard, world.expired, scheme="http")
    assert done.status == 7, done.out + done.err
    assert "[node/node-timeout]" in done.out
    assert "Or does it expect https://?" in done.out


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "tls.ca: the TLS ca 'ca.pem' cannot be used: it holds no certificate in PEM form"),
        (b"<html>", "tls.ca: the TLS ca 'ca.pem' cannot be used: it holds no certificate in PEM form"),
        (None, "tls.ca: there is no file ca.pem (the path is relative"),
    ],
)
def test_an_authority_that_is_no_certificate(
    nodeyard: Nodeyard, world: World, content: bytes | None, says: str
) -> None:
    """Empty, something else, or a folder: known by reading."""
    path = nodeyard.path / "ca.pem"
    path.mkdir() if content is None else path.write_bytes(content)
    done = run(nodeyard, world.expired, ca="ca.pem")
    assert done.status == 4
    assert says in done.err
    assert not nodeyard.output.exists()


def test_a_key_of_another_certificate(nodeyard: Nodeyard, world: World) -> None:
    one, other = world.authority.issue("one"), world.authority.issue("other")
    done = run(nodeyard, world.mutual, ca=world.authority.ca, cert=one.cert, key=other.key)
    assert done.status == 4
    assert "tls.cert: " in done.err
    assert "the key belongs to another certificate" in done.err
