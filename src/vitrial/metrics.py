"""The metrics: one object each, in one registry that protocols, training, tables and reports read.

scikit-learn, which takes a second to import, is imported where a metric is computed: a protocol
that names one needs no more than its name.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

Weights = np.ndarray | None
BINS = 15
"""Of confidence, as Guo et al. (2017) have them."""


class Function(Protocol):
    """A metric's value for targets (n,), logits (n, classes) and weights (n,) of the images."""

    def __call__(self, targets: np.ndarray, logits: np.ndarray, weights: Weights = None) -> float:
        """The value."""
        ...


@dataclass(frozen=True)
class OfConfusion:
    """A metric that is a function of the confusion matrix.

    Attributes:
        score: Of confusion matrices (m, classes, classes), truth in rows, the metric (m,).
        averages_classes: Whether it has no value once all images of a class are left out.
    """

    score: Callable[[np.ndarray], np.ndarray]
    averages_classes: bool = False


@dataclass(frozen=True)
class OfImages:
    """A metric that is a mean over images.

    Attributes:
        values: Of targets (n,) and logits (n, classes), what is averaged (n,).
    """

    values: Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class OfSums:
    """A metric that is a function of sums over images.

    Attributes:
        values: Of targets (n,) and logits (n, classes), what is summed (n, s).
        score: Of sums (..., s) the metric (...).
    """

    values: Callable[[np.ndarray, np.ndarray], np.ndarray]
    score: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class OfPairs:
    """A metric that is the share of pairs in order, of an image of a class and one of no such.

    Averaged over classes; it has no value where a class has no image.

    Attributes:
        scores: Of logits (n, classes), for each class that counts what orders the images (n,).
    """

    scores: Callable[[np.ndarray], dict[int, np.ndarray]]


@dataclass(frozen=True)
class Metric:
    """A metric, and all that the program has to know of it.

    Calling it gives its value for targets (n,), class indices, and logits (n, classes).

    Attributes:
        name: In protocols, and in the columns of tables.
        label: For people.
        function: Of targets, logits and weights.
        form: What it is a function of, by which it is computed without each patient; None for a
            metric that has to be recomputed for each.
        higher_is_better: Its direction.
        chance: What guessing scores, from the number of classes; None where that depends on how
            frequent they are.
        needs_order: Whether it grades by the order of the classes.
        endpoint: Whether validation may select by it. A calibration error alone may not: it is
            perfect for a model that tells nothing.
        short: Another name for it on the command line, as in the paper's Table 1.
    """

    name: str
    label: str
    function: Function
    form: OfConfusion | OfImages | OfSums | OfPairs | None = None
    higher_is_better: bool = True
    chance: Callable[[int], float] | None = None
    needs_order: bool = False
    endpoint: bool = True
    short: str = ""

    def __call__(self, targets: np.ndarray, logits: np.ndarray, weights: Weights = None) -> float:
        """Its value; images count by their weights (n,), alike if left out."""
        return self.function(targets, logits, weights)

    def gain(self, value: float) -> float:
        """A value turned so that higher is better: what selection maximizes."""
        return value if self.higher_is_better else -value


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


def roc_auc(targets: np.ndarray, logits: np.ndarray, weights: Weights = None) -> float:
    """Area under the ROC curve, in [0, 1]; one-vs-rest and averaged for more than two classes.

    Raises:
        ValueError: A class does not occur in `targets`: there is no area then.
    """
    from sklearn.metrics import roc_auc_score

    scores = class_scores(logits)
    if len(scores) == 1:
        return float(roc_auc_score(targets, scores[1], sample_weight=weights))
    each = np.stack(list(scores.values()), axis=1)
    return float(
        roc_auc_score(targets, each, multi_class="ovr", average="macro", sample_weight=weights)
    )


def class_scores(logits: np.ndarray) -> dict[int, np.ndarray]:
    """What orders the images (n,) by each class: of two classes, by the second alone."""
    if logits.shape[1] == 2:
        return {1: logits[:, 1] - logits[:, 0]}
    return dict(enumerate(probabilities_of(logits).T))


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


