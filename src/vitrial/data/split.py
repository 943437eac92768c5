"""Dividing a data set into train, validation and test that are alike."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from vitrial.data.assign import assign_groups
from vitrial.data.levels import levels, metadata_columns
from vitrial.errors import DataError, Problem
from vitrial.protocol import Split
from vitrial.spelling import did_you_mean

SPLITS = ("train", "val", "test")


def split_manifest(manifest: pd.DataFrame, split: Split) -> pd.Series:
    """Say for each image whether it is train, val or test.

    The data's own `split` column is respected; splits that it lacks are drawn from its training
    images by their fractions.

    Args:
        manifest: Columns `image`, `label`, `group`, perhaps `split`, and those of
            `split.stratify`.
        split: Fractions, grouping, columns to stratify by, and seed.

    Returns:
        A string series aligned with the manifest. It depends on which images there are, not on
        their order.

    Raises:
        DataError: A class cannot be found in every split, or a column of `split.stratify` is
            not there.
    """
    require_stratify(manifest, split)
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
        columns = [levels(pool[name]).to_numpy() for name in split.stratify]
        assigned = assign_groups(
            pool["label"].to_numpy(), groups.to_numpy(), shares / shares.sum(), split.seed, columns
        )
        result[given == "train"] = np.array(missing, dtype=object)[assigned]
    _check_classes(manifest["label"], result)
    return result.astype(str)


def require_stratify(manifest: pd.DataFrame, split: Split) -> None:
    """Refuse a split by columns that the data set does not have.

    Raises:
        DataError: Names the columns that are missing, and those there are.
    """
    known = metadata_columns(manifest)
    if absent := [name for name in split.stratify if name not in known]:
        meant = "; ".join(f"'{name}'{did_you_mean(name, known)}" for name in absent).rstrip("?")
        what = f"names no column of the data set: {meant}"
        fix = f"name some of its columns: {', '.join(known)}" if known else "it has none: remove it"
        sentence = f"split.stratify {what}. {fix[0].upper()}{fix[1:]}."
        raise DataError(sentence, [Problem("split.stratify", what, fix)])


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
