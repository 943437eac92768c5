"""Similarity of the splits: group sizes, classes and metadata of each, against chance."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from vitrial.data.audit.record import GROUPS, IMAGES, Alike
from vitrial.data.levels import levels, metadata_columns
from vitrial.data.split import SPLITS
from vitrial.errors import Problem

ROUNDING = 1e-9
"""A figure that varies less does not vary."""
DRAWS = 200
"""Splits by chance that the given one is compared with."""
MOST_LEVELS = 30
"""A column of more levels names images or patients rather than kinds of them."""
PER_GROUP, SIZE = "images per group", "groups of"
CLASS = "class"


def compare_splits(manifest: pd.DataFrame) -> list[Alike]:
    """Compare every split with all images together, and the distance with that of chance.

    Chance is measured on the data: 200 times the splits are drawn anew, each of as many whole
    groups (of as many images, where groups are divided). A figure differs where a split is further
    apart, in standard deviations over these draws, than any split in any figure of any draw: of
    200 splits by chance about one would have such a figure (`benchmarks/splits.py`).

    Args:
        manifest: Columns `image`, `label`, `group`, `split`, and any metadata.

    Returns:
        Images, groups, group sizes, classes, then the columns of 2 to 30 levels. Empty where there
        is only one split.
    """
    manifest = manifest.sort_values("image", ignore_index=True)  # the draws follow the order
    splits = [name for name in SPLITS if (manifest["split"] == name).any()]
    if len(splits) < 2:
        return []
    divided = manifest.groupby("group")["split"].nunique().gt(1).any()
    unit = pd.factorize(manifest["image" if divided else "group"])[0]
    split = np.empty(unit.max() + 1, dtype=np.int64)
    split[unit] = manifest["split"].map(splits.index)
    names, counts = _counts(manifest, unit)
    whole = _figures(counts, np.zeros_like(split))
    rng = np.random.default_rng(0)
    chance = [_figures(counts, rng.permutation(split)) - whole for _ in range(DRAWS)]
    deviation = np.sqrt(np.square(chance).mean(axis=0))
    deviation[deviation < ROUNDING] = np.inf
    bound = float(max((np.abs(draw) / deviation).max() for draw in chance))
    figures = _figures(counts, split)
    apart = (np.abs(figures - whole) / deviation).max(axis=0)
    by_split = manifest.groupby("split")
    totals = ((IMAGES, by_split.size()), (GROUPS, by_split["group"].nunique()))
    found = [Alike(what, "", {name: float(n[name]) for name in splits}) for what, n in totals]
    return found + [
        Alike(what, level, dict(zip(splits, values, strict=True)), distance, distance > bound)
        for (what, level), values, distance in zip(
            names, figures.T.tolist(), apart.tolist(), strict=True
        )
    ]


def note_on(figures: list[Alike], dataset: str) -> list[Problem]:
    """A sentence on the figure that is furthest apart, if any is by more than chance."""
    differing = sorted((figure for figure in figures if figure.differs), key=lambda f: -f.apart)
    if not differing:
        return []
    first = differing[0]
    values = ", ".join(f"{first.shown(split)} in {split}" for split in first.values)
    more = f"; so do {len(differing) - 1} more figures of the table of splits"
    what = f"has splits that differ by more than chance, most in {first.name} ({values})"
    fix = (
        "if the split came with the data, say with the results that they are on another kind of "
        "images than those trained on, or split the data again; if vitrial split the images, "
        "name the columns in split.stratify"
    )
    return [Problem(dataset, what + more * (len(differing) > 1), fix, fatal=False)]


def _counts(manifest: pd.DataFrame, unit: np.ndarray) -> tuple[list[tuple[str, str]], csr_array]:
    """What is compared; and counts (units, features): the images of each, all images, and groups.

    An image counts as its part of a group.
    """
    members = manifest["group"].map(manifest["group"].value_counts())
    several = np.where(members > 1, "several images", "one image")
    columns = [(SIZE, pd.Series(several)), (CLASS, manifest["label"])]
    columns += [(name, manifest[name]) for name in metadata_columns(manifest)]
    names, features, width = [(PER_GROUP, "")], [], 0
    for what, column in columns:
        level = levels(column).cat.remove_unused_categories().cat
        if 2 <= len(level.categories) <= (len(members) if what == CLASS else MOST_LEVELS):
            names += [(what, str(name)) for name in level.categories]
            features.append(level.codes.to_numpy(np.int64) + width)
            width += len(level.categories)
    features += [np.full(len(unit), width), np.full(len(unit), width + 1)]
    weights = np.ones((len(features), len(unit)))
    weights[-1] = 1 / members
    cells = np.tile(unit, len(features)), np.concatenate(features)
    return names, csr_array((weights.ravel(), cells), (unit.max() + 1, width + 2))


def _figures(counts: csr_array, split: np.ndarray) -> np.ndarray:
    """Images per group, then the share of images of every level: (splits, figures)."""
    units = np.arange(len(split))
    total = (csr_array((np.ones(len(split)), (split, units))) @ counts).toarray()
    images, groups = total[:, -2:-1], total[:, -1:]
    return np.hstack([images / groups, total[:, :-2] / images])
