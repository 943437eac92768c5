"""What limits an answer: runs that are missing or unlike the others, and few patients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from vitrial.compare.jackknife import Jackknife
from vitrial.compare.scores import logits_of
from vitrial.metrics import ENDPOINTS

FEWEST_GROUPS = 20
"""Test sets of fewer patients or lesions have a caution. By `benchmarks/few_groups.py`."""
FEWEST_OF_A_CLASS = 10
"""Classes of fewer patients or lesions in the test set have a caution. Likewise."""


@dataclass(frozen=True)
class Run:
    """A finished run's predictions of the test split.

    Attributes:
        arm: Name of its arm.
        repetition: From 1.
        test: Columns image, group, target and logit_0 ..., a row per image.
    """

    arm: str
    repetition: int
    test: pd.DataFrame


def comparable_runs(runs: Sequence[Run]) -> tuple[list[Run], list[str]]:
    """The runs that can be compared, in one order of images, and a sentence for each other."""
    ordered = [replace(run, test=run.test.sort_values("image", ignore_index=True)) for run in runs]
    kinds = [_kind(run.test) for run in ordered]
    most = Counter(kinds).most_common(1)[0][0] if kinds else None
    comparable, left_out = [], []
    for run, kind in zip(ordered, kinds, strict=True):
        if kind != most:
            what = (
                "its test images, their groups, their targets or its classes are not those of most"
            )
        elif not np.isfinite(logits_of(run.test)).all():
            what = "its predictions are not all finite numbers"
        else:
            comparable.append(run)
            continue
        left_out.append(f"Left out: {run.arm}, repetition {run.repetition}: {what}.")
    return comparable, left_out


def _kind(test: pd.DataFrame) -> tuple[int, ...]:
    """What runs that are compared must have in common."""
    facts = test[["image", "group", "target"]].astype(str)
    return (logits_of(test).shape[1], *pd.util.hash_pandas_object(facts, index=False))


def of_counts(arms: Sequence[str], counts: Sequence[int], planned: int) -> list[str]:
    """Runs of an arm that are missing, fewer than planned, or single."""
    by_arm = list(zip(arms, counts, strict=True))
    found = [f"{arm} has no finished run." for arm, count in by_arm if not count]
    found += [
        f"{arm} has {count} of {planned} runs: the answer is not final."
        for arm, count in by_arm
        if 0 < count < planned
    ]
    if 1 in counts and 0 not in counts:
        alone = " and of ".join(arm for arm, count in by_arm if count == 1)
        found.append(f"There is a single run of {alone}: training it again could answer otherwise.")
    return found


def of_the_test_set(endpoint: str, test: pd.DataFrame, runs: Jackknife) -> list[str]:
    """A test split that is too small, in all or in a class, for an interval that holds."""
    found = []
    classes, groups = test["target"].nunique(), test["group"].nunique()
    if np.isnan(runs.scores).any():
        sentence = f"{ENDPOINTS[endpoint].label} has no value: the test images lack a class"
        return [f"{sentence} ({classes} there)."]
    if np.isnan(runs.deleted).any():
        found.append(
            "A class has all its test images in one patient or lesion, so that there is no "
            "interval: the test split needs more of that class."
        )
    if classes < 2:
        found.append("All test images are of one class: nothing can be distinguished.")
    if groups < FEWEST_GROUPS:
        found.append(
            f"The test split has {groups} patients or lesions: too few for an interval that can be "
            "relied on."
        )
    if rare := int((test.groupby("target")["group"].nunique() < FEWEST_OF_A_CLASS).sum()):
        fewest = test.groupby("target")["group"].nunique().min()
        found.append(
            f"{rare} class{'es have' if rare > 1 else ' has'} as few as {fewest} "
            f"{'patient or lesion' if fewest == 1 else 'patients or lesions'} in the test split: "
            "read the interval with caution."
        )
    return found


def of_constant_answers(runs: Sequence[Run]) -> list[str]:
    """Runs that answer alike whatever they see."""
    constant = Counter(run.arm for run in runs if np.ptp(logits_of(run.test).argmax(axis=1)) == 0)
    return [
        f"{arm} gives one answer to all test images in {count} of its runs: it learned nothing."
        for arm, count in constant.items()
    ]
