"""Calibration: whether a stated probability comes true as often as it says."""

from __future__ import annotations

import numpy as np

BINS = 15
"""Of confidence, as Guo et al. have them."""


def bin_of(confidence: np.ndarray, bins: int = BINS) -> np.ndarray:
    """The number of the bin (k / bins, (k + 1) / bins] of each probability in [0, 1]."""
    return np.asarray(np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1))


def expected_calibration_error(
    targets: np.ndarray, probabilities: np.ndarray, bins: int = BINS
) -> float:
    """Mean gap between confidence and accuracy over equally wide bins of confidence.

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, eq. 3.

    Args:
        targets: (n,) class indices.
        probabilities: (n, classes), rows adding up to 1.
        bins: Number of bins (k / bins, (k + 1) / bins].

    Returns:
        A value in [0, 1]; 0 is perfect.
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == targets
    gap = np.bincount(bin_of(confidence, bins), weights=correct - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(targets))
