"""How sharp a map is: how much of the image it covers, and how small a thing it can show."""

from __future__ import annotations

import math

import numpy as np
from scipy.signal import fftconvolve
from scipy.stats import entropy as shannon

FLAT = 1e-6
"""A map that varies by less than this share of its largest value is constant but for float32's
rounding."""


def entropy(heat: np.ndarray) -> float:
    """Shannon's entropy of a map as a distribution over pixels, as a share of the largest.

    Args:
        heat: float (height, width), nonnegative.

    Returns:
        In [0, 1]: 0 if all lies on one pixel, 1 if it is the same everywhere; a map of zeros counts
        as such.
    """
    if not heat.any():
        return 1.0
    return float(shannon(heat.ravel().astype(np.float64)) / math.log(heat.size))


def detail(heat: np.ndarray) -> float:
    """Width at half height of a map's autocorrelation, averaged over directions, in pixels.

    It is about the size of the smallest thing that the map can show. A Gaussian blob of standard
    deviation s gives about 2 sqrt(2 ln 2) sqrt(2) s, the width of its correlation with itself.

    Args:
        heat: float (height, width).

    Returns:
        At most twice the larger side; the larger side for a constant map, which shows nothing.
    """
    values = heat.astype(np.float64)
    centered = values - values.mean()
    if np.abs(centered).max() <= FLAT * np.abs(values).max():
        return float(max(heat.shape))
    correlation = fftconvolve(centered, centered[::-1, ::-1])
    y, x = (np.arange(n) - n // 2 for n in correlation.shape)
    distance = np.hypot(y[:, None], x[None]).ravel()
    ring = np.round(distance).astype(int)
    # A ring's pixels are not at its number from the middle, the first's at 1.2 on average.
    radius = np.bincount(ring, distance) / np.bincount(ring)
    profile = np.bincount(ring, correlation.ravel()) / np.bincount(ring) / correlation.max()
    first = int(np.argmax(profile < 0.5))
    crossing = profile[[first, first - 1]], radius[[first, first - 1]]
    return float(2 * np.interp(0.5, *crossing))
