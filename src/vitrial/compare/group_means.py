"""Means over images with intervals that count patients and repetitions at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

FEWEST_GROUPS = 20
"""With fewer patients or lesions there is no interval. By `benchmarks/explanation_intervals.py`, on
real lesions."""
LEVEL = 0.95
NO_WIDTH = 1e-9
"""A standard error that is only rounding: every group says the same, and how far another one would
be from it is unknown."""


@dataclass(frozen=True)
class Interval:
    """A mean, or a difference of means, with its 95% interval.

    Attributes:
        mean: Over images and repetitions.
        low: Lower end; NaN with fewer than `FEWEST_GROUPS` groups, or where all groups are alike.
        high: Upper end; likewise.
        p: Two-sided, of the mean being 0; NaN with fewer groups.
        n: Images.
        groups: Groups.
        repetitions: Runs of the arm with fewest. Of one, interval and p speak of that trained
            model alone.
    """

    mean: float
    low: float
    high: float
    p: float
    n: int
    groups: int
    repetitions: int


def mean_over_groups(values: np.ndarray, groups: np.ndarray) -> Interval:
    """The mean of an arm's measure. See `difference_over_groups`.

    Args:
        values: (runs, n) a finite number for each of the arm's runs and each image.
        groups: (n,) the patient or lesion of each image.

    Raises:
        ValueError: There is no value, or one that is not finite.
    """
    return _interval([values], groups)


def difference_over_groups(first: np.ndarray, second: np.ndarray, groups: np.ndarray) -> Interval:
    """The mean of one arm less that of another, on the same images.

    Repetitions are nested in arms, and all runs share the images, as readers share cases in
    multi-reader multi-case studies (Obuchowski and Rockette 1995; Hillis 2007). With J runs of an
    arm, S^2 the variance of their means and C the covariances of all runs' means by the jackknife
    over whole groups: V = S_a^2 / J_a + S_b^2 / J_b + tau^2, where tau^2 = c_a + c_b - 2 c_ab, at
    least 0, is what runs share because of the images (c_a: mean covariance of two runs of arm a).
    S^2 holds each run's own share of that chance already. Degrees of freedom by Satterthwaite:
    J - 1 of each S^2 / J, the number of groups less 1 of tau^2. An arm with one run has no S^2.

    Args:
        first: (runs, n) a finite number for each of the arm's runs and each image.
        second: (runs, n) of the other arm; it may have another number of runs.
        groups: (n,) the patient or lesion of each image.

    Raises:
        ValueError: There is no value, or one that is not finite.
    """
    return _interval([first, second], groups)


def _interval(arms: Sequence[np.ndarray], groups: np.ndarray) -> Interval:
    values = np.concatenate([np.asarray(arm, dtype=np.float64) for arm in arms])
    if not values.size or not np.isfinite(values).all():
        raise ValueError("the mean of no values, or of values that are not finite")
    names, member = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    k, n = len(names), values.shape[1]
    runs = [len(arm) for arm in arms]
    parts = np.split(np.arange(len(values)), np.cumsum(runs)[:-1])
    scores, covariance = _jackknife(values, member, k)
    means = [float(scores[part].mean()) for part in parts]
    mean = means[0] - sum(means[1:])
    if k < FEWEST_GROUPS:
        return Interval(mean, math.nan, math.nan, math.nan, n, k, min(runs))

    spread = [float(scores[p].var(ddof=1)) / len(p) if len(p) > 1 else 0.0 for p in parts]
    shared = sum(_between_runs(covariance[np.ix_(part, part)]) for part in parts)
    if len(parts) == 2:
        shared -= 2 * float(covariance[np.ix_(*parts)].mean())
    shared = max(shared, 0.0)
    variance = sum(spread) + shared
    error = math.sqrt(variance)
    if error < NO_WIDTH:
        # All groups agree in sign by mere chance as seldom as all of so many coins do.
        p = 2.0 ** (1 - k) if abs(mean) > NO_WIDTH else 1.0
        return Interval(mean, math.nan, math.nan, p, n, k, min(runs))
    parts_of_df = sum(s**2 / (j - 1) for s, j in zip(spread, runs, strict=True) if j > 1)
    df = variance**2 / (parts_of_df + shared**2 / (k - 1))
    reach = float(student.ppf((1 + LEVEL) / 2, df)) * error
    p = float(2 * student.sf(abs(mean) / error, df))
    return Interval(mean, mean - reach, mean + reach, p, n, k, min(runs))


def _jackknife(values: np.ndarray, member: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Means of runs (runs,), and their covariances (runs, runs) by deleting each of k groups."""
    counts = np.bincount(member, minlength=k)
    sums = np.stack([np.bincount(member, weights=run, minlength=k) for run in values])
    total, n = sums.sum(axis=1, keepdims=True), len(member)
    if k < 2:
        return total[:, 0] / n, np.full((len(values), len(values)), math.nan)
    deleted = (total - sums) / (n - counts)
    deviation = deleted - deleted.mean(axis=1, keepdims=True)
    return total[:, 0] / n, (k - 1) / k * deviation @ deviation.T


def _between_runs(covariance: np.ndarray) -> float:
    """Mean covariance of two runs of an arm; of a single run its variance."""
    runs = len(covariance)
    if runs == 1:
        return float(covariance[0, 0])
    return float((covariance.sum() - np.trace(covariance)) / (runs * (runs - 1)))
