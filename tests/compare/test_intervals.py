import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_ind, ttest_rel

from vitrial.compare.intervals import factorial_effect, nested_effect, single_effect
from vitrial.compare.jackknife import jackknife
from vitrial.compare.multiplicity import holm


@pytest.fixture(scope="module")
def vandyke(shared):
    """Five readers, two treatments, 114 patients; and what an independent program says of them."""
    folder = shared / "vandyke"
    if not folder.is_dir():
        pytest.skip(f"the Van Dyke data are not at {folder}")
    ratings = pd.read_csv(folder / "vandyke.csv")
    runs = ratings.pivot_table(index="case", columns=["treatment", "reader"], values="rating")
    truth = ratings.groupby("case")["truth"].first().to_numpy()
    logits = [np.stack([np.zeros(len(truth)), runs[run]], axis=1) for run in runs.columns]
    found = jackknife("roc_auc", truth, logits, runs.index.to_numpy())
    return found, json.loads((folder / "expected.json").read_text())


def test_factorial_form_as_an_independent_program(vandyke):
    found, expected = vandyke
    effect = factorial_effect(found.scores.reshape(2, 5), found.covariance)
    table = expected["factorial"]
    assert np.trace(found.covariance) / 10 == pytest.approx(table["Error"], rel=1e-6)
    assert effect.f == pytest.approx(table["F"], rel=1e-6)
    assert effect.df == pytest.approx(table["df2"], rel=1e-6)
    assert effect.p_value == pytest.approx(table["p"], rel=1e-6)
    assert effect.difference == pytest.approx(table["difference (1 - 2)"], rel=1e-6)
    assert effect.standard_error == pytest.approx(table["standard error"], rel=1e-6)
    assert effect.low == pytest.approx(table["low"], rel=1e-6)
    assert effect.high == pytest.approx(table["high"], abs=1e-9)


def test_nested_form_as_an_independent_program(vandyke):
    found, expected = vandyke
    effect = nested_effect(found.scores[:5], found.scores[5:], found.covariance)
    table = expected["nested"]
    assert effect.difference == pytest.approx(table["difference (1 - 2)"], rel=1e-8)
    assert np.mean(effect.repetition_variance) == pytest.approx(table["MS(R(T))"], rel=1e-6)
    assert np.mean(effect.covariance_within) == pytest.approx(table["Cov2"], rel=1e-6)
    assert effect.covariance_between == pytest.approx(table["Cov3"], rel=1e-6)
    assert effect.standard_error == pytest.approx(table["Welch"]["standard error"], rel=1e-8)
    assert effect.df == pytest.approx(table["Welch"]["df"], rel=1e-7)


@pytest.mark.parametrize("treatment", [0, 1])
def test_one_arm_as_an_independent_program(vandyke, treatment):
    found, expected = vandyke
    rows = slice(5 * treatment, 5 * treatment + 5)
    effect = single_effect(found.scores[rows], found.covariance[rows, rows])
    table = expected["single treatment"][str(treatment + 1)]
    assert effect.difference == pytest.approx(table["estimate"], rel=1e-6)
    assert effect.repetition_variance[0] == pytest.approx(table["MS(R)"], rel=1e-6)
    assert effect.covariance_within[0] == pytest.approx(table["Cov2"], rel=1e-6)
    assert effect.df == pytest.approx(table["df"], rel=1e-6)
    assert (effect.low, effect.high) == pytest.approx((table["low"], table["high"]), rel=1e-6)


def test_without_patients_it_is_the_t_test_of_the_repetitions():
    first, second = np.array([0.80, 0.83, 0.79]), np.array([0.75, 0.82, 0.70, 0.78])
    effect = nested_effect(first, second, np.zeros((7, 7)))
    welch = ttest_ind(first, second, equal_var=False)
    assert effect.p_value == pytest.approx(welch.pvalue)
    interval = welch.confidence_interval()
    assert (effect.low, effect.high) == pytest.approx((interval.low, interval.high))
    paired = factorial_effect(np.stack([first, second[:3]]), np.zeros((6, 6)))
    assert paired.p_value == pytest.approx(ttest_rel(first, second[:3]).pvalue)


def test_one_run_of_each_arm_has_the_variance_of_patients_alone():
    covariance = np.array([[4e-4, 1e-4], [1e-4, 3e-4]])
    effect = nested_effect(np.array([0.8]), np.array([0.7]), covariance)
    assert effect.standard_error == pytest.approx(math.sqrt(5e-4))
    assert math.isinf(effect.df)
    assert effect.low == pytest.approx(0.1 - 1.959964 * math.sqrt(5e-4), rel=1e-5)


def test_holm_on_a_worked_example():
    # 4 claims: .01 x 4, .02 x 3, .03 x 2, and .04 may not be less than the one before.
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    missing = holm([math.nan, 0.01])
    assert math.isnan(missing[0])
    assert missing[1] == pytest.approx(0.02)
