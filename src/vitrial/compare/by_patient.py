"""Results by patient (or lesion) in the place of images."""

from __future__ import annotations

import numpy as np

from vitrial.compare.aligned import Aligned
from vitrial.compare.jackknife import members
from vitrial.metrics.probabilities import probabilities_of


def by_patient(runs: Aligned) -> tuple[Aligned, int]:
    """The same runs with one answer per group: the mean probability over its images.

    Returns:
        The runs, whose images are now groups, and the number of groups that were left out because
        their images are of several classes.
    """
    member = members(runs.groups)
    first = np.unique(member, return_index=True)[1]
    several = np.zeros(len(first), dtype=bool)
    np.logical_or.at(several, member, runs.targets != runs.targets[first][member])
    probabilities = probabilities_of(runs.logits)
    sums = np.zeros((len(first), len(runs.runs), runs.logits.shape[-1]))
    np.add.at(sums, member, probabilities.swapaxes(0, 1))
    means = sums.swapaxes(0, 1) / np.bincount(member)[:, None]
    logits = np.log(np.maximum(means, np.finfo(np.float64).tiny))
    whole = Aligned(runs.runs, runs.arms, runs.images.iloc[first].reset_index(drop=True), logits)
    return whole.only(~several), int(several.sum())
