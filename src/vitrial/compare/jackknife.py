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

import numpy as np
import pandas as pd

from vitrial.metrics import METRICS
from vitrial.metrics.metric import Metric, OfConfusion, OfImages, OfPairs, OfSums

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
        endpoint: One of `vitrial.metrics.METRICS`.
        targets: (n,) class indices.
        logits: For each run (n, classes), on the same images in the same order.
        groups: (n,) the group of each image.

    Returns:
        Scores and deleted scores. Without a group, a class may have no image left: the endpoints
        that average over classes then have no value.
    """
    targets, member = np.asarray(targets), members(groups)
    metric = METRICS[endpoint]
    several = max(1, CHUNK // max(1, logits[0].size))
    parts = [
        _scores(metric, targets, member, np.stack([np.asarray(run, float) for run in some]))
        for some in (logits[i : i + several] for i in range(0, len(logits), several))
    ]
    return Jackknife(np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts]))


# Scores (runs,) and scores without each group (runs, groups).
Scores = tuple[np.ndarray, np.ndarray]


def _scores(metric: Metric, targets: np.ndarray, member: np.ndarray, logits: np.ndarray) -> Scores:
    """Of logits (runs, n, classes)."""
    match metric.form:
        case OfConfusion():
            return _from_confusion(metric.form, targets, member, logits)
        case OfPairs():
            return _from_pairs(metric.form, targets, member, logits)
        case OfImages():
            means = np.stack([metric.form.values(targets, run) for run in logits])
            found = delete_from_sums(averaged(means), ratio, member)
        case OfSums():
            sums = np.stack([metric.form.values(targets, run) for run in logits])
            found = delete_from_sums(sums, metric.form.score, member)
        case None:
            return _by_recomputing(metric, targets, member, logits)
    return found.scores, found.deleted


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


def averaged(values: np.ndarray) -> np.ndarray:
    """What is summed for a mean: values (runs, n) to (runs, n, 2)."""
    return np.stack([values, np.ones_like(values)], axis=-1)


def ratio(sums: np.ndarray) -> np.ndarray:
    """The first of two sums (..., 2) over the second, a positive count; NaN where that is 0."""
    total, count = sums[..., 0], sums[..., 1]
    return np.where(count > 0, total / np.where(count > 0, count, 1), np.nan)


def _from_confusion(
    form: OfConfusion, targets: np.ndarray, member: np.ndarray, logits: np.ndarray
) -> Scores:
    (runs, _, classes), k = logits.shape, member.max() + 1
    cell = targets * classes + logits.argmax(axis=-1)
    place = (np.arange(runs)[:, None] * k + member) * classes**2 + cell
    own = np.bincount(place.ravel(), minlength=runs * k * classes**2)
    own = own.reshape(runs, k, classes, classes)
    whole = own.sum(axis=1)
    without = (whole[:, None] - own).reshape(-1, classes, classes)
    deleted = form.score(without).reshape(runs, k)
    if form.averages_classes:
        deleted[:, _sole_owners(targets, member)] = np.nan
    return form.score(whole), deleted


def _sole_owners(targets: np.ndarray, member: np.ndarray) -> list[int]:
    """Groups that hold all images of a class."""
    owners = [np.unique(member[targets == c]) for c in np.unique(targets)]
    return [int(groups[0]) for groups in owners if len(groups) == 1]


def _by_recomputing(
    score: Metric, targets: np.ndarray, member: np.ndarray, logits: np.ndarray
) -> Scores:
    kept = [member != g for g in range(member.max() + 1)]
    deleted = [[score(targets[rows], run[rows]) for rows in kept] for run in logits]
    return np.array([score(targets, run) for run in logits]), np.array(deleted)


def _from_pairs(
    form: OfPairs, targets: np.ndarray, member: np.ndarray, logits: np.ndarray
) -> Scores:
    runs, _, classes = logits.shape
    if len(np.unique(targets)) < classes:  # as scikit-learn: there is no area for such a class
        return np.full(runs, np.nan), np.full((runs, member.max() + 1), np.nan)
    each = [form.scores(run) for run in logits]
    areas = [
        auc_without_groups(np.stack([scores[c] for scores in each]), targets == c, member)
        for c in each[0]
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
