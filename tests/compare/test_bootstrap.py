import math

import numpy as np
import pytest
from scipy.stats import bootstrap

from vitrial.compare.bootstrap import grouped_mean


def test_with_an_image_a_group_it_is_scipys_bootstrap():
    values = np.random.default_rng(0).exponential(size=80)
    found = grouped_mean(values, np.arange(80), seed=1, resamples=10_000)
    expected = bootstrap(
        (values,), np.mean, method="percentile", n_resamples=10_000, rng=np.random.default_rng(2)
    ).confidence_interval
    assert found.mean == pytest.approx(values.mean())
    assert (found.n, found.groups) == (80, 80)
    assert found.low == pytest.approx(expected.low, abs=0.01)
    assert found.high == pytest.approx(expected.high, abs=0.01)


def test_images_of_a_group_count_as_one_when_they_are_alike():
    values = np.random.default_rng(0).normal(size=30)
    single = grouped_mean(values, np.arange(30), seed=1)
    copied = grouped_mean(np.repeat(values, 5), np.repeat(np.arange(30), 5), seed=1)
    assert (copied.low, copied.high) == pytest.approx((single.low, single.high))
    naive = grouped_mean(np.repeat(values, 5), np.arange(150), seed=1)
    assert naive.high - naive.low < 0.6 * (single.high - single.low)


def test_the_truth_is_covered_about_as_often_as_promised():
    random, covered = np.random.default_rng(0), 0
    for trial in range(200):
        groups = np.repeat(np.arange(40), 3)
        values = random.normal(size=40)[groups] + 0.3 * random.normal(size=120)
        found = grouped_mean(values, groups, seed=trial, resamples=1000)
        covered += found.low <= 0 <= found.high
    assert 0.88 < covered / 200 <= 0.99


def test_the_order_of_images_is_irrelevant():
    random = np.random.default_rng(0)
    values, groups = random.random(50), random.integers(0, 9, 50).astype(str)
    order = random.permutation(50)
    assert grouped_mean(values, groups, 3) == grouped_mean(values[order], groups[order], 3)


def test_one_group_has_no_interval_and_no_value_no_mean():
    found = grouped_mean(np.array([1.0, 3.0]), np.array(["a", "a"]), 0)
    assert found.mean == 2
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    for bad in ([], [1.0, math.nan]):
        with pytest.raises(ValueError, match="no values"):
            grouped_mean(np.array(bad), np.zeros(len(bad)), 0)
