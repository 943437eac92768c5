"""Two trained models on the same images, by the two tests that reviewers know.

Both take images as independent and say nothing of other runs of the same arms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, norm

from vitrial.compare.jackknife import placements


@dataclass(frozen=True)
class DeLong:
    """Two areas under ROC curves of the same images.

    Attributes:
        areas: (2,).
        covariance: (2, 2) of the areas.
        z: Of the difference, first less second.
        p_value: Two-sided, of no difference.
        low: Lower end of the 95% interval of the difference.
        high: Upper end.
    """

    areas: np.ndarray
    covariance: np.ndarray
    z: float
    p_value: float
    low: float
    high: float


def delong(positive: np.ndarray, first: np.ndarray, second: np.ndarray) -> DeLong:
    """DeLong's test of two correlated areas (DeLong et al., Biometrics 1988).

    Placement values come from ranks (Sun and Xu, IEEE Signal Processing Letters 2014).

    Args:
        positive: (n,) whether an image is positive; at least two are, and two are not.
        first: (n,) scores of the first model, higher for what is more likely positive.
        second: (n,) of the second.

    Raises:
        ValueError: There are fewer than two positive or negative images.
    """
    m, n = int(positive.sum()), int((~positive).sum())
    if min(m, n) < 2:
        raise ValueError(f"DeLong's test of {m} positive and {n} negative images")
    placement, _ = placements(np.stack([first, second]).astype(np.float64), positive)
    v10, v01 = placement[:, positive] / n, placement[:, ~positive] / m
    covariance = np.cov(v10) / m + np.cov(v01) / n
    areas = v10.mean(axis=1)
    difference = float(areas[0] - areas[1])
    error = float(np.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0.0)))
    z = difference / error if error > 0 else np.inf * np.sign(difference) if difference else 0.0
    reach = float(norm.ppf(0.975)) * error
    p = float(2 * norm.sf(abs(z)))
    return DeLong(areas, covariance, float(z), p, difference - reach, difference + reach)


@dataclass(frozen=True)
class McNemar:
    """Two models' right and wrong answers.

    Attributes:
        only_first: Images that the first alone has right.
        only_second: Images that the second alone has right.
        p_value: Exact, two-sided, of both being right as often.
    """

    only_first: int
    only_second: int
    p_value: float


def mcnemar(first_right: np.ndarray, second_right: np.ndarray) -> McNemar:
    """McNemar's exact test: a binomial test of the images that one alone has right.

    Args:
        first_right: (n,) whether the first model answers right.
        second_right: (n,) likewise.
    """
    only_first = int((first_right & ~second_right).sum())
    only_second = int((second_right & ~first_right).sum())
    differ = only_first + only_second
    p = float(binomtest(only_first, differ).pvalue) if differ else 1.0
    return McNemar(only_first, only_second, p)
