"""Scores of finished runs, recomputed from their per-image predictions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from vitrial.metrics import METRICS, all_metrics
from vitrial.metrics.answers import predicted_balanced_accuracy

RUN_COLUMNS = ("arm", "backbone", "initialization", "repetition")
COST_COLUMNS = (
    "parameters",
    "training_seconds",
    "pretraining_seconds",
    "pretraining_share_seconds",
    "total_seconds",
    "images_per_second",
)
ORIGIN_COLUMNS = ("weights", "weights_sha256", "precision", "device")
COLUMNS = [*RUN_COLUMNS, "split", *METRICS, "knn_balanced_accuracy"]
COLUMNS += [*COST_COLUMNS, *ORIGIN_COLUMNS]


def run_scores(runs: Iterable[tuple[dict[str, Any], pd.DataFrame, dict[str, Any]]]) -> pd.DataFrame:
    """Score every run on every split that it predicted.

    Args:
        runs: What each run is (arm, backbone, initialization, repetition), its predictions, and
            its result with what it cost and what it stands on (`vitrial.store.provenance`).

    Returns:
        A row per run and split (`val`, `test`): the run's columns, every metric of
        `vitrial.metrics`, `knn_balanced_accuracy`, the run's cost and its origin.
    """
    rows = []
    for run, predictions, cost in runs:
        for split, part in predictions.groupby("split", sort=False):
            targets = part["target"].to_numpy()
            rows.append(
                {name: run[name] for name in RUN_COLUMNS}
                | {"split": split}
                | all_metrics(targets, logits_of(part))
                | {
                    "knn_balanced_accuracy": predicted_balanced_accuracy(
                        targets, part["knn"].to_numpy()
                    )
                }
                | cost
            )
    return pd.DataFrame(rows, columns=None if rows else COLUMNS)


def logits_of(predictions: pd.DataFrame) -> np.ndarray:
    """The logits (n, classes) of a table of predictions."""
    return predictions.filter(regex=r"^logit_\d+$").to_numpy()
