"""How an endpoint varies with the test set: every run scored again without each group of images.

Groups (patients or lesions) are deleted one at a time, exactly and without recomputing: an
endpoint that is a function of sums over images, as all that depend on the confusion matrix are, by
subtracting the group's sums; the area under the ROC curve by subtracting the group's placement
values (DeLong et al., Biometrics 1988; for groups Obuchowski, Biometrics 1997). All runs are
deleted from alike, so one matrix holds the covariances of every pair of runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from scipy.special import log_softmax, softmax

from vitrial.evaluate.calibration import BINS, bin_of
from vitrial.evaluate.metrics import METRICS

CHUNK = 2_000_000
"""Numbers that are held of the images of several runs at once, about 16 MB."""


@dataclass(frozen=True)
class Jackknife:
    """Scores of runs on one test set, whole and without each of its groups.

    Attributes:
        scores: (runs,) the endpoint of each run.
        deleted: (runs, groups) the endpoint without the group; NaN where it has no value then.
    """

    scores: np.ndarray
    deleted: np.ndarray

    @property
    def groups(self) -> int:
        """Number of groups, K."""
        return int(self.deleted.shape[1])

    @property
    def covariance(self) -> np.ndarray:
        """(runs, runs): (K - 1) / K times the sum over groups of products of deviations.

        Efron and Stein, Annals of Statistics 1981, eq. 2.4; the deviations are from the mean of
        the deleted scores.
        """
        deviation = self.deleted - self.deleted.mean(axis=1, keepdims=True)
        factor = (self.groups - 1) / self.groups
        return np.asarray(factor * deviation @ deviation.T)


def jackknife(
    endpoint: str,
    targets: np.ndarray,
    logits: Sequence[np.ndarray] | np.ndarray,
    groups: np.ndarray,
) -> Jackknife:
    """Score runs with and without each group.

    Args:
        endpoint: One of `vitrial.evaluate.metrics.METRICS`.
        targets: (n,) class indices.
        logits: For each run (n, classes), on the same images in the same order.
        groups: (n,) the group of each image.

    Returns:
        Scores and deleted scores. Without a group, a class may have no image left: the endpoints
        that average over classes then have no value.
    """
    targets = np.asarray(targets)
    member = members(groups)
    if endpoint in OF_SUMS:
        delete = partial(_from_sums, OF_SUMS[endpoint], targets, member)
    elif endpoint == "roc_auc":
        delete = partial(_from_placements, targets, member)
    else:
        delete = partial(_by_recomputing, METRICS[endpoint], targets, member)
    several = max(1, CHUNK // max(1, logits[0].size))
    parts = [
        delete(np.stack([np.asarray(run, dtype=np.float64) for run in logits[i : i + several]]))
        for i in range(0, len(logits), several)
    ]
    return Jackknife(np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts]))


def members(groups: np.ndarray) -> np.ndarray:
    """(n,) the number of each image's group, in the order in which groups first appear."""
    return np.asarray(pd.factorize(np.asarray(groups))[0])


def delete_from_sums(
    values: np.ndarray, score: Callable[[np.ndarray], np.ndarray], member: np.ndarray
) -> Jackknife:
    """Score runs by sums over images, with and without each group.

    Args:
        values: (runs, n, s) what is summed of each image.
        score: Of sums (..., s) the scores (...).
        member: (n,) of `members`.
    """
    order = np.argsort(member, kind="stable")
    first = np.searchsorted(member[order], np.arange(member.max() + 1))
    own = np.add.reduceat(values[:, order], first, axis=1)
    whole = values.sum(axis=1)
    return Jackknife(score(whole), score(whole[:, None] - own))


@dataclass(frozen=True)
class OfSums:
    """An endpoint that is a function of sums over images.

    Attributes:
        of_images: Of targets (n,) and logits (runs, n, classes) what is summed, (runs, n, s).
        score: Of sums (..., s) the scores (...).
        averages_classes: Whether it has no value where an image of some class is lacking.
    """

    of_images: Callable[[np.ndarray, np.ndarray], np.ndarray]
    score: Callable[[np.ndarray], np.ndarray]
    averages_classes: bool = False


# Scores (runs,) and scores without each group (runs, groups).
Scores = tuple[np.ndarray, np.ndarray]


def _from_sums(
    endpoint: OfSums, targets: np.ndarray, member: np.ndarray, logits: np.ndarray
) -> Scores:
    found = delete_from_sums(endpoint.of_images(targets, logits), endpoint.score, member)
    if endpoint.averages_classes:
        found.deleted[:, _sole_owners(targets, member)] = np.nan
    return found.scores, found.deleted