def log_loss(targets: np.ndarray, logits: np.ndarray, weights: Weights = None) -> float:
    """Mean negative logarithm of the probability of the true class, in nats, from 0 on."""
    return float(np.average(log_losses(targets, logits), weights=weights))


def log_losses(targets: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """The log loss of each image (n,), in nats."""
    from scipy.special import log_softmax

    logarithms = log_softmax(logits.astype(np.float64), axis=1)
    return np.asarray(-logarithms[np.arange(len(targets)), targets])


def brier(targets: np.ndarray, logits: np.ndarray, weights: Weights = None) -> float:
    """Squared distance of the probabilities from the truth, over all classes, in [0, 2].

    Of two classes half of it, in [0, 1], as usual.
    """
    from sklearn.metrics import brier_score_loss

    probabilities = probabilities_of(logits)
    given: dict[str, object] = {"sample_weight": weights, "labels": list(range(logits.shape[1]))}
    if logits.shape[1] == 2:
        return float(brier_score_loss(targets, probabilities[:, 1], pos_label=1, **given))
    return float(brier_score_loss(targets, probabilities, **given))


def brier_scores(targets: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """The Brier score of each image (n,), as `brier` averages it."""
    classes = logits.shape[1]
    squares = ((probabilities_of(logits) - np.eye(classes)[targets]) ** 2).sum(axis=1)
    return np.asarray(squares / 2 if classes == 2 else squares)


def calibration_error(targets: np.ndarray, logits: np.ndarray, weights: Weights = None) -> float:
    """Expected calibration error over 15 bins, in [0, 1], lower is better."""
    return expected_calibration_error(targets, probabilities_of(logits), weights)


def expected_calibration_error(
    targets: np.ndarray, probabilities: np.ndarray, weights: Weights = None, bins: int = BINS
) -> float:
    """Mean gap between confidence and accuracy over equally wide bins of confidence.

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, eq. 3.

    Args:
        targets: (n,) class indices.
        probabilities: (n, classes), rows adding up to 1.
        weights: (n,) of the images.
        bins: Number of bins (k / bins, (k + 1) / bins].

    Returns:
        A value in [0, 1]; 0 is perfect.
    """
    weights = np.ones(len(targets)) if weights is None else weights
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == targets
    gap = weights * (correct - confidence)
    gaps = np.bincount(bin_of(confidence, bins), weights=gap, minlength=bins)
    return float(np.abs(gaps).sum() / weights.sum())


def bin_of(confidence: np.ndarray, bins: int = BINS) -> np.ndarray:
    """The number of the bin (k / bins, (k + 1) / bins] of each probability in [0, 1]."""
    return np.asarray(np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1))


def gaps_of_images(targets: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Each image's confidence less accuracy in the column of its bin, and 1 in the last."""
    probabilities = probabilities_of(logits)
    confidence = probabilities.max(axis=1)
    gap = confidence - (probabilities.argmax(axis=1) == targets)
    in_bin = bin_of(confidence)[:, None] == np.arange(BINS)
    return np.column_stack([in_bin * gap[:, None], np.ones(len(targets))])


def calibration_error_of_gaps(sums: np.ndarray) -> np.ndarray:
    """Expected calibration error of sums (..., 16) of `gaps_of_images`."""
    return np.asarray(np.abs(sums[..., :-1]).sum(axis=-1) / np.maximum(sums[..., -1], 1))


def probabilities_of(logits: np.ndarray) -> np.ndarray:
    """Softmax of logits (..., classes), in float64."""
    from scipy.special import softmax

    return np.asarray(softmax(logits.astype(np.float64), axis=-1))


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


def confusion(targets: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Counts (classes, classes): row the truth, column the answer."""
    from sklearn.metrics import confusion_matrix

    labels = list(range(logits.shape[1]))
    return np.asarray(confusion_matrix(targets, logits.argmax(axis=1), labels=labels))
