"""Intervals that respect patients and lesions: a bootstrap of whole groups."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

BLOCK = 500
"""Draws at a time, which bounds memory; intervals over as many groups share them."""


@dataclass(frozen=True)
class Interval:
    """A mean with its interval.

    Attributes:
        mean: Over images.
        low: Lower end; NaN with fewer than two groups.
        high: Upper end; likewise.
        n: Images.
        groups: Groups.
    """

    mean: float
    low: float
    high: float
    n: int
    groups: int


def grouped_mean(
    values: np.ndarray, groups: np.ndarray, seed: int, resamples: int = 2_000, level: float = 0.95
) -> Interval:
    """The mean over images, with a percentile interval over resampled groups.

    Groups are drawn whole, with replacement, as many as there are (Field and Welsh 2007, the
    "cluster bootstrap"): images of a patient resemble each other, and count for less than as many
    patients.

    Args:
        values: (n,) a finite number for each image.
        groups: (n,) the group of each.
        seed: Of the draws; the order of the images is irrelevant.
        resamples: How many draws, rounded up to 500s.
        level: Of the interval, in (0, 1).

    Raises:
        ValueError: There is no value, or one that is not finite.
    """
    values = np.asarray(values, dtype=np.float64)
    if not len(values) or not np.isfinite(values).all():
        raise ValueError("the mean of no values, or of values that are not finite")
    names, member = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    order = np.lexsort((values, member))  # sums of floats depend on their order
    sums = np.bincount(member[order], weights=values[order])
    counts = np.bincount(member)
    mean, k = float(sums.sum() / counts.sum()), len(names)
    if k < 2:
        return Interval(mean, math.nan, math.nan, len(values), k)
    blocks = (_draws(k, seed, number) for number in range(-(-resamples // BLOCK)))
    means = np.concatenate([(times @ sums) / (times @ counts) for times in blocks])
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean, float(low), float(high), len(values), k)


@lru_cache(maxsize=4)
def _draws(groups: int, seed: int, number: int) -> np.ndarray:
    """How often each group is drawn: uint16 (BLOCK, groups), each row adding up to `groups`."""
    generator = np.random.default_rng([seed, number])
    return generator.multinomial(groups, np.full(groups, 1 / groups), BLOCK).astype(np.uint16)
