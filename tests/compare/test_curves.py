import math

import numpy as np
import pytest

from vitrial.compare.curves import PowerLaw, catch_up, learning_curves, power_law

SIZES = [125, 250, 500, 1000, 2000]


def simulated(curves, sd, rng, repetitions=3, shared=0.0):
    """Runs of arms whose true curves are given, with the covariance over patients."""
    arms, images, truth = [], [], []
    for arm, curve in curves.items():
        for size in SIZES:
            for _ in range(repetitions):
                arms.append(arm)
                images.append(size)
                truth.append(curve(size))
    noise = rng.normal(0, sd, len(truth)) + rng.normal(0, shared)
    covariance = np.full((len(truth), len(truth)), shared**2)
    return arms, images, np.array(truth) + noise, covariance


def crossing_at(size):
    """A curve that meets the constant 0.8 at a size, straight in its logarithm."""
    return lambda n: 0.8 + 0.05 * np.log(n / size)


def test_means_and_intervals_are_those_of_each_cell():
    rng = np.random.default_rng(0)
    arms, images, scores, covariance = simulated({"a": crossing_at(700)}, 0.01, rng)
    (curve,), joint = learning_curves(arms, images, scores, covariance)
    assert curve.images.tolist() == SIZES
    np.testing.assert_allclose(curve.means, scores.reshape(5, 3).mean(axis=1))
    expected = scores.reshape(5, 3).var(axis=1, ddof=1) / 3
    np.testing.assert_allclose(np.diag(joint), expected)


def test_the_size_where_curves_cross_is_found_with_its_interval():
    covered = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        true = {"vit": crossing_at(700), "cnn": lambda n: 0.8}
        (vit, cnn), joint = learning_curves(*simulated(true, 0.01, rng, 5, shared=0.02))
        found = catch_up(vit, cnn, joint)
        covered.append(found.low <= 700 <= found.high)
    assert np.mean(covered) >= 0.93


def test_what_patients_share_cancels_from_the_crossing():
    rng = np.random.default_rng(1)
    true = {"vit": crossing_at(700), "cnn": lambda n: 0.8}
    (vit, cnn), joint = learning_curves(*simulated(true, 1e-4, rng, 3, shared=0.2))
    found = catch_up(vit, cnn, joint)
    assert found.images == pytest.approx(700, rel=0.01)
    assert found.high - found.low < 50


@pytest.mark.parametrize(("size", "word"), [(1e6, "does not catch up"), (10, "125 training")])
def test_a_crossing_outside_the_data_is_said(size, word):
    rng = np.random.default_rng(2)
    true = {"vit": crossing_at(size), "cnn": lambda n: 0.8}
    (vit, cnn), joint = learning_curves(*simulated(true, 1e-3, rng))
    found = catch_up(vit, cnn, joint)
    assert word in found.sentence("vit", "cnn")
    assert math.isnan(found.images) == (size == 1e6)


def test_of_a_loss_lower_is_ahead():
    rng = np.random.default_rng(3)
    true = {"vit": lambda n: 1 - crossing_at(700)(n), "cnn": lambda n: 0.2}
    (vit, cnn), joint = learning_curves(*simulated(true, 1e-4, rng))
    found = catch_up(vit, cnn, joint, higher_is_better=False)
    assert found.images == pytest.approx(700, rel=0.01)


def test_a_power_law_is_recovered_and_extrapolated():
    within = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        true = {"a": lambda n: 0.9 - 0.1 * (n / 2000) ** -0.5}
        (curve,), joint = learning_curves(*simulated(true, 0.003, rng, 5))
        law = power_law(curve, joint)
        if isinstance(law, PowerLaw):
            doubled = 0.9 - 0.1 * 2**-0.5
            within.append(abs(law.doubled - doubled) < 2.8 * law.doubled_error)
    assert len(within) > 80
    assert np.mean(within) >= 0.9


@pytest.mark.parametrize(
    ("curve", "why"),
    [
        (lambda n: 0.8, "does not"),
        (lambda n: 0.6 + 0.3 * (n > 600) * (n < 1500) + 1e-5 * n, "is no power law"),
    ],
)
def test_no_power_law_is_refused_in_words(curve, why):
    rng = np.random.default_rng(0)
    (found,), joint = learning_curves(*simulated({"a": curve}, 1e-3, rng, 5))
    law = power_law(found, joint)
    assert isinstance(law, str)
    assert "no power law is fitted" in law
    if why != "does not":
        assert why in law


def test_three_sizes_are_too_few():
    arms, images, scores, covariance = simulated(
        {"a": crossing_at(700)}, 0.01, np.random.default_rng(0)
    )
    few = slice(0, 9)
    (curve,), joint = learning_curves(arms[few], images[few], scores[few], covariance[few, few])
    assert "3 sizes" in power_law(curve, joint)
