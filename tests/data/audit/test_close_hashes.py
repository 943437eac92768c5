"""An index finds exactly the pairs of hashes that comparing all with all finds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitrial.data.audit import duplicates
from vitrial.data.audit.alignment import POSES
from vitrial.data.audit.close_hashes import Index, masks, thresholds
from vitrial.data.audit.perceptual_hash import RADIUS

BIT = np.uint64(1) << np.arange(64, dtype=np.uint64)


def hashes(n, seed=0, kinds=20):
    """Hashes around a few centers, and others: from equal to unlike."""
    centers = np.random.default_rng(0).integers(0, 2**64, kinds, dtype=np.uint64)
    generator = np.random.default_rng(seed)
    flips = np.where(generator.random((n, 64)) < generator.random((n, 1)) / 3, BIT, np.uint64(0))
    return centers[generator.integers(0, kinds, n)] ^ np.bitwise_xor.reduce(flips, axis=1)


def all_with_all(some, others, radius):
    return {*zip(*map(np.ndarray.tolist, np.nonzero(
        np.bitwise_count(some[:, None] ^ others) <= radius)), strict=True)}  # fmt: skip


@pytest.mark.parametrize("radius", [0, 2, 5, RADIUS])
def test_pairs_are_those_of_all_with_all(radius):
    some, others = hashes(300), hashes(1000, seed=1)
    first, second = Index(others).close(some, radius)
    found = [*zip(first.tolist(), second.tolist(), strict=True)]
    assert len(found) == len({*found})
    assert {*found} == all_with_all(some, others, radius)
    assert len(found) > (1000 if radius == RADIUS else 10)


def test_without_hashes_or_queries_there_is_no_pair():
    none = np.empty(0, np.uint64)
    for some, others in ((none, hashes(5)), (hashes(5), none), (none, none)):
        assert [len(of) for of in Index(others).close(some, RADIUS)] == [0, 0]


@settings(deadline=None, max_examples=15)
@given(st.sets(st.integers(0, 63), max_size=RADIUS), st.integers(0, 2**64 - 1))
def test_whatever_differs_in_no_more_bits_is_found(changed, value):
    one = np.array([value], np.uint64)
    other = np.bitwise_xor.reduce([*BIT[list(changed)], one[0]])
    assert len(Index(one).close(np.array([other]), RADIUS)[0]) == 1


@pytest.mark.parametrize("radius", range(20))
def test_thresholds_leave_no_way_around_them(radius):
    within = thresholds(radius)
    assert sum(t + 1 for t in within) > radius
    assert len(masks(max(within))) == len({*masks(max(within))})


@pytest.mark.parametrize("within", [True, False])
def test_copies_come_in_the_same_order_by_index(within, monkeypatch):
    some = np.stack([hashes(600, seed=2 + pose) for pose in range(POSES)])
    others = some[0] if within else hashes(900, seed=99)
    monkeypatch.setattr(duplicates, "BLOCK", (64, 256))
    monkeypatch.setattr(duplicates, "QUERIES", 512)

    def found(indexed):
        monkeypatch.setattr(duplicates, "INDEXED", indexed)
        return [(first.tolist(), second.tolist(), pose)
                for first, second, pose in duplicates._alike(some, others, within)]  # fmt: skip

    by_index, by_all = found(1), found(10**9)
    assert by_index == by_all
    assert sum(len(first) for first, _, _ in by_all) > 1000