def _sole_owners(targets: np.ndarray, member: np.ndarray) -> list[int]:
    """Groups that hold all images of a class."""
    owners = [np.unique(member[targets == c]) for c in np.unique(targets)]
    return [int(groups[0]) for groups in owners if len(groups) == 1]


def _kappa_values(targets: np.ndarray, logits: np.ndarray) -> np.ndarray:
    answer = logits.argmax(axis=-1)
    truth = np.broadcast_to(targets, answer.shape)
    columns = (np.ones_like(truth), (truth - answer) ** 2, truth, truth**2, answer, answer**2)
    return np.stack(columns, axis=-1)


def _kappa(sums: np.ndarray) -> np.ndarray:
    """Quadratic kappa, 1 - observed / expected, by expanding (i - j)^2; 0 for one answer alone."""
    n, observed, truth, truth2, answer, answer2 = np.moveaxis(sums, -1, 0)
    expected = truth2 + answer2 - 2 * truth * answer / np.maximum(n, 1)
    constant = n * answer2 == answer**2  # exact: these are whole numbers
    return np.where(constant, 0.0, 1 - observed / np.where(constant, 1, expected))


def _class_values(targets: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """For each class whether an image is of it, is rightly answered so, and is answered so."""
    classes = np.arange(logits.shape[-1])
    answered = logits.argmax(axis=-1)[..., None] == classes
    truth = np.broadcast_to(targets[:, None] == classes, answered.shape)
    return np.concatenate([truth, truth & answered, answered], axis=-1).astype(np.float64)


def _balanced_accuracy(sums: np.ndarray) -> np.ndarray:
    truth, right, _ = np.split(sums, 3, axis=-1)
    recall = right / np.maximum(truth, 1)
    return np.asarray(recall.sum(axis=-1) / np.maximum((truth > 0).sum(axis=-1), 1))


def _f1(sums: np.ndarray) -> np.ndarray:
    truth, right, answered = np.split(sums, 3, axis=-1)
    return np.asarray((2 * right / np.maximum(truth + answered, 1)).mean(axis=-1))


def ratio(sums: np.ndarray) -> np.ndarray:
    """The first of two sums (..., 2) over the second, a positive count; NaN where that is 0."""
    total, count = sums[..., 0], sums[..., 1]
    return np.where(count > 0, total / np.where(count > 0, count, 1), np.nan)


def averaged(values: np.ndarray) -> np.ndarray:
    """What is summed for a mean: values (runs, n) to (runs, n, 2)."""
    return np.stack([values, np.ones_like(values)], axis=-1)


def _right(targets: np.ndarray, logits: np.ndarray) -> np.ndarray:
    return averaged((logits.argmax(axis=-1) == targets).astype(np.float64))


def _log_loss(targets: np.ndarray, logits: np.ndarray) -> np.ndarray:
    return averaged(-log_softmax(logits, axis=-1)[:, np.arange(len(targets)), targets])


def _brier(targets: np.ndarray, logits: np.ndarray) -> np.ndarray:
    classes = logits.shape[-1]
    squares = ((softmax(logits, axis=-1) - np.eye(classes)[targets]) ** 2).sum(axis=-1)
    return averaged(squares / 2 if classes == 2 else squares)  # as `evaluate.metrics.brier`


def _gap_values(targets: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """For each bin of confidence, confidence less accuracy of its images; and their number."""
    probabilities = softmax(logits, axis=-1)
    confidence = probabilities.max(axis=-1)
    gap = confidence - (probabilities.argmax(axis=-1) == targets)
    in_bin = bin_of(confidence)[..., None] == np.arange(BINS)
    return np.concatenate([in_bin * gap[..., None], np.ones((*gap.shape, 1))], axis=-1)


def _calibration_error(sums: np.ndarray) -> np.ndarray:
    return np.asarray(np.abs(sums[..., :-1]).sum(axis=-1) / sums[..., -1])


OF_SUMS = {
    "quadratic_kappa": OfSums(_kappa_values, _kappa),
    "balanced_accuracy": OfSums(_class_values, _balanced_accuracy, averages_classes=True),
    "accuracy": OfSums(_right, ratio),
    "f1": OfSums(_class_values, _f1, averages_classes=True),
    "log_loss": OfSums(_log_loss, ratio),
    "brier": OfSums(_brier, ratio),
    "calibration_error": OfSums(_gap_values, _calibration_error),
}
"""Endpoints that are functions of sums over images."""


def _by_recomputing(
    score: Callable[[np.ndarray, np.ndarray], float],
    targets: np.ndarray,
    member: np.ndarray,
    logits: np.ndarray,
) -> Scores:
    kept = [member != g for g in range(member.max() + 1)]
    deleted = [[score(targets[rows], run[rows]) for rows in kept] for run in logits]
    return np.array([score(targets, run) for run in logits]), np.array(deleted)


def _from_placements(targets: np.ndarray, member: np.ndarray, logits: np.ndarray) -> Scores:
    classes = logits.shape[-1]
    if classes == 2:
        return auc_without_groups(logits[..., 1] - logits[..., 0], targets == 1, member)
    if len(np.unique(targets)) < classes:  # as scikit-learn: there is no area for such a class
        runs = len(logits)
        return np.full(runs, np.nan), np.full((runs, member.max() + 1), np.nan)
    probabilities = softmax(logits, axis=-1)
    areas = [
        auc_without_groups(probabilities[..., c], targets == c, member) for c in range(classes)
    ]
    return np.mean([a for a, _ in areas], axis=0), np.mean([w for _, w in areas], axis=0)


def auc_without_groups(scores: np.ndarray, positive: np.ndarray, member: np.ndarray) -> Scores:
    """The area under the ROC curve of each run, and without each group.

    Args:
        scores: (runs, n) higher for what is more likely positive.
        positive: (n,) whether an image is.
        member: (n,) of `members`.

    Returns:
        Areas (runs,) and (runs, groups); NaN where there is no positive or no negative image.
    """
    k = member.max() + 1
    m = np.bincount(member[positive], minlength=k)
    n = np.bincount(member[~positive], minlength=k)
    placement, rank = placements(scores, positive)
    won = placement[:, positive].sum(axis=1)
    own = _sums_by_group(placement, member, k)
    if (mixed := (m > 0) & (n > 0)).any():  # pairs of a group's own would be subtracted twice
        inside = mixed[member]
        # Ranked by group first, what is below are all of earlier groups and some of one's own.
        by_group = member[inside] * (2.0 * len(member) + 1) + rank[:, inside]
        below, _ = placements(by_group, positive[inside])
        earlier = np.cumsum(n * mixed) - n * mixed
        within = np.where(positive[inside], below - earlier[member[inside]], 0)
        own -= _sums_by_group(within, member[inside], k)
    pairs = (m.sum() - m) * (n.sum() - n)
    without = np.where(pairs > 0, (won[:, None] - own) / np.maximum(pairs, 1), np.nan)
    everyone = m.sum() * n.sum()
    return won / everyone if everyone else np.full(len(won), np.nan), without


def placements(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many images of the other class each image is on the right side of, ties by half.

    Args:
        scores: (runs, n).
        positive: (n,) the images that should score higher.

    Returns:
        Placements (runs, n), and twice the rank of each image less 1, average for ties, (runs, n).
    """
    n = scores.shape[1]
    order = np.argsort(scores, axis=1)
    values = np.take_along_axis(scores, order, axis=1)
    place = np.arange(n)
    steps = values[:, 1:] != values[:, :-1]
    edge = np.ones((len(scores), 1), dtype=bool)
    first = np.maximum.accumulate(np.where(np.hstack([edge, steps]), place, 0), axis=1)
    ends = np.where(np.hstack([steps, edge]), place, n)
    last = np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1]
    sides = positive[order]
    counted = np.cumsum(sides, axis=1)
    # Those below by 1 and those alike by half, oneself among them, twice.
    positives = np.take_along_axis(counted - sides, first, axis=1)
    positives = positives + np.take_along_axis(counted, last, axis=1)
    everyone = first + last + 1
    won = np.where(sides, everyone - positives, 2 * positive.sum() - positives) / 2
    back = np.empty_like(order)
    np.put_along_axis(back, order, np.broadcast_to(place, order.shape), axis=1)
    return np.take_along_axis(won, back, axis=1), np.take_along_axis(everyone, back, axis=1)


def _sums_by_group(values: np.ndarray, member: np.ndarray, k: int) -> np.ndarray:
    """Sums of values (runs, n) over the images of each group, (runs, k)."""
    runs = len(values)
    place = np.arange(runs)[:, None] * k + member
    sums = np.bincount(place.ravel(), weights=values.ravel(), minlength=runs * k)
    return np.asarray(sums.reshape(runs, k))
