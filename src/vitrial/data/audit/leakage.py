"""What may not be parted by a split: groups, and copies of an image whatever their groups say."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from vitrial.data.split import SPLITS
from vitrial.errors import Problem

NAMED = 10
"""Images of a set of copies that are named."""


def join_groups(
    manifest: pd.DataFrame,
    pairs: pd.DataFrame | None = None,
    on_contradiction: Literal["stop", "leave_out", "keep"] = "keep",
) -> tuple[pd.Series, list[Problem]]:
    """Join groups that share a picture, so that no split can part its copies.

    Groups that share pictures in a chain (A with B, B with C) become one.

    Args:
        manifest: Columns `image`, `label`, `group`, `sha256` (of the file) and, with `pairs`,
            `row` (in the cache); `split` where it is given.
        pairs: Of rows that show the same picture, as `find_duplicates` finds them.
        on_contradiction: What becomes of copies whose labels contradict each other.

    Returns:
        The groups, each joined one under the name of its first member; and a note for each set of
        copies, saying so where their labels contradict each other or given splits part them.
        Pictures of one group that are nearly the same are only reported if their labels contradict.
    """
    if manifest.empty:
        return manifest["group"], []
    group, names = pd.factorize(manifest["group"], sort=True)
    copies = sets_of_copies(manifest, pairs)
    # A graph whose nodes are groups and sets of copies; an image is an edge between the two.
    component = _components(group, len(names) + copies, len(names) + copies.max() + 1)
    first = pd.Series(names).groupby(component[: len(names)]).transform("first")
    joined = pd.Series(first.to_numpy()[group], index=manifest.index)
    return joined, _notes(manifest, pairs, on_contradiction)


def sets_of_copies(manifest: pd.DataFrame, pairs: pd.DataFrame | None = None) -> np.ndarray:
    """The number, int (n,), of the set of copies that each image belongs to, mostly alone."""
    content = _files(manifest, pairs)
    if pairs is None or pairs.empty or manifest.empty:
        return content
    content_of = pd.Series(content, index=manifest["row"])
    ends = np.stack([content_of.reindex(pairs[end]).to_numpy() for end in ("first", "second")])
    first, second = ends[:, ~np.isnan(ends).any(axis=0)].astype(np.int64)
    copies: np.ndarray = _components(first, second, content.max() + 1)[content]
    return copies


def contradicting(manifest: pd.DataFrame, pairs: pd.DataFrame) -> pd.Series:
    """Whether each image has a copy with another label; arguments as for `join_groups`."""
    copies = sets_of_copies(manifest, pairs)
    labels: pd.Series = manifest.groupby(copies)["label"].transform("nunique")
    return labels > 1


def equal_to_later_splits(manifest: pd.DataFrame, pairs: pd.DataFrame) -> dict[str, Problem]:
    """The images whose very pixels are in a later given split too (train, val, test), with notes.

    Args:
        manifest: As for `join_groups`.
        pairs: Likewise.
    """
    if "split" not in manifest or manifest.empty:
        return {}
    table = manifest.assign(
        order=manifest["split"].map(SPLITS.index), same=sets_of_copies(manifest, _equal(pairs))
    )
    last = table.sort_values("order", kind="stable").groupby("same").last()
    table = table.join(last[["order", "image", "split"]].add_prefix("last_"), on="same")
    columns = ["image", "split", "last_image", "last_split"]
    repeated = table.loc[table["order"] < table["last_order"], columns].to_numpy().tolist()
    return {
        image: Problem(
            image,
            f"is the same picture as {last} of {later}: left out of {split}",
            "nothing",
            False,
        )
        for image, split, last, later in repeated
    }


def straddling_groups(manifest: pd.DataFrame) -> dict[str, Problem]:
    """The groups, as the data name them, with images in several given splits, with the problem."""
    if "split" not in manifest:
        return {}
    rows = manifest[manifest.groupby("group")["split"].transform("nunique") > 1]
    return {str(group): _straddling(str(group), images) for group, images in rows.groupby("group")}


def _straddling(group: str, images: pd.DataFrame) -> Problem:
    splits = " and ".join(sorted(images["split"].unique()))
    named = ", ".join(images.drop_duplicates("split")["image"])
    fix = "give all images of a group the same split"
    return Problem(f"group {group}", f"has images in {splits}, such as {named}", fix)


def _files(manifest: pd.DataFrame, pairs: pd.DataFrame | None) -> np.ndarray:
    """A number, int (n,), for each file's content; a blank picture is the copy of none."""
    content, _ = pd.factorize(manifest["sha256"])
    if pairs is not None:
        blank = manifest["row"].isin(pairs.loc[pairs["kind"] == "blank", "first"]).to_numpy()
        content[blank] = len(content) + np.arange(blank.sum())
    numbers: np.ndarray = pd.factorize(content)[0]
    return numbers


def _equal(pairs: pd.DataFrame | None) -> pd.DataFrame | None:
    return None if pairs is None else pairs[pairs["kind"] != "near"]


def _components(first: np.ndarray, second: np.ndarray, n: int) -> np.ndarray:
    """The connected component, int (n,), of each node of a graph with these edges."""
    edges = coo_array((np.ones(len(first)), (first, second)), shape=(n, n))
    component: np.ndarray = connected_components(edges, directed=False)[1]
    return component


def _notes(
    manifest: pd.DataFrame, pairs: pd.DataFrame | None, on_contradiction: str
) -> list[Problem]:
    table = manifest.assign(
        image_itself=manifest["image"],
        file=_files(manifest, pairs),
        equal=sets_of_copies(manifest, _equal(pairs)),
        copies=sets_of_copies(manifest, pairs),
    )
    # From the strictest likeness to the loosest; a set is reported where it holds more than before.
    levels = (
        ("image_itself", "file", "are the same file", "remove the copies"),
        ("file", "equal", "are the same picture", "remove the copies"),
        ("equal", "copies", "are nearly the same picture", "look at them, and remove any copies"),
    )
    return [
        _note(same, what, fix, on_contradiction)
        for finer, level, what, fix in levels
        for _, same in table[table.duplicated(level, keep=False)].groupby(level, sort=False)
        if same[finer].nunique() > 1
        # Photographs of one lesion often resemble each other.
        and (level != "copies" or same["label"].nunique() > 1 or same["group"].nunique() > 1)
    ]


def _note(same: pd.DataFrame, what: str, fix: str, on_contradiction: str) -> Problem:
    labels = sorted(same["label"].unique())
    contradict = len(labels) > 1
    if "split" in same and same["split"].nunique() > 1:
        what += f" in {' and '.join(sorted(same['split'].unique()))}"
    if contradict:
        what += f" with different labels ({', '.join(labels)})"
        fix = "keep the right one, or leave all out with `on_contradiction: leave_out`"
        if on_contradiction == "leave_out":
            what, fix = f"{what}: left out", "keep the right one"
    else:
        what += ": they count as one group"
    more = f" and {len(same) - NAMED} more" if len(same) > NAMED else ""
    images = ", ".join(same["image"].head(NAMED)) + more
    return Problem(images, what, fix, fatal=contradict and on_contradiction == "stop")
