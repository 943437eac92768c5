"""DeLong's and McNemar's tests against the definitions in their papers, computed apart."""

import numpy as np
import pytest
from scipy.stats import norm

from vitrial.compare.two_runs import delong, mcnemar


def textbook(positive, scores):
    """DeLong et al. 1988, eqs. 4-8: each pair of a positive and a negative image is looked at."""
    x, y = scores[:, positive], scores[:, ~positive]
    wins = (x[:, :, None] > y[:, None, :]) + 0.5 * (x[:, :, None] == y[:, None, :])
    v10, v01 = wins.mean(axis=2), wins.mean(axis=1)
    areas = wins.mean(axis=(1, 2))
    s10 = (v10 - areas[:, None]) @ (v10 - areas[:, None]).T / (v10.shape[1] - 1)
    s01 = (v01 - areas[:, None]) @ (v01 - areas[:, None]).T / (v01.shape[1] - 1)
    return areas, s10 / v10.shape[1] + s01 / v01.shape[1]


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_delong_by_its_definition(seed, ties):
    generator = np.random.default_rng(seed)
    positive = np.r_[True, True, False, False, generator.random(26) < 0.4]
    scores = generator.normal(size=(2, 30)) + positive
    scores = np.round(scores) if ties else scores
    found = delong(positive, scores[0], scores[1])
    areas, covariance = textbook(positive, scores)
    np.testing.assert_allclose(found.areas, areas, atol=1e-12)
    np.testing.assert_allclose(found.covariance, covariance, atol=1e-12)
    error = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    z = (areas[0] - areas[1]) / error
    assert found.p_value == pytest.approx(2 * norm.sf(abs(z)))
    assert found.high - found.low == pytest.approx(2 * norm.ppf(0.975) * error)


def test_delong_worked_by_hand():
    """Positives 3, 1 and negatives 2, 0: three of four pairs are right."""
    positive = np.array([True, True, False, False])
    found = delong(positive, np.array([3.0, 1, 2, 0]), np.array([3.0, 2, 1, 0]))
    np.testing.assert_allclose(found.areas, [0.75, 1.0])
    # Placements of the first: positives 1 and 1/2, negatives 1/2 and 1; variances 1/8 each.
    np.testing.assert_allclose(found.covariance, [[1 / 8, 0], [0, 0]], atol=1e-15)
    assert found.z == pytest.approx(-0.25 / np.sqrt(1 / 8))


def test_delong_of_one_model_twice_and_of_too_few_images():
    positive, scores = np.arange(10) % 2 == 0, np.arange(10.0)
    assert delong(positive, scores, scores).p_value == 1
    with pytest.raises(ValueError, match="1 positive"):
        delong(np.arange(10) == 0, scores, scores)


def test_mcnemar_is_a_binomial_test_of_the_images_that_one_alone_has_right():
    first = np.array([True] * 8 + [False] * 2 + [True] * 5)
    second = np.array([True, *[False] * 7, True, False, *[True] * 5])
    found = mcnemar(first, second)
    assert (found.only_first, found.only_second) == (7, 1)
    assert found.p_value == pytest.approx(2 * (1 + 8) / 2**8)
    assert mcnemar(first, first).p_value == 1
