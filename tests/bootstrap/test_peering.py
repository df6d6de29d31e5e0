"""The choice of seeds: enough, from distinct origins first, and the same for the same seed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nodeyard.bootstrap.peering import SeedCandidate, choose_seeds
from nodeyard.domain.node_handle import OriginClass

candidates = st.lists(
    st.builds(
        SeedCandidate,
        node=st.sampled_from([f"n{i}" for i in range(12)]),
        kind=st.sampled_from(["etcd", "other"]),
        origin=st.sampled_from(OriginClass),
        source=st.sampled_from(["a", "b", "c"]),
    ),
    unique_by=lambda c: c.node,
    max_size=12,
)


@given(candidates, st.integers(0, 6), st.integers(0, 99))
def test_as_many_as_there_are_and_never_itself(pool, count, seed):
    chosen = choose_seeds("n0", "etcd", pool, count=count, seed=seed)
    possible = [c for c in pool if c.kind == "etcd" and c.node != "n0"]
    assert len(chosen) == min(count, len(possible))
    assert len(set(chosen)) == len(chosen)
    assert all(c in possible for c in chosen)


@given(candidates, st.integers(1, 6), st.integers(0, 99))
def test_distinct_classes_first_then_distinct_sources(pool, count, seed):
    chosen = choose_seeds("n0", "etcd", pool, count=count, seed=seed)
    possible = [c for c in pool if c.kind == "etcd" and c.node != "n0"]
    classes = {c.origin for c in possible}
    assert len({c.origin for c in chosen}) == min(count, len(classes))
    for origin in classes:
        mine = [c for c in chosen if c.origin is origin]
        sources = {c.source for c in possible if c.origin is origin}
        assert len({c.source for c in mine}) == min(len(mine), len(sources))


@given(candidates, st.integers(0, 6), st.integers(0, 99), st.randoms(use_true_random=False))
def test_the_order_of_candidates_does_not_matter(pool, count, seed, random):
    shuffled = list(pool)
    random.shuffle(shuffled)
    assert choose_seeds("n0", "etcd", pool, count=count, seed=seed) == choose_seeds(
        "n0", "etcd", shuffled, count=count, seed=seed
    )


def test_different_nodes_get_different_seeds_somewhere():
    pool = [SeedCandidate(f"n{i}", "etcd", OriginClass.MANAGED, "local") for i in range(20)]
    chosen = {choose_seeds(f"n{i}", "etcd", pool, count=2, seed=7) for i in range(20)}
    assert len(chosen) > 5
