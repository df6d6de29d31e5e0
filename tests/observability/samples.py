"""What the tests of observability share: a clock that stands still until it is moved, and inventories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any

from hypothesis import strategies as st

from nodeyard.domain import events
from nodeyard.domain.capability import ALL_CAPABILITIES, ALWAYS_GRANTED, Capability, OnConflict
from nodeyard.domain.history import Call, Outcome
from nodeyard.domain.identity import HostPort, NetworkFacts
from nodeyard.domain.node_handle import Origin, OriginClass, Sighting
from nodeyard.domain.node_inventory import NodeInventory, merge
from nodeyard.observability.traffic import summarised


@dataclass
class HandClock:
    """A clock that a test moves by hand."""

    seconds: float = 100.0
    began: datetime = field(default=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC))

    def now(self) -> float:
        return self.seconds

    def utc(self) -> datetime:
        return self.began + timedelta(seconds=self.seconds - 100.0)

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def origin(cls: OriginClass = OriginClass.MANAGED, source: str = "local", locator: str = "pid 11") -> Origin:
    granted = ALL_CAPABILITIES if cls is OriginClass.MANAGED else ALWAYS_GRANTED
    supported = (
        ALL_CAPABILITIES - {Capability.NETWORK, Capability.JOIN} if cls is OriginClass.MANAGED else ALWAYS_GRANTED
    )
    return Origin(cls, source, locator, supported, granted)


def sighting(
    name: str,
    *,
    port: int = 2379,
    cls: OriginClass = OriginClass.MANAGED,
    source: str = "local",
    peer: str | None = None,
    endpoints: Mapping[str, str] | None = None,
) -> Sighting:
    given = endpoints if endpoints is not None else {"client": f"http://127.0.0.1:{port}"}
    return Sighting(
        name,
        "etcd",
        origin(cls, source, f"pid {port}"),
        HostPort("127.0.0.1", port),
        peer,
        tuple(given.items()),
        NetworkFacts(id="cdf818194e3a8c32", api="3.5.1"),
        role="follower",
    )


def three_nodes() -> NodeInventory:
    return merge([sighting(f"n{i}", port=21000 + i, peer=f"8e9e05c52164694{i}") for i in range(3)])


names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
texts = st.text(min_size=1, max_size=12)
capability_sets = st.frozensets(st.sampled_from(list(Capability)))


@st.composite
def sightings(draw: st.DrawFn) -> Sighting:
    cls = draw(st.sampled_from(list(OriginClass)))
    ports: Sequence[str] = draw(st.lists(names, max_size=3, unique=True))
    where = Origin(
        cls,
        draw(st.sampled_from(["local", "external", "static:nodes.yaml"])),
        draw(texts),
        draw(capability_sets),
        draw(capability_sets),
        draw(st.booleans()),
        draw(st.booleans()),
    )
    return Sighting(
        draw(names),
        draw(st.sampled_from(["etcd", "cometbft"])),
        where,
        draw(st.none() | st.builds(HostPort, st.sampled_from(["127.0.0.1", "::2"]), st.integers(1, 9))),
        draw(st.none() | st.sampled_from(["p1", "p2", "p3"])),
        tuple((port, f"http://127.0.0.1:{draw(st.integers(1, 65535))}") for port in ports),
        NetworkFacts(draw(st.none() | texts), draw(st.none() | texts), draw(st.none() | texts)),
        draw(st.none() | st.sampled_from(["leader", "follower"])),
        tuple(draw(st.lists(names, max_size=2))),
        draw(st.integers(0, 3)),
    )


inventories = st.builds(
    lambda seen, on: merge(seen, on_conflict=on), st.lists(sightings(), max_size=8), st.sampled_from(list(OnConflict))
)


EXAMPLES: Mapping[str, Any] = {
    "str": "text", "int": 3, "float": 2.5, "bool": True, "str | None": None, "int | None": 4,
    "float | None": 1.5,
    "tuple[str, ...]": ("a", "b"), "Mapping[str, str]": {"k": "v"},
    "Mapping[str, Any]": {"k": 1}, "tuple[float, ...]": (0.5, 1.5), "tuple[Mapping[str, Any], ...]": ({"id": "n0"},),
}  # fmt: skip
"""A value for each annotation of an event's field."""


def example(cls: type[events.Event], **given: Any) -> events.Event:
    """One event of a type."""
    return cls(**{f.name: EXAMPLES[str(f.type)] for f in fields(cls)} | given)


_free = st.text(max_size=20) | st.sampled_from(
    ["pass", "fail", "done", "failed", "stop", "n0", "<b>&\"'", "\x1b[2J\x00"]
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | _free,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_free, inner, max_size=2),
    max_leaves=4,
)
_node_like = st.fixed_dictionaries(
    {},
    optional={
        name: _json | st.lists(st.dictionaries(st.sampled_from(["origin", "source", "locator"]), _json, max_size=3))
        for name in ("id", "kind", "role", "ownership", "names", "origins", "identity", "supported", "capabilities",
                     "endpoints", "network")
    },
)  # fmt: skip


def summaries() -> st.SearchStrategy[Any]:
    """Summaries of short histories, as the journal holds them."""
    times = st.floats(0, 100)
    calls = st.builds(
        lambda index, op, at, took, outcome: Call(
            index, 0, "n0", op, "k", "<b>", at, at, at + took, outcome if took < inf else Outcome.INFO, "x"
        ),
        st.integers(0, 99), st.sampled_from(["read", "<i>"]), times, times | st.just(inf), st.sampled_from(Outcome),
    )  # fmt: skip
    found = st.lists(calls, min_size=1, max_size=20).map(summarised)
    return found.map(lambda traffic: traffic.document() if traffic is not None else {})


_values: Mapping[str, st.SearchStrategy[Any]] = {
    "str": _free, "int": st.integers(0, 10**6), "float": st.floats(0, 1e6), "bool": st.booleans(),
    "str | None": st.none() | _free, "int | None": st.none() | st.integers(0, 9),
    "float | None": st.none() | st.floats(0, 1e6),
    "tuple[str, ...]": st.lists(_free, max_size=3).map(tuple),
    "Mapping[str, str]": st.dictionaries(_free, _free, max_size=2),
    "Mapping[str, Any]": st.dictionaries(_free, _json, max_size=3) | summaries(),
    "tuple[float, ...]": st.lists(st.floats(0, 1e6), max_size=3).map(tuple),
    "tuple[Mapping[str, Any], ...]": st.lists(_node_like, max_size=3).map(tuple),
}  # fmt: skip


def any_event() -> st.SearchStrategy[events.Event]:
    """Every event there is, with hostile texts, and published nodes of any shape."""
    return st.sampled_from(events.event_types()).flatmap(
        lambda cls: st.builds(cls, **{f.name: _values[str(f.type)] for f in fields(cls)})
    )
