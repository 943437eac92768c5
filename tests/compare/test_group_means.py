import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t, ttest_1samp

from vitrial.compare.group_means import FEWEST_GROUPS, difference_over_groups, mean_over_groups


def test_of_one_model_with_an_image_a_group_it_is_students_t():
    values = np.random.default_rng(0).exponential(size=80)
    found = mean_over_groups(values[None], np.arange(80))
    expected = ttest_1samp(values, 0)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.mean, found.n, found.groups) == (pytest.approx(values.mean()), 80, 80)
    assert found.repetitions == 1


def test_a_difference_of_two_models_is_the_paired_t():
    values = np.random.default_rng(0).normal(size=(2, 50))
    found = difference_over_groups(values[:1], values[1:], np.arange(50))
    expected = ttest_1samp(values[0] - values[1], 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(tuple(expected))


def test_images_of_a_group_count_as_one_when_they_are_alike():
    values = np.random.default_rng(0).normal(size=30)
    single = mean_over_groups(values[None], np.arange(30))
    copied = mean_over_groups(np.repeat(values, 5)[None], np.repeat(np.arange(30), 5))
    assert (copied.low, copied.high) == pytest.approx((single.low, single.high))


def test_variances_of_repetitions_and_of_images_as_worked_out_on_paper():
    # Runs of an arm differ by a constant, so that each part of V is known.
    images = np.random.default_rng(0).normal(size=40)
    first = images + np.array([[-0.3], [0.0], [0.3]])
    alone = mean_over_groups(first, np.arange(40))
    repetitions, cases = 0.09 / 3, images.var(ddof=1) / 40
    df = (repetitions + cases) ** 2 / (repetitions**2 / 2 + cases**2 / 39)
    reach = t.ppf(0.975, df) * math.sqrt(repetitions + cases)
    assert alone.high - alone.mean == pytest.approx(reach)
    # Both arms share the images: what remains of a difference is the runs alone.
    second = images + np.array([[1.0], [1.2]])
    both = difference_over_groups(first, second, np.arange(40))
    runs = repetitions + 0.02 / 2
    df = runs**2 / (repetitions**2 / 2 + 0.01**2 / 1)
    assert both.mean == pytest.approx(-1.1)
    assert both.mean - both.low == pytest.approx(t.ppf(0.975, df) * math.sqrt(runs))
    assert both.repetitions == 2


def test_the_truth_is_covered_as_often_as_promised_and_not_without_the_repetitions():
    random, covered, without = np.random.default_rng(0), 0, 0
    groups = np.repeat(np.arange(40), 3)
    for _ in range(400):
        images = random.normal(size=40)[groups] + 0.3 * random.normal(size=120)
        arms = [
            images + 0.4 * random.normal(size=(3, 1)) + 0.5 * random.normal(size=(3, 120))
            for _ in range(2)
        ]
        found = difference_over_groups(*arms, groups)
        covered += found.low <= 0 <= found.high
        blind = difference_over_groups(*(arm.mean(axis=0, keepdims=True) for arm in arms), groups)
        without += blind.low <= 0 <= blind.high
    assert 0.92 < covered / 400 < 0.985
    assert without / 400 < 0.5


def test_with_too_few_groups_there_is_a_mean_and_nothing_else():
    values = np.random.default_rng(0).normal(size=(2, 3 * FEWEST_GROUPS))
    for groups, known in (
        (1, False),
        (2, False),
        (FEWEST_GROUPS - 1, False),
        (FEWEST_GROUPS, True),
    ):
        found = mean_over_groups(values, np.arange(3 * FEWEST_GROUPS) % groups)
        assert found.mean == pytest.approx(values.mean())
        assert found.groups == groups
        assert [math.isfinite(x) for x in (found.low, found.high, found.p)] == [known] * 3


def test_where_all_groups_are_alike_there_is_no_interval():
    found = mean_over_groups(np.full((1, 60), 0.1) + 1e-17, np.arange(60))
    assert math.isnan(found.low)
    assert found.p < 1e-9
    same = difference_over_groups(np.ones((2, 60)), np.ones((1, 60)), np.arange(60))
    assert (same.mean, same.p) == (0, 1)


@given(st.integers(0, 1000))
def test_order_and_names_are_irrelevant_and_sides_can_be_swapped(seed):
    random = np.random.default_rng(seed)
    values, groups = random.random((4, 90)), random.integers(0, 45, 90)
    order = random.permutation(90)
    found = difference_over_groups(values[:1], values[1:], groups)
    moved = difference_over_groups(values[:1, order], values[1:, order], groups[order] + 7)
    swapped = difference_over_groups(values[1:], values[:1], groups)
    assert (moved.mean, moved.low, moved.p) == pytest.approx((found.mean, found.low, found.p))
    assert (-swapped.high, swapped.p) == pytest.approx((found.low, found.p))


def test_of_no_value_there_is_no_mean():
    for bad in (np.empty((1, 0)), np.array([[1.0, math.nan]])):
        with pytest.raises(ValueError, match="no values"):
            mean_over_groups(bad, np.zeros(bad.shape[1]))
