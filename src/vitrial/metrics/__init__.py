"""The metrics: one object each, in one registry that protocols, training, tables and reports read.

scikit-learn, which takes a second to import, is imported where a metric is computed: a protocol
that names one needs no more than its name.
"""

from __future__ import annotations

import math

import numpy as np

from vitrial.metrics.answers import (
    accuracy,
    accuracy_of_confusion,
    balanced_accuracy,
    balanced_accuracy_of_confusion,
    f1,
    f1_of_confusion,
    kappa_of_confusion,
    quadratic_kappa,
)
from vitrial.metrics.metric import Metric, OfConfusion, OfImages, OfPairs, OfSums
from vitrial.metrics.probabilities import (
    brier,
    brier_scores,
    calibration_error,
    calibration_error_of_gaps,
    class_scores,
    gaps_of_images,
    log_loss,
    log_losses,
    roc_auc,
)

METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            "quadratic_kappa",
            "quadratic kappa",
            quadratic_kappa,
            OfConfusion(kappa_of_confusion),
            chance=lambda classes: 0.0,
            needs_order=True,
            short="kappa",
        ),
        Metric(
            "balanced_accuracy",
            "balanced accuracy",
            balanced_accuracy,
            OfConfusion(balanced_accuracy_of_confusion, averages_classes=True),
            chance=lambda classes: 1 / classes,
            short="recall",
        ),
        Metric(
            "roc_auc",
            "ROC-AUC",
            roc_auc,
            OfPairs(class_scores),
            chance=lambda classes: 0.5,
            short="auc",
        ),
        Metric("accuracy", "accuracy", accuracy, OfConfusion(accuracy_of_confusion)),
        Metric("f1", "F1 (macro)", f1, OfConfusion(f1_of_confusion, averages_classes=True)),
        Metric(
            "log_loss",
            "log loss",
            log_loss,
            OfImages(log_losses),
            higher_is_better=False,
            chance=math.log,
        ),
        Metric(
            "brier",
            "Brier score",
            brier,
            OfImages(brier_scores),
            higher_is_better=False,
            chance=lambda classes: 0.25 if classes == 2 else 1 - 1 / classes,
        ),
        Metric(
            "calibration_error",
            "calibration error",
            calibration_error,
            OfSums(gaps_of_images, calibration_error_of_gaps),
            higher_is_better=False,
            endpoint=False,
        ),
    )
}
"""All metrics by name: a new one is added here, and nowhere else."""
ENDPOINTS = {name: metric for name, metric in METRICS.items() if metric.endpoint}
"""What a protocol may name as its endpoint."""


def all_metrics(targets: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    """Every metric of predictions (n, classes), by name."""
    return {name: metric(targets, logits) for name, metric in METRICS.items()}
