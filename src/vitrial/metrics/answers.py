"""Metrics of the answers, the classes of the highest logits: functions of the confusion matrix."""

from __future__ import annotations

import numpy as np

from vitrial.metrics.metric import Weights


def quadratic_kappa(targets: np.ndarray, logits: np.ndarray, weights: Weights = None) -> float:
    """Cohen's kappa with quadratic weights, in [-1, 1]; 0 where every grade is the same.

    Args:
        targets: (n,) grades as class indices.
        logits: (n, classes).
        weights: (n,) of the images.
    """
    from sklearn.metrics import cohen_kappa_score

    predicted = logits.argmax(axis=1)
    if (predicted == predicted[0]).all():
        return 0.0  # a constant answer agrees by chance alone; the formula may be 0 / 0
    labels = list(range(logits.shape[1]))
    return float(
        cohen_kappa_score(
            targets, predicted, labels=labels, weights="quadratic", sample_weight=weights
        )
    )


def kappa_of_confusion(confusion: np.ndarray) -> np.ndarray:
    """Quadratic kappa of confusion matrices (m, classes, classes), truth in rows; 0 for 0 / 0."""
    classes = confusion.shape[-1]
    grade = np.arange(classes)
    weights = (grade[:, None] - grade[None, :]) ** 2
    n = confusion.sum(axis=(1, 2))
    truth, answer = confusion.sum(axis=2), confusion.sum(axis=1)
    observed = (confusion * weights).sum(axis=(1, 2))
    expected = np.einsum("mi,ij,mj->m", truth, weights, answer) / np.maximum(n, 1)
    constant = (answer > 0).sum(axis=1) == 1
    safe = np.where(constant | (expected == 0), 1, expected)
    return np.where(constant, 0.0, 1 - observed / safe)


def balanced_accuracy(targets: np.ndarray, logits: np.ndarray, weights: Weights = None) -> float:
    """Recall averaged over the classes that occur in `targets` (n,), in [0, 1]."""
    return predicted_balanced_accuracy(targets, logits.argmax(axis=1), weights)


def predicted_balanced_accuracy(
    targets: np.ndarray, predicted: np.ndarray, weights: Weights = None
) -> float:
    """Balanced accuracy of class indices (n,), such as nearest neighbors give."""
    from sklearn.metrics import recall_score

    return float(
        recall_score(
            targets,
            predicted,
            labels=np.unique(targets),
            average="macro",
            zero_division=0,
            sample_weight=weights,
        )
    )


def balanced_accuracy_of_confusion(confusion: np.ndarray) -> np.ndarray:
    """Balanced accuracy of confusion matrices (m, classes, classes), truth in rows."""
    truth = confusion.sum(axis=2)
    right = np.diagonal(confusion, axis1=1, axis2=2)
    recall = right / np.maximum(truth, 1)
    return np.asarray(recall.sum(axis=1) / np.maximum((truth > 0).sum(axis=1), 1))


def accuracy(targets: np.ndarray, logits: np.ndarray, weights: Weights = None) -> float:
    """Share of images answered right, in [0, 1]."""
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(targets, logits.argmax(axis=1), sample_weight=weights))


def accuracy_of_confusion(confusion: np.ndarray) -> np.ndarray:
    """Accuracy of confusion matrices (m, classes, classes)."""
    right = np.diagonal(confusion, axis1=1, axis2=2).sum(axis=1)
    return np.asarray(right / np.maximum(confusion.sum(axis=(1, 2)), 1))


def f1(targets: np.ndarray, logits: np.ndarray, weights: Weights = None) -> float:
    """F1 score averaged over the classes, in [0, 1]."""
    from sklearn.metrics import f1_score

    return float(
        f1_score(
            targets,
            logits.argmax(axis=1),
            labels=list(range(logits.shape[1])),
            average="macro",
            zero_division=0,
            sample_weight=weights,
        )
    )


def f1_of_confusion(confusion: np.ndarray) -> np.ndarray:
    """F1 score of confusion matrices (m, classes, classes), averaged over the classes."""
    right = np.diagonal(confusion, axis1=1, axis2=2)
    both = confusion.sum(axis=2) + confusion.sum(axis=1)
    return np.asarray((2 * right / np.maximum(both, 1)).mean(axis=1))


def confusion(targets: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Counts (classes, classes): row the truth, column the answer."""
    from sklearn.metrics import confusion_matrix

    labels = list(range(logits.shape[1]))
    return np.asarray(confusion_matrix(targets, logits.argmax(axis=1), labels=labels))
