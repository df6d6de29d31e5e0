"""Addresses in one normal form, and network facts from several sources."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeyard.domain.identity import HostPort, Identity, NetworkFacts, host_port, normal_host

PORTS = st.integers(1, 65535)


@pytest.mark.parametrize(
    "spelling",
    [
        "localhost",
        "LocalHost",
        "localhost.",
        "localhost.localdomain",
        "ip6-localhost",
        "127.0.0.1",
        "::1",
        "[::1]",
        "0:0:0:0:0:0:0:1",
        "::1%lo",
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "0.0.0.0",
        "::",
        " 127.0.0.1 ",
    ],
)
def test_every_spelling_of_the_loopback_is_one(spelling: str) -> None:
    assert normal_host(spelling) == "127.0.0.1"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Node.Example.", "node.example"),
        ("FD00:0:0::0001", "fd00::1"),
        ("::FFFF:10.0.0.1", "10.0.0.1"),
        ("FE80::1%eth0", "fe80::1%eth0"),
        ("fe80::1%25eth0", "fe80::1%eth0"),
        ("fd00::1%eth0", "fd00::1"),
    ],
)
def test_one_spelling_per_host(one: str, other: str) -> None:
    assert normal_host(one) == normal_host(other) == other


@pytest.mark.parametrize(
    ("one", "other"),
    [("127.0.0.1", "127.0.0.2"), ("fe80::1%eth0", "fe80::1%eth1"), ("fe80::1", "fe80::2"), ("a.example", "b.example")],
)
def test_different_hosts_stay_different(one: str, other: str) -> None:
    assert normal_host(one) != normal_host(other)


@given(st.ip_addresses() | st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,10}(\.[a-z]{1,5}){0,2}\.?", fullmatch=True))
def test_the_normal_form_is_its_own(host: ipaddress.IPv4Address | ipaddress.IPv6Address | str) -> None:
    once = normal_host(str(host))
    assert normal_host(once) == once
    assert normal_host(str(host).upper()) == once


@given(st.ip_addresses(), PORTS)
def test_an_address_reads_back_from_its_text(host: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> None:
    found = HostPort(normal_host(str(host)), port)
    assert host_port(str(found)) == found
    assert host_port(f"http://{found}/path?q=1") == found


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("http://h", "h:80"),
        ("https://H./", "h:443"),
        ("ws://h", "h:80"),
        ("wss://h", "h:443"),
        ("http://h:80", "h:80"),
        ("tcp://h:7", "h:7"),
        ("h:7", "h:7"),
        ("[::1]:7", "127.0.0.1:7"),
        ("http://[fd00::1]:7", "[fd00::1]:7"),
        ("http://[fe80::1%25eth0]:7", "[fe80::1%eth0]:7"),
    ],
)
def test_addresses_of_urls(url: str, wanted: str) -> None:
    assert str(host_port(url)) == wanted


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("h", "needs a port"),
        ("tcp://h", "needs a port"),
        ("grpc://h", "needs a port"),
        ("http://h:0", "needs a port"),
        ("http://h:65536", "a number from 1 to 65535"),
        ("http://h:x", "a number from 1 to 65535"),
        ("http://:80", "needs a host"),
        ("http://.:80", "needs a host"),
        ("", "needs a host"),
        ("http://u:p@h:1", "must not contain credentials"),
        ("u@h:1", "must not contain credentials"),
        ("http://[::1:80", "stands in brackets"),
        ("http://h :80", "must not contain blanks"),
        ("http://h\n:80", "must not contain blanks"),
    ],
)
def test_what_is_no_address(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        host_port(url)
    assert "p@h" not in str(caught.value)


@given(st.text(max_size=30))
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    try:
        found = host_port(text)
    except ValueError:
        return
    assert found.host
    assert 1 <= found.port <= 65535


FACTS = st.builds(NetworkFacts, *[st.none() | st.sampled_from(["a", "b", "c"]) for _ in range(5)])


@given(FACTS, FACTS, FACTS)
def test_network_facts_merge_in_any_order(a: NetworkFacts, b: NetworkFacts, c: NetworkFacts) -> None:
    assert a.merged(b) == b.merged(a)
    assert a.merged(b).merged(c) == a.merged(b.merged(c))
    assert a.merged(a) == a == a.merged(NetworkFacts())


def test_the_key_is_the_peer_id_else_the_address() -> None:
    assert Identity("p", HostPort("h", 1)).key == "p"
    assert Identity(None, HostPort("h", 1)).key == "h:1"
