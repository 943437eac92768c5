"""Nested parts of the training images, for learning curves over data size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitrial.data.prepared import pixel_statistics, prepare_data
from vitrial.data.sources.phantom import PhantomData
from vitrial.protocol import Image, Split


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    section = PhantomData(source="phantom", patients=150, size=32)
    return prepare_data(section, Split(), Image(resize=32), tmp_path_factory.mktemp("cache"))


@settings(max_examples=20, deadline=None)
@given(shares=st.lists(st.floats(0.1, 1), min_size=2, max_size=4), seed=st.integers(0, 9))
def test_parts_are_nested_whole_in_groups_and_alike_in_classes(data, shares, seed):
    whole = data.rows_of("train")
    former = frozenset()
    for share in sorted(shares):
        part = data.training_fraction(share, seed).rows_of("train")
        assert former <= set(part["image"])
        former = set(part["image"])
        left_out = whole[~whole["image"].isin(former)]
        assert not set(part["group"]) & set(left_out["group"])
        assert set(part["label"]) == set(whole["label"])
        assert len(part) / len(whole) == pytest.approx(share, abs=0.1)


def test_nothing_outside_the_part_is_seen(data):
    part = data.training_fraction(0.3, seed=1)
    rows = part.rows_of("train")["row"].to_numpy()
    seen = [row for _, some in part.without_labels().parts for row in some]
    assert sorted(seen) == sorted(rows)
    mean, std = pixel_statistics(part.cache, rows)
    assert (part.mean, part.std) == (mean, std)
    assert part.mean != data.mean
    for split in ("val", "test"):
        assert part.rows_of(split)["image"].tolist() == data.rows_of(split)["image"].tolist()


def test_another_seed_draws_others(data):
    one, other = (set(data.training_fraction(0.3, s).rows_of("train")["image"]) for s in (1, 2))
    assert one != other
    np.testing.assert_allclose(len(one), len(other), rtol=0.2)
