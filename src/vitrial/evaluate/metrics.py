"""The endpoints, by scikit-learn, from stored predictions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import softmax
from sklearn.metrics import (
    accuracy_score,
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
    """Balanced accuracy of class indices (n,), such as nearest neighbours give."""
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


ENDPOINTS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "quadratic_kappa": quadratic_kappa,
    "balanced_accuracy": balanced_accuracy,
    "roc_auc": roc_auc,
    "accuracy": accuracy,
    "f1": f1,
}


def all_metrics(targets: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    """Every endpoint and the calibration error of predictions (n, classes)."""
    scores = {name: metric(targets, logits) for name, metric in ENDPOINTS.items()}
    return scores | {"calibration_error": calibration_error(targets, logits)}


def confusion(targets: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Counts (classes, classes): row the truth, column the answer."""
    labels = list(range(logits.shape[1]))
    return np.asarray(confusion_matrix(targets, logits.argmax(axis=1), labels=labels))
