"""Calibration of probabilities, before and after a temperature fitted on validation.

Guo et al., "On Calibration of Modern Neural Networks", ICML 2017: all logits of a run are divided
by one number, which changes no answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar

from vitrial.compare.aligned import Aligned, Pair, effects
from vitrial.compare.jackknife import Jackknife
from vitrial.metrics.probabilities import BINS, bin_of, log_loss, probabilities_of

MEASURES = ("calibration_error", "brier", "log_loss")
RANGE = (0.01, 100.0)
"""Temperatures that are looked among: far beyond any that a network needs."""


def fit_temperature(targets: np.ndarray, logits: np.ndarray) -> float:
    """The temperature that makes the log loss of logits (n, classes) smallest."""
    found = minimize_scalar(
        lambda log: log_loss(targets, logits / math.exp(log)),
        bounds=tuple(map(math.log, RANGE)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(math.exp(found.x))


def calibrated(test: Aligned, val: Aligned) -> tuple[Aligned, np.ndarray]:
    """Test predictions divided by each run's temperature, and the temperatures (runs,)."""
    found = np.array([fit_temperature(val.targets, run) for run in val.logits])
    return test.with_logits(test.logits / found[:, None, None]), found


def calibration_table(
    test: Aligned, after: Aligned, temperatures: np.ndarray, pairs: Sequence[Pair]
) -> pd.DataFrame:
    """Calibration error, Brier score and log loss before and after, and what the step gained.

    The temperatures are taken as given: that other validation images would give others shows in
    the repetitions alone.

    Returns:
        Columns `metric`, `when` (`before`, `after`, `change`), those of
        `vitrial.compare.aligned.effects`, and `temperature`, the arm's mean.
    """
    names = np.array(test.arms)
    tables = []
    for metric in MEASURES:
        first, second = test.scored(metric), after.scored(metric)
        change = Jackknife(second.scores - first.scores, second.deleted - first.deleted)
        for when, scored in (("before", first), ("after", second), ("change", change)):
            table = effects(scored, test.arms, () if when == "change" else pairs)
            tables.append(table.assign(metric=metric, when=when))
    table = pd.concat(tables, ignore_index=True)
    mean = {arm: float(temperatures[names == arm].mean()) for arm in dict.fromkeys(test.arms)}
    only_arms = table["arm"].map(mean).where(table["less"] == "")
    columns = ["metric", "when", *table.columns.drop(["metric", "when"]), "temperature"]
    return table.assign(temperature=only_arms)[columns]


def reliability_table(runs: Aligned, bins: int = BINS) -> pd.DataFrame:
    """How often answers of each confidence are right, over all repetitions of an arm.

    Returns:
        Columns `arm`, `low`, `high` (of a bin of confidence), `confidence` and `accuracy` (means),
        `answers` (images times repetitions); no row for an empty bin.
    """
    probabilities = probabilities_of(runs.logits)
    confidence = probabilities.max(axis=-1)
    right = runs.logits.argmax(axis=-1) == runs.targets
    table = pd.DataFrame(
        {
            "arm": np.repeat(runs.arms, confidence.shape[1]),
            "bin": bin_of(confidence, bins).ravel(),
            "confidence": confidence.ravel(),
            "accuracy": right.ravel().astype(float),
        }
    )
    by_bin = table.groupby(["arm", "bin"], sort=False)
    found = by_bin.agg(
        confidence=("confidence", "mean"), accuracy=("accuracy", "mean"), answers=("bin", "size")
    )
    found = found.reset_index().sort_values("bin", kind="stable", ignore_index=True)
    order = {arm: place for place, arm in enumerate(dict.fromkeys(runs.arms))}
    found = found.sort_values("arm", key=lambda of: of.map(order), kind="stable")
    ends = {"low": found["bin"] / bins, "high": (found["bin"] + 1) / bins}
    return found.assign(**ends)[["arm", "low", "high", "confidence", "accuracy", "answers"]]
