"""Scenarios that hypothesis makes: valid ones, and valid ones that something was done to. Values only."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12)
TRAPS = st.sampled_from(
    ["on", "off", "yes", "no", "22:22", "0o10", "010", "1_000", "1e3", "2024-01-01", "~", "null", "=", "<<", ".nan",
     "0x1F", "0b1", "+1", "-", "?", ":", "a: b", "# x", "true", "'", '"', "$$", "a$", "&a", "*a", "!a", "|", "%a", ""]
)  # fmt: skip
WORDS = TRAPS | TEXTS
DURATIONS = st.builds("{}{}".format, st.integers(1, 5000), st.sampled_from(["ms", "s", "m", "h"]))
SCALARS = st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False) | WORDS
NODES = ("n0", "n1", "n2")
TARGETS = st.sampled_from([*NODES, "all", "owned", "leader", "followers", "any"]) | st.one_of(
    st.lists(st.sampled_from(NODES), min_size=1, max_size=3),
    st.builds(lambda count: {"any": count}, st.integers(1, 3)),
    st.builds(lambda share: {"fraction": share}, st.floats(0.01, 1)),
    st.just("origin:managed"),
)


def optional(**parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=parts)


def step(word: str, needed: dict[str, Any], **parts: Any) -> st.SearchStrategy[Any]:
    made = st.fixed_dictionaries(needed, optional={"name": WORDS, **parts})
    return made.map(lambda options: {word: options})


READINESS = st.one_of(
    optional(timeout=DURATIONS, consecutive=st.integers(1, 5)),
    st.fixed_dictionaries({"policy": st.just("quorum"), "min": st.integers(1, 3)}),
    st.fixed_dictionaries({"policy": st.just("quorum"), "ratio": st.floats(0.01, 1)}),
    st.fixed_dictionaries({"policy": st.just("required"), "nodes": TARGETS}),
    st.fixed_dictionaries({"policy": st.just("source-aware"), "managed": st.sampled_from([0, 1, 3, "all"])}),
)
CHECKS = st.one_of(
    st.fixed_dictionaries(
        {"use": st.sampled_from(["reachable", "converged", "height-advances"])},
        optional={"within": DURATIONS, "target": TARGETS, "name": WORDS},
    ),
    st.fixed_dictionaries({"use": st.just("no-crash")}, optional={"target": TARGETS}),
    st.fixed_dictionaries({"use": st.just("log-absent"), "pattern": st.sampled_from(["panic:", "on", "^a.*b$"])}),
)
STEPS = st.one_of(
    step("restart", {"target": TARGETS}, wait=st.booleans(), readiness=READINESS),
    step("kill", {"target": TARGETS}),
    step("put", {"key": TEXTS.filter(bool), "value": WORDS}, target=TARGETS, within=DURATIONS),
    step("get", {"key": TEXTS.filter(bool)}, expect=WORDS | st.none(), local=st.booleans()),
    step("wait", {"for": DURATIONS}),
    step("patch", {"target": TARGETS, "config": st.just({"log-level": "debug"})}),
    CHECKS.map(lambda check: {"expect": check}),
)
GROUPS = st.fixed_dictionaries(
    {"count": st.just(3)},
    optional={
        "name": st.just("n{index}"),
        "config": st.sampled_from([{}, {"snapshot-count": 5, "log-level": "warn", "pre-vote": True}]),
        "patches": st.just({"n1": {"log-level": "debug"}}),
        "env": st.dictionaries(st.sampled_from(["A", "on", "22:22"]), WORDS, max_size=2),
        "resources": optional(cpu=st.floats(0.01, 64), memory=st.sampled_from(["512Mi", "2G", "100"])),
        "on_demand": st.just(False),
        "binary": WORDS,
    },
)
EXTERNAL = st.fixed_dictionaries(
    {
        "name": st.just("x0"),
        "endpoints": st.just({"client": "http://127.0.0.1:2379"}),
        "allow": st.lists(st.sampled_from(["join", "restart", "pause"]), max_size=2),
    },
    optional={"auth": st.just({"bearer": "env:TOKEN"}), "tls": st.just({"server_name": "x"})},
)
DEPLOYERS = st.sampled_from(
    [{"type": "local"}, {"type": "local", "stop_grace": "3s", "inherit": ["LANG"], "ports": {"n0": {"client": 12345}}}]
)
SOURCES = st.one_of(
    st.fixed_dictionaries(
        {"mode": st.just("managed"), "deployer": DEPLOYERS, "nodes": GROUPS | GROUPS.map(lambda group: [group])},
        optional={"external": st.lists(EXTERNAL, max_size=1)},
    ),
)
SCENARIOS = st.fixed_dictionaries(
    {"nodeyard": st.just(1), "kind": st.just("etcd"), "source": SOURCES},
    optional={
        "name": WORDS.filter(bool),
        "description": WORDS,
        "seed": st.integers(0, 2**63 - 1),
        "network": optional(id=WORDS, genesis=WORDS, protocol=WORDS),
        "bootstrap": optional(seeds=st.integers(0, 64)),
        "readiness": READINESS,
        "membership": st.sampled_from(["strict", "degradable"]),
        "ownership": optional(on_conflict=st.sampled_from(["fail", "prefer-owned", "prefer-borrowed"])),
        "deadline": DURATIONS,
        "steps": st.lists(STEPS, max_size=4),
        "expectations": st.lists(CHECKS, max_size=3),
    },
)
"""Valid scenarios, where ``TOKEN`` is set. A ``$`` in their texts is no variable."""

KEYS = (
    "source", "mode", "deployer", "type", "nodes", "count", "target", "use", "readiness", "policy", "min", "external",
    "auth", "bearer", "tls", "cert", "ports", "config", "patches", "steps", "restart", "expect", "kind",
)  # fmt: skip
JUNK = st.recursive(
    st.none() | SCALARS | st.sampled_from(["managed", "local", "all", "etcd", "env:TOKEN", "file:x", "${X}", "k8s"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all parts of a value but itself."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, part in inner for found in [(*path, key), *places(part, (*path, key))]]


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A valid scenario in which one to three places were deleted, replaced or added to."""
    value = copy.deepcopy(draw(SCENARIOS))
    for _ in range(draw(st.integers(1, 3))):
        found = places(value)
        if not found:
            break
        *above, last = draw(st.sampled_from(found))
        parent = value
        for part in above:
            parent = parent[part]
        act = draw(st.sampled_from(["delete", "replace", "insert"]))
        if act == "delete":
            del parent[last]
        elif act == "replace":
            parent[last] = draw(JUNK)
        elif isinstance(parent, list):
            parent.insert(last, draw(JUNK))
        else:
            parent[draw(WORDS | st.sampled_from(KEYS))] = draw(JUNK)
    return value
