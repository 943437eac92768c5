"""Two arms compared by nothing but their predictions, wherever these were made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from vitrial.compare.intervals import Effect, nested_effect
from vitrial.compare.jackknife import Jackknife, jackknife
from vitrial.compare.prediction_tables import as_logits, problems_of
from vitrial.compare.verdict import Verdict, verdict
from vitrial.errors import DataError, Problem
from vitrial.metrics import ENDPOINTS
from vitrial.spelling import did_you_mean


@dataclass(frozen=True)
class Comparison:
    """What two arms' predictions on the same images say of their difference.

    Attributes:
        endpoint: The metric.
        margin: Smallest difference that matters.
        scores_a: Of each run of the first arm.
        scores_b: Of each run of the second.
        images: Number of test images.
        groups: Number of patients or lesions.
        effect: First less second, with its interval and variance components.
        verdict: In favor of the first arm where it is better; see `vitrial.compare.verdict`.
        probability_of_improvement: How often a run of the first beats a run of the second, over
            all pairs, ties by half (Agarwal et al., NeurIPS 2021).
        notes: What limits the answer, each a sentence.
    """

    endpoint: str
    margin: float
    scores_a: np.ndarray
    scores_b: np.ndarray
    images: int
    groups: int
    effect: Effect
    verdict: Verdict
    probability_of_improvement: float
    notes: list[str] = field(default_factory=list)

    @property
    def difference(self) -> float:
        """Mean of the first arm's scores less that of the second."""
        return self.effect.difference

    @property
    def low(self) -> float:
        """Lower end of the 95% interval of the difference."""
        return self.effect.low

    @property
    def high(self) -> float:
        """Upper end of the 95% interval of the difference."""
        return self.effect.high

    @property
    def p_value(self) -> float:
        """Two-sided p-value of no difference."""
        return self.effect.p_value

    @property
    def df(self) -> float:
        """Degrees of freedom of the interval."""
        return self.effect.df

    @property
    def standard_error(self) -> float:
        """Standard error of the difference."""
        return self.effect.standard_error

    @property
    def lower_is_better(self) -> bool:
        """Whether a negative difference is in favor of the first arm."""
        return not ENDPOINTS[self.endpoint].higher_is_better

    def sentence(self, a: str = "A", b: str = "B") -> str:
        """The verdict in one sentence, with its interval."""
        relation = {
            "superior": f"{a} is superior to {b}",
            "inferior": f"{a} is inferior to {b}",
            "equivalent": f"{a} and {b} are equivalent",
            "non-inferior": f"{a} is not inferior to {b}",
            "inconclusive": f"whether {a} or {b} is better remains undecided",
        }[self.verdict]
        interval = (
            "no interval"
            if math.isnan(self.low)
            else f"95% interval [{self.low:+.3f}, {self.high:+.3f}]"
        )
        models = min(len(self.scores_a), len(self.scores_b)) == 1
        return (
            f"Of these {'two trained models' if models else 'arms'}, {relation}: "
            f"{self.endpoint} {self.difference:+.3f}, {interval}, margin {self.margin:g}."
        )

    def report(self, a: str = "A", b: str = "B") -> str:
        """The verdict, what it rests on and what limits it, a line each."""
        runs = [
            f"{name}: {self.endpoint} {scores.mean():.3f} in {len(scores)} "
            f"run{'s' * (len(scores) > 1)}"
            for name, scores in ((a, self.scores_a), (b, self.scores_b))
        ]
        effect = self.effect
        return "\n".join(
            [
                self.sentence(a, b),
                *runs,
                f"{self.images} test images of {self.groups} groups; standard error "
                f"{effect.standard_error:.4f} (of which patients {effect.case_variance**0.5:.4f}), "
                f"{effect.df:.1f} degrees of freedom, p = {effect.p_value:.3f} for no difference.",
                f"Probability that a run of {a} beats a run of {b}: "
                f"{self.probability_of_improvement:.2f}.",
                *self.notes,
            ]
        )


def compare_predictions(
    a: Sequence[pd.DataFrame], b: Sequence[pd.DataFrame], *, endpoint: str, margin: float
) -> Comparison:
    """Compare two arms on the same test images.

    Args:
        a: Predictions of the first arm, a table for each repetition: `image`, `target` (class
            indices from 0), perhaps `group` (patient or lesion), and `logit_0` ..., or
            `probability_0` ..., or `score`, for two classes: the probability of class 1, or its
            log-odds where a value is outside 0 to 1.
        b: Of the second arm.
        endpoint: A metric's name, or kappa, auc or recall.
        margin: Smallest difference that matters.

    Returns:
        The difference with its interval and verdict.

    Raises:
        DataError: The tables cannot be compared, with all that is wrong.
    """
    short_names = {metric.short: name for name, metric in ENDPOINTS.items() if metric.short}
    endpoint = short_names.get(endpoint, endpoint)
    if endpoint not in ENDPOINTS:
        hint = did_you_mean(endpoint, ENDPOINTS)
        raise DataError(f"{endpoint} is not an endpoint{hint}: choose {', '.join(ENDPOINTS)}.", [])
    if not (math.isfinite(margin) and margin >= 0):
        raise DataError(f"The margin is {margin}: give a number of at least 0.", [])
    tables = {
        f"{arm}, file {i}": table
        for arm, of in (("A", a), ("B", b))
        for i, table in enumerate(of, 1)
    }
    problems = problems_of(tables, endpoint)
    if not a or not b:
        problems.append(Problem("arms", "an arm has no file", "give each at least one"))
    if problems:
        raise DataError("The predictions cannot be compared.", problems)
    first = next(iter(tables.values())).sort_values("image", ignore_index=True)
    logits = [as_logits(table.sort_values("image", ignore_index=True)) for table in tables.values()]
    groups = first["group"] if "group" in first else first["image"]
    result = jackknife(endpoint, first["target"].to_numpy(int), logits, groups.to_numpy())
    return compare_runs(result, len(a), endpoint, margin, len(first))


def compare_runs(
    runs: Jackknife, count: int, endpoint: str, margin: float, images: int
) -> Comparison:
    """Compare the first `count` runs of a jackknife with the others."""
    scores_a, scores_b = runs.scores[:count], runs.scores[count:]
    effect = nested_effect(scores_a, scores_b, runs.covariance)
    gain = ENDPOINTS[endpoint].gain
    ends = sorted((gain(effect.low), gain(effect.high)))
    return Comparison(
        endpoint=endpoint,
        margin=margin,
        scores_a=scores_a,
        scores_b=scores_b,
        images=images,
        groups=runs.groups,
        effect=effect,
        verdict=verdict(ends[0], ends[1], margin),
        probability_of_improvement=improvement(
            np.array([gain(score) for score in scores_a]),
            np.array([gain(score) for score in scores_b]),
        ),
        notes=_notes(runs),
    )


def improvement(a: np.ndarray, b: np.ndarray) -> float:
    """How often a run of the first beats one of the second, over all pairs, ties by half.

    Args:
        a: (runs,) gains of the first, where higher is better.
        b: (runs,) of the second.
    """
    difference = a[:, None] - b[None, :]
    return float((difference > 0).mean() + 0.5 * (difference == 0).mean())


def _notes(runs: Jackknife) -> list[str]:
    notes = []
    if np.isnan(runs.deleted).any():
        notes.append(
            "A class has all its test images in one group, so that its part of the uncertainty "
            "cannot be estimated: give the test set more patients of that class."
        )
    return notes
