"""What may not be parted by a split: groups, and identical files whatever their groups say."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from vitrial.errors import Problem


def join_groups(manifest: pd.DataFrame) -> tuple[pd.Series, list[Problem]]:
    """Join groups that share a file, so that no split can part its copies.

    Groups that share files in a chain (A with B, B with C) become one.

    Args:
        manifest: Columns `image`, `label`, `group` and `sha256` (of the file).

    Returns:
        The groups, each joined one under the name of its first member; and a note for each set of
        identical files, saying so where their labels contradict each other.
    """
    if manifest.empty:
        return manifest["group"], []
    group, names = pd.factorize(manifest["group"], sort=True)
    content, _ = pd.factorize(manifest["sha256"])
    # A graph whose nodes are groups and contents; an image is an edge between the two.
    n = len(names) + content.max() + 1
    edges = (np.ones(len(group)), (group, len(names) + content))
    _, component = connected_components(coo_array(edges, shape=(n, n)), directed=False)
    first = pd.Series(names).groupby(component[: len(names)]).transform("first")
    joined = pd.Series(first.to_numpy()[group], index=manifest.index)
    return joined, _notes(manifest)


def straddling_groups(manifest: pd.DataFrame) -> dict[str, Problem]:
    """The groups with images in several of the given splits, each with its problem."""
    if "split" not in manifest:
        return {}
    straddles = manifest.groupby("group")["split"].transform("nunique") > 1
    return {
        str(group): Problem(
            f"group {group}",
            f"has images in {' and '.join(sorted(rows['split'].unique()))}, such as "
            + ", ".join(rows.drop_duplicates("split")["image"]),
            "give all images of a group, and copies of an image, the same split",
        )
        for group, rows in manifest[straddles].groupby("group")
    }


def _notes(manifest: pd.DataFrame) -> list[Problem]:
    copies = manifest[manifest.duplicated("sha256", keep=False)]
    notes = []
    for _, same in copies.groupby("sha256", sort=False):
        labels = sorted(same["label"].unique())
        images = ", ".join(same["image"])
        if len(labels) > 1:
            what = f"are the same file with different labels ({', '.join(labels)})"
            notes.append(Problem(images, what, "keep the right one", fatal=False))
        else:
            what = "are the same file: they count as one group"
            notes.append(Problem(images, what, "remove the copies", fatal=False))
    return notes
