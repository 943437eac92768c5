"""What comes of acting on one class: an operating point chosen on validation, and net benefit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import expit

from vitrial.compare.aligned import Aligned, Pair, effects
from vitrial.compare.jackknife import averaged, delete_from_sums, members, ratio

Required = Literal["specificity", "sensitivity"]
THRESHOLDS = (0.01, 0.02, 0.05, *(round(0.1 * i, 1) for i in range(1, 10)))
"""Probabilities from which one would act, of the decision curve."""


def choose_threshold(
    scores: np.ndarray, positive: np.ndarray, required: Required, level: float
) -> float:
    """The threshold above which an image counts as positive, chosen on validation.

    It is the one that reaches what is required and gives away as little as possible of the other.

    Args:
        scores: (n,) higher for what is more likely positive.
        positive: (n,) whether an image is.
        required: What has to be reached.
        level: At least so much of it, in (0, 1].
    """
    if required == "specificity":
        negatives = np.sort(scores[~positive])
        return float(negatives[_rank(level, len(negatives))])
    falling = np.sort(scores[positive])[::-1]
    return float(np.nextafter(falling[_rank(level, len(falling))], -np.inf))


def _rank(level: float, n: int) -> int:
    """Index of the last of the images that have to be right, with room for rounding."""
    return max(math.ceil(level * n - 1e-9) - 1, 0)


def operating_table(
    test: Aligned,
    val: Aligned,
    c: int,
    pairs: Sequence[Pair],
    required: Required = "specificity",
    level: float = 0.9,
) -> pd.DataFrame:
    """What each run's threshold, chosen on validation, gives on test.

    Args:
        test: What is judged.
        val: What thresholds are chosen on.
        c: The class that counts as positive, against all others.
        pairs: Of arms.
        required: What has to be reached on validation.
        level: At least so much of it.

    Returns:
        Columns `measure` (sensitivity, specificity, positive and negative predictive value) and
        those of `vitrial.compare.aligned.effects`. Thresholds are each run's own; that other
        validation images would give others shows in the repetitions alone.
    """
    positive = val.targets == c
    thresholds = [choose_threshold(s, positive, required, level) for s in val.log_odds(c)]
    called = test.log_odds(c) > np.array(thresholds)[:, None]
    truth = np.broadcast_to(test.targets == c, called.shape)
    measures = {
        "sensitivity": (called & truth, truth),
        "specificity": (~called & ~truth, ~truth),
        "positive predictive value": (called & truth, called),
        "negative predictive value": (~called & ~truth, ~called),
    }
    member = members(test.groups)
    tables = []
    for measure, counts in measures.items():
        values = np.stack(counts, axis=-1).astype(np.float64)
        scored = delete_from_sums(values, ratio, member)
        tables.append(effects(scored, test.arms, pairs).assign(measure=measure))
    table = pd.concat(tables, ignore_index=True)
    return table[["measure", *table.columns[:-1]]]


def net_benefit_table(
    runs: Aligned, c: int, pairs: Sequence[Pair], thresholds: Sequence[float] = THRESHOLDS
) -> pd.DataFrame:
    """The decision curve: true positives less false ones at what each is worth, per image.

    Net benefit at threshold probability p is TP / n - FP / n * p / (1 - p) (Vickers and Elkin,
    Medical Decision Making 2006, eq. 1).

    Args:
        runs: Test predictions, best calibrated.
        c: The class that is acted on.
        pairs: Of arms.
        thresholds: Probabilities from which one would act.

    Returns:
        Columns `threshold`, those of `vitrial.compare.aligned.effects`, and `act_on_all`, the net
        benefit of acting on every image; that of acting on none is 0.
    """
    probability = expit(runs.log_odds(c))
    truth = runs.targets == c
    member, share = members(runs.groups), float(truth.mean())
    tables = []
    for p in thresholds:
        odds = p / (1 - p)
        gain = np.where(probability >= p, np.where(truth, 1.0, -odds), 0.0)
        scored = delete_from_sums(averaged(gain), ratio, member)
        table = effects(scored, runs.arms, pairs)
        tables.append(table.assign(threshold=p, act_on_all=share - (1 - share) * odds))
    table = pd.concat(tables, ignore_index=True)
    return table[["threshold", *table.columns[:-2], "act_on_all"]]
