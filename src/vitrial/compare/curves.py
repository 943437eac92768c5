"""Learning curves over data size: where one arm catches up with another, and what more data give.

Every arm is trained on nested parts of the training images. A cell is an arm at one size; all runs
of all cells are scored on one test set, so that their means vary together with its patients. One
covariance matrix of the means, over repetitions and patients, serves the curves' intervals, the
size where two curves cross, and the power law.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import curve_fit
from scipy.stats import chi2

from vitrial.compare.intervals import LEVEL, Effect, single_effect

DRAWS = 20_000
"""Curves that are drawn for the interval of a crossing: if they are normal, its ends then have a
standard error of 0.5% of its width."""
FEWEST_SIZES = 4
"""A power law has three parameters: from fewer sizes nothing would be left to contradict it."""
POOR = 0.05
"""A fit whose residuals would be this rare if it were right is refused."""


@dataclass(frozen=True)
class Curve:
    """The endpoint of one arm over the number of training images.

    Attributes:
        arm: Its name.
        images: (sizes,) training images, rising.
        effects: Of each size the mean over repetitions with its interval.
        cells: (sizes,) places of its means in the covariance of all means.
    """

    arm: str
    images: np.ndarray
    effects: tuple[Effect, ...]
    cells: np.ndarray

    @property
    def means(self) -> np.ndarray:
        """(sizes,) means over repetitions."""
        return np.array([effect.difference for effect in self.effects])


def learning_curves(
    arms: Sequence[str], images: Sequence[int], scores: np.ndarray, covariance: np.ndarray
) -> tuple[list[Curve], np.ndarray]:
    """Curves of all arms, and the covariance of their means.

    Args:
        arms: (runs,) the arm of each run.
        images: (runs,) training images of each run.
        scores: (runs,) on one test set.
        covariance: (runs, runs), over patients.

    Returns:
        A curve per arm, and (cells, cells) the covariance of all means: S^2 / J of repetitions on
        the diagonal, what patients add everywhere.
    """
    cells: dict[tuple[str, int], list[int]] = {}
    for run, cell in enumerate(zip(arms, images, strict=True)):
        cells.setdefault(cell, []).append(run)
    ordered = sorted(cells, key=lambda cell: (list(arms).index(cell[0]), cell[1]))
    runs = [cells[cell] for cell in ordered]
    effects = [single_effect(scores[r], covariance[np.ix_(r, r)]) for r in runs]
    joint = np.array([[covariance[np.ix_(a, b)].mean() for b in runs] for a in runs])
    np.fill_diagonal(joint, [effect.standard_error**2 for effect in effects])
    curves = []
    for arm in dict.fromkeys(arms):
        places = [place for place, cell in enumerate(ordered) if cell[0] == arm]
        sizes = np.array([ordered[place][1] for place in places])
        own = tuple(effects[place] for place in places)
        curves.append(Curve(arm, sizes, own, np.array(places)))
    return curves, _positive(joint)


@dataclass(frozen=True)
class CatchUp:
    """The size of the training set from which one arm scores no lower than another.

    Attributes:
        images: The size; NaN where it is not within the data.
        low: Lower end of the 95% interval; the smallest size trained on where it may lie below.
        high: Upper end; infinite where it may lie beyond the data.
        probability: That it lies within the data.
    """

    images: float
    low: float
    high: float
    probability: float

    def sentence(self, arm: str, other: str) -> str:
        """What it means."""
        if math.isnan(self.images):
            return (
                f"{arm} does not catch up with {other} within the data "
                f"(probability that it does: {self.probability:.2f})."
            )
        high = f"{self.high:,.0f}]" if math.isfinite(self.high) else "beyond the data]"
        return (
            f"{arm} catches up with {other} at {self.images:,.0f} training images "
            f"[{self.low:,.0f}, {high}."
        )


def catch_up(
    arm: Curve, other: Curve, covariance: np.ndarray, higher_is_better: bool = True
) -> CatchUp:
    """Where a curve reaches another for good, straight lines in log size between the sizes.

    The interval is of the crossings of drawn curves: each mean varies over repetitions by a t
    distribution of its own, and all together over patients.

    Args:
        arm: The curve that catches up.
        other: The curve that it is compared with, of the same sizes.
        covariance: Of all means, see `learning_curves`.
        higher_is_better: Direction of the endpoint.
    """
    if not np.array_equal(arm.images, other.images):
        raise ValueError("the two curves have different sizes")
    sign = 1 if higher_is_better else -1
    gain = sign * (arm.means - other.means)
    contrast = np.zeros((len(gain), len(covariance)))
    rows = np.arange(len(gain))
    contrast[rows, arm.cells], contrast[rows, other.cells] = sign, -sign
    rng = np.random.default_rng(0)
    shares = np.zeros(len(covariance))
    noise = np.zeros((DRAWS, len(covariance)))
    for curve in (arm, other):
        for cell, effect in zip(curve.cells, curve.effects, strict=True):
            (s2,), (runs,) = effect.repetition_variance, effect.repetitions
            if runs > 1:
                shares[cell] = s2 / runs
                noise[:, cell] = math.sqrt(shares[cell]) * rng.standard_t(runs - 1, DRAWS)
    patients = _positive(contrast @ (covariance - np.diag(shares)) @ contrast.T)
    drawn = noise @ contrast.T
    drawn += rng.multivariate_normal(np.zeros(len(gain)), patients, DRAWS, method="eigh")
    crossings = _crossings(gain + drawn, arm.images)
    low, high = np.quantile(crossings, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="nearest")
    (found,) = _crossings(gain[None], arm.images)
    within = float(np.isfinite(crossings).mean())
    return CatchUp(found if math.isfinite(found) else math.nan, float(low), float(high), within)


def _crossings(gains: np.ndarray, images: np.ndarray) -> np.ndarray:
    """From which size on each row of gains (draws, sizes) is not negative; infinite for none."""
    sizes = np.log(images)
    behind = gains < 0
    last = np.where(behind.any(axis=1), gains.shape[1] - 1 - behind[:, ::-1].argmax(axis=1), -1)
    found = np.full(len(gains), float(images[0]))
    found[last == gains.shape[1] - 1] = math.inf
    between = (last >= 0) & (last < gains.shape[1] - 1)
    k, row = last[between], np.flatnonzero(between)
    before, after = gains[row, k], gains[row, k + 1]
    share = before / (before - after)
    found[between] = np.exp(sizes[k] + share * (sizes[k + 1] - sizes[k]))
    return found


@dataclass(frozen=True)
class PowerLaw:
    """score(n) = limit - scale * n^-exponent, for n in units of the largest size.

    Attributes:
        limit: The score that the curve tends to.
        scale: How far below that it is at the largest size.
        exponent: How fast it gets there.
        error: (3,) standard errors of the three.
        p_value: How likely residuals at least this large are if the law holds.
        doubled: The score at twice the largest size.
        doubled_error: Its standard error.
    """

    limit: float
    scale: float
    exponent: float
    error: tuple[float, float, float]
    p_value: float
    doubled: float
    doubled_error: float


def power_law(
    curve: Curve, covariance: np.ndarray, higher_is_better: bool = True
) -> PowerLaw | str:
    """Fit a power law (Hestness et al. 2017, arXiv 1712.00409) by generalized least squares.

    Returns:
        The law, or in words why there is none: too few sizes, a score that does not grow, residuals
        larger than chance allows, or an exponent that may as well be 0.
    """
    sizes = len(curve.images)
    if sizes < FEWEST_SIZES:
        return f"no power law is fitted to {sizes} sizes: {FEWEST_SIZES} are needed"
    sign = 1.0 if higher_is_better else -1.0
    gain, n = sign * curve.means, curve.images / curve.images[-1]
    variance = covariance[np.ix_(curve.cells, curve.cells)]
    variance = variance + np.eye(sizes) * max(1e-12, 1e-6 * float(np.trace(variance)) / sizes)
    rise = gain[-1] - gain[0]
    if rise <= 0:
        return "no power law is fitted: the score does not grow with the data"
    start = (gain[-1] + rise / 2, rise / 2, 0.5)
    bounds = ([-np.inf, 0, 1e-3], [np.inf, np.inf, 5])
    try:
        found, errors = curve_fit(
            _law, n, gain, start, sigma=variance, absolute_sigma=True, bounds=bounds
        )
    except RuntimeError:
        return "no power law is fitted: the fit does not converge"
    residual = gain - _law(n, *found)
    p = float(chi2.sf(residual @ np.linalg.solve(variance, residual), sizes - 3))
    if p < POOR:
        return f"no power law is fitted: the curve is no power law (p = {p:.2g})"
    error = np.sqrt(np.diag(errors))
    limit, scale, exponent = (float(value) for value in found)
    if not np.isfinite(error).all() or exponent < 1.96 * error[2]:
        return "no power law is fitted: the sizes do not say how fast the score still grows"
    slope = np.array([1, -(2.0**-exponent), scale * 2.0**-exponent * math.log(2)])
    return PowerLaw(
        sign * limit,
        sign * scale,
        exponent,
        (float(error[0]), float(error[1]), float(error[2])),
        p,
        sign * float(_law(np.array([2.0]), *found)[0]),
        float(np.sqrt(slope @ errors @ slope)),
    )


def _law(n: np.ndarray, limit: float, scale: float, exponent: float) -> np.ndarray:
    return limit - scale * n**-exponent


def _positive(matrix: np.ndarray) -> np.ndarray:
    """The nearest covariance matrix: estimated blocks may not quite fit together."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return np.asarray((vectors * np.maximum(values, 0)) @ vectors.T)
