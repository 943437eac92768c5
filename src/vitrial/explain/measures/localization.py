"""How well a map finds the lesion, and maps that know nothing to compare with."""

from __future__ import annotations

import math

import numpy as np
from sklearn.metrics import average_precision_score

MEASURES = ("pointing", "energy", "precision", "iou")


def localization(heat: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """Measure one map against a lesion's mask; higher is better in all.

    Args:
        heat: float (height, width), nonnegative: the map at the mask's size.
        mask: bool (height, width).

    Returns:
        Each in [0, 1], or NaN where the mask is empty or full:

        - `pointing`: whether the maximum lies on the lesion (Zhang et al. 2018, without tolerance);
          of several maxima, the share that does.
        - `energy`: the share of the map's sum on the lesion (Wang et al. 2020, sec. 4.3); a map of
          zeros counts as one that is the same everywhere.
        - `precision`: average precision of the pixels as ranked by the map.
        - `iou`: intersection over union of the lesion with as many of the highest pixels; of equal
          pixels at the border, each counts by the share of them that is taken.

    Raises:
        ValueError: The shapes differ, or a value is negative or not finite.
    """
    if heat.shape != mask.shape:
        raise ValueError(f"a map of {heat.shape} does not fit a mask of {mask.shape}")
    if not (np.isfinite(heat).all() and (heat >= 0).all()):
        raise ValueError("a map must be finite and nonnegative")
    if mask.all() or not mask.any():
        return dict.fromkeys(MEASURES, math.nan)
    total = heat.sum(dtype=np.float64)
    return {
        "pointing": float(mask[heat == heat.max()].mean()),
        "energy": float(heat[mask].sum(dtype=np.float64) / total if total else mask.mean()),
        "precision": float(average_precision_score(mask.ravel(), heat.ravel())),
        "iou": _iou_at_matched_area(heat, mask),
    }


def center_blob(side: int) -> np.ndarray:
    """A Gaussian in the middle, of a quarter of the side: float64 (side, side), 1 at most."""
    place = (np.arange(side) - (side - 1) / 2) / (side / 4)
    profile = np.exp(-(place**2) / 2)
    return np.outer(profile, profile)


def random_grid(seed: int, height: int, width: int) -> np.ndarray:
    """Noise, uniform in [0, 1): float64 (height, width)."""
    return np.random.default_rng(seed).random((height, width))


def _iou_at_matched_area(heat: np.ndarray, mask: np.ndarray) -> float:
    area = int(mask.sum())
    border = np.partition(heat.ravel(), -area)[-area]
    above, level = heat > border, heat == border
    share = (area - above.sum()) / level.sum()
    common = mask[above].sum() + share * mask[level].sum()
    return float(common / (2 * area - common))
