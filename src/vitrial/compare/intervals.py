"""The difference of two arms with an interval that counts repetitions and patients at once.

Radiology compares imaging systems by several readers who read the same cases (Obuchowski and
Rockette, Communications in Statistics 1995; Hillis, Statistics in Medicine 2007 and 2014). Here
repetitions take the place of readers and patients that of cases: each repetition was trained by
one arm alone, so that readers are nested in tests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

LEVEL = 0.95


@dataclass(frozen=True)
class Effect:
    """A difference of two arms, first less second, or of one arm from zero.

    Attributes:
        difference: Of the means over repetitions.
        standard_error: Its standard error, of repetitions and patients.
        df: Degrees of freedom; infinite where only patients vary.
        low: Lower end of the 95% interval.
        high: Upper end.
        repetition_variance: (arms,) S^2, the variance of each arm's scores over its repetitions;
            it includes what each run's own errors on the test images add. NaN for one repetition.
        covariance_within: (arms,) Mean covariance, over patients, of two runs of an arm.
        covariance_between: The same of two runs of different arms; 0 for one arm.
        case_variance: tau^2, what patients add that all runs of an arm share.
        repetitions: (arms,) Number of runs.
    """

    difference: float
    standard_error: float
    df: float
    low: float
    high: float
    repetition_variance: tuple[float, ...]
    covariance_within: tuple[float, ...]
    covariance_between: float
    case_variance: float
    repetitions: tuple[int, ...]

    def p_above(self, bound: float) -> float:
        """One-sided p-value of the claim that the true difference is above `bound`."""
        return self._tail(self.difference - bound)

    def p_below(self, bound: float) -> float:
        """One-sided p-value of the claim that the true difference is below `bound`."""
        return self._tail(bound - self.difference)

    @property
    def p_value(self) -> float:
        """Two-sided p-value of no difference."""
        return min(1.0, 2 * min(self.p_above(0.0), self.p_below(0.0)))

    def _tail(self, distance: float) -> float:
        if math.isnan(self.standard_error):
            return math.nan
        if self.standard_error == 0:
            return 0.0 if distance > 0 else 1.0
        return float(student.sf(distance / self.standard_error, self.df))


def nested_effect(
    first: np.ndarray, second: np.ndarray, covariance: np.ndarray, level: float = LEVEL
) -> Effect:
    """The difference of two arms whose repetitions are runs of their own.

    With J runs an arm, V = S_a^2 / J_a + S_b^2 / J_b + tau^2, where
    tau^2 = max(c_a + c_b - 2 c_ab, 0) is what the patients add beyond each run's own share, which
    S^2 holds already. Degrees of freedom by Satterthwaite: V^2 over the sum of
    S^4 / (J^2 (J - 1)). An arm with one run has no S^2, nor has one whose runs are identical: its
    runs then count as these trained models, with all of the patients' variance.

    Args:
        first: (J_a,) scores of the runs of the first arm.
        second: (J_b,) scores of the runs of the second.
        covariance: (J_a + J_b, J_a + J_b), over patients, of these runs in this order.
        level: Of the interval, in (0, 1).
    """
    a = len(first)
    blocks = covariance[:a, :a], covariance[a:, a:]
    between = float(covariance[:a, a:].mean())
    return _effect((first, second), blocks, between, float(first.mean() - second.mean()), level)


def single_effect(scores: np.ndarray, covariance: np.ndarray, level: float = LEVEL) -> Effect:
    """The score of one arm with its interval: V = S^2 / J + max(c, 0).

    Args:
        scores: (J,) of its runs.
        covariance: (J, J), over patients.
        level: Of the interval, in (0, 1).
    """
    return _effect((scores,), (covariance,), 0.0, float(scores.mean()), level)


def _effect(
    arms: tuple[np.ndarray, ...],
    blocks: tuple[np.ndarray, ...],
    between: float,
    difference: float,
    level: float,
) -> Effect:
    counts = tuple(len(scores) for scores in arms)
    variances = tuple(float(np.var(s, ddof=1)) if len(s) > 1 else math.nan for s in arms)
    within = tuple(_shared(block) for block in blocks)
    tau2 = max(sum(within) - 2 * between, 0.0)
    shares = [0.0 if math.isnan(s2) else s2 / j for s2, j in zip(variances, counts, strict=True)]
    variance = sum(shares) + tau2
    scale = sum(share**2 / (j - 1) for share, j in zip(shares, counts, strict=True) if j > 1)
    df = variance**2 / scale if scale > 0 else math.inf
    error = math.sqrt(variance)
    reach = float(student.ppf((1 + level) / 2, df)) * error
    low, high = difference - reach, difference + reach
    return Effect(difference, error, df, low, high, variances, within, between, tau2, counts)


def _shared(block: np.ndarray) -> float:
    """Mean covariance of two runs of an arm; of a single run its variance over patients."""
    runs = len(block)
    if runs == 1:
        return float(block[0, 0])
    return float((block.sum() - np.trace(block)) / (runs * (runs - 1)))


@dataclass(frozen=True)
class Factorial:
    """Two arms whose repetitions share more than the test set, such as the split of each.

    Attributes:
        difference: First less second.
        standard_error: Its standard error.
        f: F statistic of no difference, with 1 and `df` degrees of freedom.
        df: Denominator degrees of freedom by Hillis.
        p_value: Two-sided.
        low: Lower end of the 95% interval.
        high: Upper end.
    """

    difference: float
    standard_error: float
    f: float
    df: float
    p_value: float
    low: float
    high: float


def factorial_effect(scores: np.ndarray, covariance: np.ndarray, level: float = LEVEL) -> Factorial:
    """The difference of two arms that were run under the same conditions, repetition by repetition.

    F = MS(T) / (MS(T:R) + J max(Cov2 - Cov3, 0)) (Hillis, Statistics in Medicine 2007, eqs. 8 and
    12), where Cov2 is the covariance of two repetitions of an arm and Cov3 that of two repetitions
    of different arms.

    Args:
        scores: (2, J) by arm and repetition, J at least 2.
        covariance: (2 J, 2 J), over patients, of the runs in that order.
        level: Of the interval, in (0, 1).
    """
    arms, j = scores.shape
    table = covariance.reshape(arms, j, arms, j)
    apart = ~np.eye(j, dtype=bool)
    cov2 = float(np.mean([table[i, :, i][apart].mean() for i in range(arms)]))
    cov3 = float(np.mean([table[0, :, 1][apart].mean(), table[1, :, 0][apart].mean()]))
    by_arm, by_run = scores.mean(axis=1), scores.mean(axis=0)
    ms_arm = j * float(np.var(by_arm, ddof=1))
    rest = scores - by_arm[:, None] - by_run[None, :] + scores.mean()
    ms_rest = float((rest**2).sum()) / ((arms - 1) * (j - 1))
    denominator = ms_rest + j * max(cov2 - cov3, 0.0)
    df = denominator**2 / (ms_rest**2 / ((arms - 1) * (j - 1))) if ms_rest > 0 else math.inf
    error = math.sqrt(2 * denominator / j)
    difference = float(by_arm[0] - by_arm[1])
    f = ms_arm / denominator if denominator > 0 else math.inf * (ms_arm > 0)
    p = 2 * float(student.sf(math.sqrt(f), df))
    reach = float(student.ppf((1 + level) / 2, df)) * error
    return Factorial(difference, error, f, df, p, difference - reach, difference + reach)
