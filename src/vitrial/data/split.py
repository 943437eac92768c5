"""Dividing a data set into train, validation and test, by group and stratified by label."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from vitrial.errors import DataError, Problem
from vitrial.protocol import Split

SPLITS = ("train", "val", "test")


def split_manifest(manifest: pd.DataFrame, split: Split) -> pd.Series:
    """Say for each image whether it is train, val or test.

    The data's own `split` column is respected; splits that it lacks are drawn from its training
    images by their fractions.

    Args:
        manifest: Columns `image`, `label`, `group` and perhaps `split`.
        split: Fractions, grouping and seed.

    Returns:
        A string series aligned with the manifest. It depends on which images there are, not on
        their order.

    Raises:
        DataError: A class cannot be found in every split.
    """
    given = manifest["split"] if "split" in manifest else pd.Series("train", index=manifest.index)
    result = given.astype(object)
    missing = [name for name in SPLITS if name == "train" or not (given == name).any()]
    if len(missing) > 1:
        pool = manifest[given == "train"]
        if pool.empty:
            problem = Problem("train", "has no image", "give the data set a training split")
            raise DataError(f"{' and '.join(missing)} cannot be drawn from train.", [problem])
        groups = pool["group"] if split.grouped else pool["image"]
        shares = np.array([split.fractions[SPLITS.index(name)] for name in missing])
        assigned = assign_groups(
            pool["label"].to_numpy(), groups.to_numpy(), shares / shares.sum(), split.seed
        )
        result[given == "train"] = np.array(missing, dtype=object)[assigned]
    _check_classes(manifest["label"], result)
    return result.astype(str)


def assign_groups(
    labels: np.ndarray, groups: np.ndarray, fractions: np.ndarray, seed: int
) -> np.ndarray:
    """Divide images so that groups stay whole and each label is shared out by the fractions.

    Every part first receives a group of each label that has enough groups. Then groups, large
    ones first, go one by one to the part that is furthest from its share of the group's labels
    (after Sechidis et al., "On the stratification of multi-label data", ECML 2011).

    Args:
        labels: (n,) labels.
        groups: (n,) group names.
        fractions: (parts,) shares, adding up to 1.
        seed: Decides between groups that are alike.

    Returns:
        (n,) index of the part that each image belongs to.
    """
    names, group = np.unique(groups, return_inverse=True)
    _, label = np.unique(labels, return_inverse=True)
    counts = np.zeros((len(names), label.max() + 1))
    np.add.at(counts, (group, label), 1)
    totals = counts.sum(axis=0)
    wanted = np.outer(fractions, totals)
    part = np.full(len(names), -1)

    def give(g: int, p: int) -> None:
        part[g] = p
        wanted[p] -= counts[g]

    shuffled = np.random.default_rng(seed).permutation(len(names))
    size = counts.sum(axis=1)
    small_first = shuffled[np.argsort(size[shuffled], kind="stable")]
    for c in np.argsort(totals, kind="stable"):
        for p in np.argsort(fractions, kind="stable"):
            has_label = counts[:, c] > 0
            free = small_first[(part[small_first] < 0) & has_label[small_first]]
            if len(free) and not (has_label & (part == p)).any():
                give(free[0], p)
    for g in shuffled[np.argsort(-size[shuffled], kind="stable")]:
        if part[g] < 0:
            give(g, int(np.argmax(wanted @ (counts[g] / totals))))
    return np.asarray(part[group])


def split_hash(images: Sequence[str], parts: Sequence[str]) -> str:
    """12 hexadecimal digits that change with any image's split; the order is irrelevant."""
    lines = sorted(f"{image}\t{part}" for image, part in zip(images, parts, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def _check_classes(labels: pd.Series, parts: pd.Series) -> None:
    table = pd.crosstab(labels, parts).reindex(columns=list(SPLITS), fill_value=0)
    problems = [
        Problem(
            f"class {label}",
            f"has no image in {', '.join(table.columns[row == 0])}",
            "give it images of at least 3 patients, or leave it out with `data.classes`",
        )
        for label, row in table.iterrows()
        if (row == 0).any()
    ]
    if problems:
        raise DataError("The split lacks classes.", problems)
