"""The metrics, by scikit-learn, from stored predictions: one object each, in one registry."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax, softmax
from sklearn.metrics import (
    accuracy_score,
    brier_score_loss,
    cohen_kappa_score,
    confusion_matrix,
    f1_score,
    recall_score,
    roc_auc_score,
)

from vitrial.evaluate.calibration import expected_calibration_error


def quadratic_kappa(targets: np.ndarray, logits: np.ndarray) -> float:
    """Cohen's kappa with quadratic weights, in [-1, 1]; 0 where every grade is the same.

    Args:
        targets: (n,) grades as class indices.
        logits: (n, classes).
    """
    predicted = logits.argmax(axis=1)
    if (predicted == predicted[0]).all():
        return 0.0  # a constant answer agrees by chance alone; the formula may be 0 / 0
    labels = list(range(logits.shape[1]))
    return float(cohen_kappa_score(targets, predicted, labels=labels, weights="quadratic"))


def balanced_accuracy(targets: np.ndarray, logits: np.ndarray) -> float:
    """Recall averaged over the classes that occur in `targets` (n,), in [0, 1]."""
    return predicted_balanced_accuracy(targets, logits.argmax(axis=1))


def predicted_balanced_accuracy(targets: np.ndarray, predicted: np.ndarray) -> float:
    """Balanced accuracy of class indices (n,), such as nearest neighbors give."""
    classes = np.unique(targets)
    return float(recall_score(targets, predicted, labels=classes, average="macro", zero_division=0))


def roc_auc(targets: np.ndarray, logits: np.ndarray) -> float:
    """Area under the ROC curve, in [0, 1]; one-vs-rest and averaged for more than two classes.

    Raises:
        ValueError: A class does not occur in `targets`: there is no area then.
    """
    if logits.shape[1] == 2:
        return float(roc_auc_score(targets, logits[:, 1] - logits[:, 0]))
    probabilities = softmax(logits.astype(np.float64), axis=1)
    return float(roc_auc_score(targets, probabilities, multi_class="ovr", average="macro"))


def accuracy(targets: np.ndarray, logits: np.ndarray) -> float:
    """Share of images answered right, in [0, 1]."""
    return float(accuracy_score(targets, logits.argmax(axis=1)))


def f1(targets: np.ndarray, logits: np.ndarray) -> float:
    """F1 score averaged over the classes, in [0, 1]."""
    labels = list(range(logits.shape[1]))
    predicted = logits.argmax(axis=1)
    return float(f1_score(targets, predicted, labels=labels, average="macro", zero_division=0))


def calibration_error(targets: np.ndarray, logits: np.ndarray) -> float:
    """Expected calibration error over 15 bins, in [0, 1], lower is better."""
    return expected_calibration_error(targets, softmax(logits.astype(np.float64), axis=1))


def log_loss(targets: np.ndarray, logits: np.ndarray) -> float:
    """Mean negative logarithm of the probability of the true class, in nats, from 0 on."""
    logarithms = log_softmax(logits.astype(np.float64), axis=1)
    return float(-logarithms[np.arange(len(targets)), targets].mean())


def brier(targets: np.ndarray, logits: np.ndarray) -> float:
    """Squared distance of the probabilities from the truth, over all classes, in [0, 2].

    Of two classes half of it, in [0, 1], as usual.
    """
    probabilities = softmax(logits.astype(np.float64), axis=1)
    if logits.shape[1] == 2:
        return float(brier_score_loss(targets, probabilities[:, 1], labels=[0, 1], pos_label=1))
    labels = list(range(logits.shape[1]))
    return float(brier_score_loss(targets, probabilities, labels=labels))


@dataclass(frozen=True)
class Metric:
    """A metric, and all that training, tables and the report have to know of it.

    Calling it gives its value for targets (n,), class indices, and logits (n, classes).

    Attributes:
        name: In protocols, and in the columns of tables.
        label: For people.
        function: Of targets and logits.
        higher_is_better: Its direction.
        chance: What guessing scores, from the number of classes; None where that depends on how
            frequent they are.
        needs_order: Whether it grades by the order of the classes.
        endpoint: Whether validation may select by it. A calibration error alone may not: it is
            perfect for a model that tells nothing.
    """

    name: str
    label: str
    function: Callable[[np.ndarray, np.ndarray], float]
    higher_is_better: bool = True
    chance: Callable[[int], float] | None = None
    needs_order: bool = False
    endpoint: bool = True

    def __call__(self, targets: np.ndarray, logits: np.ndarray) -> float:
        """Its value."""
        return self.function(targets, logits)

    def gain(self, value: float) -> float:
        """A value turned so that higher is better: what selection maximizes."""
        return value if self.higher_is_better else -value


METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            "quadratic_kappa",
            "quadratic kappa",
            quadratic_kappa,
            chance=lambda classes: 0.0,
            needs_order=True,
        ),
        Metric(
            "balanced_accuracy",
            "balanced accuracy",
            balanced_accuracy,
            chance=lambda classes: 1 / classes,
        ),
        Metric("roc_auc", "ROC-AUC", roc_auc, chance=lambda classes: 0.5),
        Metric("accuracy", "accuracy", accuracy),
        Metric("f1", "F1 (macro)", f1),
        Metric("log_loss", "log loss", log_loss, higher_is_better=False, chance=math.log),
        Metric(
            "brier",
            "Brier score",
            brier,
            higher_is_better=False,
            chance=lambda classes: 0.25 if classes == 2 else 1 - 1 / classes,
        ),
        Metric(
            "calibration_error",
            "calibration error",
            calibration_error,
            higher_is_better=False,
            endpoint=False,
        ),
    )
}
ENDPOINTS = {name: metric for name, metric in METRICS.items() if metric.endpoint}
"""What a protocol may name as its endpoint."""


def all_metrics(targets: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    """Every metric of predictions (n, classes), by name."""
    return {name: metric(targets, logits) for name, metric in METRICS.items()}


def confusion(targets: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Counts (classes, classes): row the truth, column the answer."""
    labels = list(range(logits.shape[1]))
    return np.asarray(confusion_matrix(targets, logits.argmax(axis=1), labels=labels))
