"""Two nodes of ours enter a chain of four that somebody else runs: one scenario, whoever runs the four."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from e2e.conftest import nodeyard as nodeyard
from e2e.conftest import ports as ports
from e2e.support import REPOSITORY, Json, Nodeyard

from .borrowed import Borrowed, data_of, heights
from .chain_containers import container_chain
from .chain_pods import pod_chain
from .chain_processes import binary, started_chain

pytestmark = pytest.mark.real
RUNNERS: Mapping[str, Callable[[Path], AbstractContextManager[Borrowed]]] = {
    "processes": started_chain,
    "containers": container_chain,
    "pods": pod_chain,
}


@pytest.fixture(params=RUNNERS)
def chain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Borrowed]:
    with RUNNERS[request.param](tmp_path_factory.mktemp("chain")) as chain:
        yield chain


def test_two_nodes_of_ours_enter_a_chain_of_four(chain: Borrowed, nodeyard: Nodeyard) -> None:
    nodeyard.extra = {"NODEYARD_COMETBFT": binary()}
    until = min(heights(chain).values())
    portrait, data = chain.portrait(), data_of(chain, until)
    done = nodeyard("run", joined_by_two(nodeyard, chain), patience=180)
    assert done.status == 0, done.out + done.err
    inventory: Json = json.loads((nodeyard.only_run() / "inventory.json").read_text())
    nodes = {node["id"]: node for node in inventory["nodes"]}
    assert {name: node["ownership"] for name, node in nodes.items()} == {
        **dict.fromkeys(("n0", "n1"), "owned"),
        **dict.fromkeys(("h0", "h1", "h2", "h3"), "borrowed"),
    }
    assert {name: nodes[name]["identity"]["peer_id"] for name in data} == {
        name: told for name, (told, _) in data.items()
    }
    assert len({json.dumps(node["network"], sort_keys=True) for node in nodes.values()}) == 1
    check_journal(nodeyard, nodes)
    assert nodeyard.leftovers() == []
    assert chain.portrait() == portrait
    assert data_of(chain, until) == data
    assert min(heights(chain).values()) > until


def joined_by_two(home: Nodeyard, chain: Borrowed) -> Path:
    """The example as it stands, with this chain as the external nodes."""
    scenario: dict[str, Any] = YAML(typ="safe", pure=True).load(REPOSITORY / "examples" / "cometbft-join.yaml")
    nodes = scenario["source"]["nodes"]
    source = {**home.managed(**nodes), "external": list(chain.external)}
    return home.write({**scenario, "source": source})


def check_journal(home: Nodeyard, nodes: Mapping[str, Json]) -> None:
    """Who was told of whom, where the genesis came from, who was killed, and who agreed."""
    journal = [json.loads(line) for line in (home.only_run() / "journal.jsonl").read_text().splitlines()]

    def those(event: str) -> list[Json]:
        return [record for record in journal if record["event"] == event]

    seeds = {record["node"]: record["seeds"] for record in those("seeds-chosen")}
    assert all(any(seed.startswith("h") for seed in told) and len(told) == 2 for told in seeds.values()), seeds
    (adopted,) = those("network-adopted")
    assert len(adopted["through"]) == 2
    assert adopted["genesis"] == nodes["h0"]["network"]["genesis"]
    assert [record["node"] for record in those("node-exited")][:1] == ["n1"]
    assert {name: [r["node"] for r in those("node-started")].count(name) for name in nodes} == {
        **dict.fromkeys(nodes, 0), "n0": 1, "n1": 2,
    }  # fmt: skip
    agreement = next(record for record in those("check-evaluated") if record["check"] == "agreement")
    assert agreement["reason"].startswith("6 nodes agree at ")
