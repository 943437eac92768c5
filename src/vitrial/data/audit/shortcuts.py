"""Shortcuts: can the classes be predicted without a look at what the images show?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import StratifiedGroupKFold

from vitrial.data.audit.record import Shortcut
from vitrial.data.sources import draw_groups

MOST_IMAGES = 20_000
"""A larger data set is represented by about this many images, drawn by whole groups."""
FOLDS, TREES, SMALLEST_LEAF = 5, 25, 3
ONE_SIDED_95 = 1.645
GUESSED = 4
"""Groups added to every class, predicted no better than by chance."""


@dataclass(frozen=True)
class Family:
    """Measurements of an image that are no finding.

    Attributes:
        name: In words.
        columns: How the columns of `measure` that belong to it begin.
        bar: Share of the way from chance to 1 beyond which it is suspicious.
    """

    name: str
    columns: tuple[str, ...]
    bar: float


FAMILIES = (
    Family("image size", ("width", "height", "aspect"), 0.1),
    Family("file metadata", ("bytes", "mode", "suffix"), 0.1),
    Family("border pixels", ("border_",), 0.3),
    Family("mean color", ("mean_", "std_"), 0.5),
)
"""Size and file metadata should tell nothing; what little of the findings they carry (a textured
lesion compresses worse) stays below a tenth of the way: 0.04 in HAM10000. Borders show skin, organ
and large lesions (0.2 in HAM10000), and colors are part of many diagnoses (0.3): they are reported
in any case, and suspicious only where they come close to doing a network's work."""


def find_shortcuts(images: pd.DataFrame) -> list[Shortcut]:
    """Let a small forest tell the classes from each family of measurements alone.

    Extremely randomized trees (Geurts et al., Mach. Learn. 2006), cross-validated in up to 5 folds
    that keep groups whole and classes stratified. The same data give the same figures.

    Args:
        images: Columns `image`, `label`, `group`, perhaps `split`, and those of `measure`, all of
            images that can be used.

    Returns:
        One for each of `FAMILIES` that was measured; none where fewer than 2 classes have 2
        groups.
    """
    images = draw_groups(images.sort_values("image", ignore_index=True), MOST_IMAGES)
    groups = images.groupby("label")["group"].nunique()
    groups = groups[groups >= 2]
    if len(groups) < 2:
        return []
    images = images[images["label"].isin(groups.index)]
    label, group = (pd.factorize(images[name], sort=True)[0] for name in ("label", "group"))
    folds = StratifiedGroupKFold(min(FOLDS, int(groups.min())), shuffle=True, random_state=0)
    parts = list(folds.split(label, label, group))
    chance = 1 / len(groups)
    found = []
    for family in FAMILIES:
        features = _features(images, family)
        if not features.size:  # images that are no files have no metadata of files
            continue
        if (features == features[0]).all():
            score = lower = chance
        else:
            right = _predict(features, label, parts) == label
            score, lower = balanced_accuracy_bound(right, label, group)
        threshold = chance + family.bar * (1 - chance)
        found.append(Shortcut(family.name, score, lower, chance, threshold, len(images)))
    return found


def balanced_accuracy_bound(
    right: np.ndarray, label: np.ndarray, group: np.ndarray
) -> tuple[float, float]:
    """Balanced accuracy over groups, and its one-sided 95 % lower confidence bound.

    A group counts once in each of its classes, by its share of right answers, so that many images
    of a patient are no more evidence than one. The bound is that of Agresti and Coull (Am. Stat.
    1998), with their four added observations guessed at chance instead of at one half: a class of
    few groups, all predicted correctly, does not look certain, and one of none looks like guessing.

    Args:
        right: bool (n,), whether an image's class was predicted.
        label: int (n,) class indices; every one from 0 occurs.
        group: int (n,) groups.

    Returns:
        Score and bound, both in [0, 1].
    """
    table = pd.DataFrame({"right": right, "label": label, "group": group})
    shares = table.groupby(["label", "group"])["right"].mean().groupby("label")
    n, recall = shares.size().to_numpy(), shares.mean().to_numpy()
    classes = len(n)
    shrunk = (n * recall + GUESSED / classes) / (n + GUESSED)
    deviation = np.sqrt((shrunk * (1 - shrunk) / (n + GUESSED)).sum()) / classes
    return float(recall.mean()), float(max(0, shrunk.mean() - ONE_SIDED_95 * deviation))


def _features(images: pd.DataFrame, family: Family) -> np.ndarray:
    """A family's columns as numbers (n, features), perhaps none; kinds of files are numbered."""
    columns = [images[name] for name in images if str(name).startswith(family.columns)]
    numbers = [
        column if pd.api.types.is_numeric_dtype(column) else pd.factorize(column, sort=True)[0]
        for column in columns
    ]
    return np.column_stack([np.empty((len(images), 0)), *numbers]).astype(np.float32)


def _predict(
    features: np.ndarray, label: np.ndarray, parts: list[tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """The class (n,) that trees trained on the other folds give to each image."""
    answer = np.empty_like(label)
    for train, test in parts:
        forest = ExtraTreesClassifier(
            TREES, min_samples_leaf=SMALLEST_LEAF, class_weight="balanced", random_state=0
        )
        answer[test] = forest.fit(features[train], label[train]).predict(features[test])
    return answer
