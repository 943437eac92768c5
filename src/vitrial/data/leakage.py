"""What may not be parted by a split: groups, and copies of an image whatever their groups say."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from vitrial.errors import Problem

NAMED = 10
"""Images of a set of copies that are named."""


def join_groups(
    manifest: pd.DataFrame, pairs: pd.DataFrame | None = None
) -> tuple[pd.Series, list[Problem]]:
    """Join groups that share a picture, so that no split can part its copies.

    Groups that share pictures in a chain (A with B, B with C) become one.

    Args:
        manifest: Columns `image`, `label`, `group`, `sha256` (of the file) and, with `pairs`,
            `row` (in the cache).
        pairs: Of rows that show the same picture, as `find_duplicates` finds them.

    Returns:
        The groups, each joined one under the name of its first member; and a note for each set of
        copies, saying so where their labels contradict each other. Pictures of one group that are
        nearly the same are only told if their labels contradict.
    """
    if manifest.empty:
        return manifest["group"], []
    group, names = pd.factorize(manifest["group"], sort=True)
    copies = sets_of_copies(manifest, pairs)
    # A graph whose nodes are groups and sets of copies; an image is an edge between the two.
    component = _components(group, len(names) + copies, len(names) + copies.max() + 1)
    first = pd.Series(names).groupby(component[: len(names)]).transform("first")
    joined = pd.Series(first.to_numpy()[group], index=manifest.index)
    return joined, _notes(manifest, copies, pairs)


def sets_of_copies(manifest: pd.DataFrame, pairs: pd.DataFrame | None = None) -> np.ndarray:
    """The number, int (n,), of the set of copies that each image belongs to, mostly alone."""
    content, _ = pd.factorize(manifest["sha256"])
    if pairs is None or pairs.empty or manifest.empty:
        return content
    content_of = pd.Series(content, index=manifest["row"])
    ends = np.stack([content_of.reindex(pairs[end]).to_numpy() for end in ("first", "second")])
    first, second = ends[:, ~np.isnan(ends).any(axis=0)].astype(np.int64)
    return _components(first, second, content.max() + 1)[content]


def straddling_groups(
    manifest: pd.DataFrame, pairs: pd.DataFrame | None = None
) -> dict[str, Problem]:
    """The groups with images in several of the given splits, each with its problem.

    Args:
        manifest: As for `join_groups`, the groups joined.
        pairs: Likewise.
    """
    if "split" not in manifest:
        return {}
    straddles = manifest.groupby("group")["split"].transform("nunique") > 1
    rows = manifest.assign(copies=sets_of_copies(manifest, pairs))[straddles]
    return {str(group): _straddling(str(group), images) for group, images in rows.groupby("group")}


def _straddling(group: str, images: pd.DataFrame) -> Problem:
    parted = images[images.groupby("copies")["split"].transform("nunique") > 1]
    splits = " and ".join(sorted(images["split"].unique()))
    if parted.empty:
        what = f"has images in {splits}, such as "
        named = images.drop_duplicates("split")["image"]
    else:
        what = f"has images in {splits}, among them copies of one picture: "
        one = parted[parted["copies"] == parted["copies"].iloc[0]]
        named = one.drop_duplicates("split")["image"]
    mend = "give all images of a group, and copies of an image, the same split"
    return Problem(f"group {group}", what + ", ".join(named), mend)


def _components(first: np.ndarray, second: np.ndarray, n: int) -> np.ndarray:
    """The connected component, int (n,), of each node of a graph with these edges."""
    edges = coo_array((np.ones(len(first)), (first, second)), shape=(n, n))
    component: np.ndarray = connected_components(edges, directed=False)[1]
    return component


def _notes(manifest: pd.DataFrame, copies: np.ndarray, pairs: pd.DataFrame | None) -> list[Problem]:
    equal = None if pairs is None else pairs[pairs["kind"] == "pixels"]
    table = manifest.assign(
        image_itself=manifest["image"], equal=sets_of_copies(manifest, equal), copies=copies
    )
    # From the strictest likeness to the loosest; a set is told where it holds more than before.
    levels = (
        ("image_itself", "sha256", "are the same file", "remove the copies"),
        ("sha256", "equal", "are the same picture", "remove the copies"),
        ("equal", "copies", "are nearly the same picture", "look at them, and remove any copies"),
    )
    return [
        _note(same, what, mend)
        for finer, level, what, mend in levels
        for _, same in table[table.duplicated(level, keep=False)].groupby(level, sort=False)
        if same[finer].nunique() > 1
        # Photographs of one lesion often resemble each other.
        and (level != "copies" or same["label"].nunique() > 1 or same["group"].nunique() > 1)
    ]


def _note(same: pd.DataFrame, what: str, mend: str) -> Problem:
    labels = sorted(same["label"].unique())
    if len(labels) > 1:
        what, mend = f"{what} with different labels ({', '.join(labels)})", "keep the right one"
    else:
        what += ": they count as one group"
    more = f" and {len(same) - NAMED} more" if len(same) > NAMED else ""
    images = ", ".join(same["image"].head(NAMED)) + more
    return Problem(images, what, mend, fatal=False)
