"""What a trial can prove: power and smallest provable difference, from what makes runs differ.

The model is that of `vitrial.compare.intervals`: V = (S_a^2 + S_b^2) / J + tau^2. S^2, the variance
of an arm's scores over repetitions, is that of training and what each run's own errors on the test
images add; only the latter, and tau^2, shrink with more patients.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq
from scipy.stats import nct, norm
from scipy.stats import t as student

from vitrial.protocol.comparison import Claim

POWER = 0.8
"""What a trial should have: the usual least."""
MOST_REPETITIONS = 1000
"""As many as a protocol may have."""
WIDEST = 2.0
"""No difference of an endpoint in [-1, 1] is larger."""
MANY_DF = 1e4
"""From so many degrees of freedom on, the normal distribution is exact enough and never fails."""


@dataclass(frozen=True)
class Noise:
    """What makes the difference of two arms uncertain, as standard deviations.

    Attributes:
        training: Of each arm's true score over repetitions.
        own: Of each arm, what a run's own errors on the test images add.
        patients: tau: what the choice of patients adds that all runs of an arm share.
    """

    training: tuple[float, float]
    own: tuple[float, float]
    patients: float

    def with_patients(self, factor: float) -> Noise:
        """The same with so many times the patients in the test split."""
        shrunk = math.sqrt(factor)
        own = (self.own[0] / shrunk, self.own[1] / shrunk)
        return replace(self, own=own, patients=self.patients / shrunk)

    def of_runs(self) -> tuple[float, float]:
        """S^2 of each arm, the variance that its table shows."""
        first, second = (t**2 + o**2 for t, o in zip(self.training, self.own, strict=True))
        return first, second

    def error(self, repetitions: float) -> tuple[float, float]:
        """Standard error of the difference, and its degrees of freedom.

        Args:
            repetitions: Of each arm; of one, the answer is of these two trained models; infinity
                leaves the patients alone.
        """
        if repetitions == 1:
            return math.hypot(*self.own, self.patients), math.inf
        shares = [s2 / repetitions for s2 in self.of_runs()]
        variance = sum(shares) + self.patients**2
        scale = sum(share**2 / (repetitions - 1) for share in shares)
        return math.sqrt(variance), variance**2 / scale if scale > 0 else math.inf


@dataclass(frozen=True)
class Design:
    """A claim to be proved.

    Attributes:
        claim: What the treatment is claimed to be.
        margin: Smallest difference that matters.
        alpha: Two-sided error, divided already among the claims of a family.
        noise: What makes it uncertain.
        repetitions: Of each arm.
    """

    claim: Claim
    margin: float
    alpha: float
    noise: Noise
    repetitions: float

    @property
    def truth(self) -> float:
        """The true difference at which power is stated: 0, or for superiority the margin."""
        return self.margin if self.claim == "superior" else 0.0

    def power(self) -> float:
        """The probability that the claim is proved if the truth is `truth`."""
        error, df = self.noise.error(self.repetitions)
        if self.claim == "superior":
            return _exceeds(self.truth, error, df, self.alpha)
        one_sided = _exceeds(self.margin, error, df, self.alpha)
        # Both one-sided tests must hold; they fail on different sides (Bonferroni's bound).
        return max(0.0, 2 * one_sided - 1) if self.claim == "equivalent" else one_sided

    def smallest(self) -> float:
        """The smallest margin, or for superiority difference, that is proved with `POWER`."""

        def lacking(margin: float) -> float:
            return replace(self, margin=margin).power() - POWER

        if lacking(1e-9) >= 0:
            return 0.0
        return float(brentq(lacking, 1e-9, WIDEST)) if lacking(WIDEST) >= 0 else math.inf

    def repetitions_needed(self) -> int | None:
        """Repetitions of each arm that give `POWER`; None if no number does."""
        if replace(self, repetitions=math.inf).power() < POWER:
            return None

        def enough(repetitions: int) -> bool:
            return replace(self, repetitions=repetitions).power() >= POWER

        return _first(enough, 2, MOST_REPETITIONS)

    def patients_needed(self) -> float | None:
        """How many times as many test patients give `POWER`; None if no number does."""

        def enough(percent: int) -> bool:
            return replace(self, noise=self.noise.with_patients(percent / 100)).power() >= POWER

        found = _first(enough, 1, 100_000)
        return None if found is None else found / 100

    def by_repetitions(self) -> float:
        """The share of the variance that more repetitions would shrink, in [0, 1]."""
        error, _ = self.noise.error(self.repetitions)
        return 1 - self.noise.patients**2 / error**2 if error > 0 else 0.0


def noise_of(first: np.ndarray, second: np.ndarray, covariance: np.ndarray) -> Noise | None:
    """The noise of two arms that were run; None if an arm has a single run.

    Args:
        first: (J_a,) scores of the runs of the first arm.
        second: (J_b,) of the second.
        covariance: (J_a + J_b, J_a + J_b), over patients, of these runs in this order.
    """
    if min(len(first), len(second)) < 2 or not np.isfinite(covariance).all():
        return None
    a = len(first)
    training, own, within = [], [], []
    for scores, block in ((first, covariance[:a, :a]), (second, covariance[a:, a:])):
        j = len(scores)
        shared = (block.sum() - np.trace(block)) / (j * (j - 1))
        alone = max(float(np.trace(block) / j - shared), 0.0)
        within.append(float(shared))
        own.append(math.sqrt(alone))
        training.append(math.sqrt(max(float(np.var(scores, ddof=1)) - alone, 0.0)))
    tau2 = sum(within) - 2 * float(covariance[:a, a:].mean())
    both, alone_ = (training[0], training[1]), (own[0], own[1])
    return Noise(both, alone_, math.sqrt(max(tau2, 0.0)))


def _exceeds(distance: float, error: float, df: float, alpha: float) -> float:
    """Probability that a difference so far from a bound is shown to be beyond it."""
    if error == 0:
        return float(distance > 0)
    ratio = distance / error
    if df > MANY_DF:
        return float(norm.sf(norm.ppf(1 - alpha / 2) - ratio))
    if ratio > 30:  # where the noncentral distribution has no digits left, and power is 1
        return 1.0
    return float(nct.sf(student.ppf(1 - alpha / 2, df), df, ratio))


def _first(enough: Callable[[int], bool], low: int, high: int) -> int | None:
    """A number that is enough though one less is not; None if the highest is not enough.

    The smallest there is, unless enough is followed by too little: fewer degrees of freedom can
    cost a trial of two or three repetitions more than twice the patients bring.
    """
    if not enough(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low
