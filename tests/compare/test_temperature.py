import numpy as np
import pytest
from scipy.special import softmax

from vitrial.compare.temperature import (
    calibrated,
    calibration_table,
    fit_temperature,
    reliability_table,
)
from vitrial.metrics import METRICS


@pytest.mark.parametrize("factor", [0.25, 1.0, 6.0])
def test_the_temperature_of_logits_that_are_so_many_times_too_large(factor):
    """Labels are drawn from the probabilities themselves: the right temperature is known."""
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(40_000, 3)) * 2
    p = softmax(logits, axis=1)
    targets = (generator.random(len(p))[:, None] > p.cumsum(axis=1)).sum(axis=1)
    assert fit_temperature(targets, logits * factor) == pytest.approx(factor, rel=0.05)


def test_overconfident_runs_are_better_calibrated_after_and_answer_the_same(aligned):
    val, test = aligned()
    val, test = val.with_logits(val.logits * 8), test.with_logits(test.logits * 8)
    after, temperatures = calibrated(test, val)
    assert (temperatures > 2).all()
    np.testing.assert_array_equal(after.logits.argmax(-1), test.logits.argmax(-1))
    table = calibration_table(test, after, temperatures, [("new", "old")])
    change = table[table["when"] == "change"]
    assert (change["value"] < 0).all(), "each measure falls"
    before = table[(table["when"] == "before") & (table["arm"] == "new") & (table["less"] == "")]
    for row in before.to_dict("records"):
        metric = METRICS[row["metric"]]
        expected = np.mean([metric(test.targets, run) for run in test.logits[:2]])
        assert row["value"] == pytest.approx(expected)


def test_the_reliability_curve_adds_up_to_the_calibration_error(aligned):
    _, test = aligned()
    one = test.with_logits(test.logits[:1])
    one = type(one)(one.runs[:1], one.arms[:1], one.images, one.logits)
    table = reliability_table(one)
    assert table["answers"].sum() == len(test.targets)
    assert ((table["low"] < table["confidence"]) & (table["confidence"] <= table["high"])).all()
    gap = (table["confidence"] - table["accuracy"]).abs()
    error = (gap * table["answers"]).sum() / table["answers"].sum()
    assert error == pytest.approx(METRICS["calibration_error"](test.targets, one.logits[0]))
