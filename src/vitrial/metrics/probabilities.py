"""Metrics of the probabilities: how they order the images, and how far they can be believed."""

from __future__ import annotations

import numpy as np

from vitrial.metrics.metric import Weights

BINS = 15
"""Of confidence, as Guo et al. (2017) have them."""


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
