"""How an endpoint varies with the test set: every run scored again without each group of images.

Groups (patients or lesions) are deleted one at a time, exactly and without recomputing: an
endpoint that depends on the confusion matrix by subtracting the group's matrix, the area under the
ROC curve by subtracting the group's placement values (DeLong et al., Biometrics 1988; for groups
Obuchowski, Biometrics 1997), a mean over images by subtracting the group's sum. All runs are
deleted from alike, so one matrix holds the covariances of every pair of runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from vitrial.metrics import ENDPOINTS, Metric, OfConfusion, OfImages, OfPairs

CHUNK = 2_000_000
"""Entries of confusion matrices that are held at once, about 16 MB."""


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
    endpoint: str, targets: np.ndarray, logits: Sequence[np.ndarray], groups: np.ndarray
) -> Jackknife:
    """Score runs with and without each group.

    Args:
        endpoint: One of `vitrial.metrics.ENDPOINTS`.
        targets: (n,) class indices.
        logits: For each run (n, classes), on the same images in the same order.
        groups: (n,) the group of each image.

    Returns:
        Scores and deleted scores. Without a group, a class may have no image left: the endpoints
        that average over classes then have no value.
    """
    targets = np.asarray(targets)
    _, member = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    metric = ENDPOINTS[endpoint]
    match metric.form:
        case OfConfusion():
            one = _confusion_deleter(metric.form, targets, member, logits[0].shape[1])
        case OfPairs():
            one = _pairs_deleter(metric.form, targets, member)
        case OfImages():
            one = _mean_deleter(metric.form, targets, member)
        case None:
            one = _recomputing(metric, targets, member)
    rows = [one(np.asarray(run, dtype=np.float64)) for run in logits]
    return Jackknife(np.array([row[0] for row in rows]), np.array([row[1] for row in rows]))


# A run's logits to its score and its scores without each group.
Deleter = Callable[[np.ndarray], tuple[float, np.ndarray]]


def _confusion_deleter(
    form: OfConfusion, targets: np.ndarray, member: np.ndarray, classes: int
) -> Deleter:
    cells, k = classes * classes, member.max() + 1
    chunks = np.array_split(np.arange(k), -(-k * cells // CHUNK))
    order = np.argsort(member, kind="stable")
    first = np.searchsorted(member[order], np.arange(k + 1))
    sole = _sole_owners(targets, member)

    def delete(logits: np.ndarray) -> tuple[float, np.ndarray]:
        cell = targets * classes + logits.argmax(axis=1)
        whole = np.bincount(cell, minlength=cells)
        without = np.empty(k)
        for chunk in chunks:
            rows = order[first[chunk[0]] : first[chunk[-1] + 1]]
            place = (member[rows] - chunk[0]) * cells + cell[rows]
            own = np.bincount(place, minlength=len(chunk) * cells).reshape(-1, cells)
            without[chunk] = form.score((whole - own).reshape(-1, classes, classes))
        if form.averages_classes:
            without[sole] = np.nan
        return float(form.score(whole.reshape(1, classes, classes))[0]), without

    return delete


def _sole_owners(targets: np.ndarray, member: np.ndarray) -> list[int]:
    """Groups that hold all images of a class."""
    owners = [np.unique(member[targets == c]) for c in np.unique(targets)]
    return [int(groups[0]) for groups in owners if len(groups) == 1]


def _mean_deleter(form: OfImages, targets: np.ndarray, member: np.ndarray) -> Deleter:
    counts = np.bincount(member)

    def delete(logits: np.ndarray) -> tuple[float, np.ndarray]:
        values = form.values(targets, logits)
        sums = np.bincount(member, weights=values)
        return float(values.mean()), (values.sum() - sums) / (len(values) - counts)

    return delete


def _recomputing(metric: Metric, targets: np.ndarray, member: np.ndarray) -> Deleter:
    def delete(logits: np.ndarray) -> tuple[float, np.ndarray]:
        without = [
            metric(targets[member != g], logits[member != g]) for g in range(member.max() + 1)
        ]
        return metric(targets, logits), np.array(without)

    return delete


def _pairs_deleter(form: OfPairs, targets: np.ndarray, member: np.ndarray) -> Deleter:
    present = set(np.unique(targets).tolist())

    def delete(logits: np.ndarray) -> tuple[float, np.ndarray]:
        scores = form.scores(logits)
        if not present >= scores.keys():  # as scikit-learn: there is no area for such a class
            return np.nan, np.full(member.max() + 1, np.nan)
        areas = [_auc(score, targets == c, member) for c, score in scores.items()]
        return float(np.mean([area for area, _ in areas])), np.mean([w for _, w in areas], axis=0)

    return delete


def _auc(score: np.ndarray, positive: np.ndarray, member: np.ndarray) -> tuple[float, np.ndarray]:
    """The area, and the area without each group; NaN where a class is gone."""
    k = member.max() + 1
    m = np.bincount(member[positive], minlength=k)
    n = np.bincount(member[~positive], minlength=k)
    placement = _placements(score, positive)
    won = placement[positive].sum()
    own = np.bincount(member, weights=placement, minlength=k)
    if len(member) > k:  # pairs of a group's own images would be subtracted twice
        own -= _won_within(score, positive, member, k)
    pairs = (m.sum() - m) * (n.sum() - n)
    without = np.where(pairs > 0, (won - own) / np.maximum(pairs, 1), np.nan)
    everyone = m.sum() * n.sum()
    return float(won / everyone) if everyone else np.nan, without


def _won_within(score: np.ndarray, positive: np.ndarray, member: np.ndarray, k: int) -> np.ndarray:
    """For each group, its own pairs in which the positive image scores higher, ties by half."""
    scores = pd.Series(score)
    among_all = scores.groupby(member).rank()
    among_positive = scores[positive].groupby(member[positive]).rank()
    won = among_all[positive] - among_positive
    return np.bincount(member[positive], weights=won, minlength=k)


def _placements(score: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """For each image, how many of the other class it is on the right side of, ties by half."""
    everyone = rankdata(score)
    placement = np.empty(len(score))
    for side in (positive, ~positive):
        placement[side] = everyone[side] - rankdata(score[side])
    placement[~positive] = positive.sum() - placement[~positive]
    return placement
