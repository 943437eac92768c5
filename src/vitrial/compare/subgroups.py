"""Results in parts of the test set, such as women and men, and how far these are apart."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from vitrial.compare.aligned import Aligned, Pair, effects
from vitrial.compare.group_means import FEWEST_GROUPS
from vitrial.compare.jackknife import Jackknife, members

BAND = 20
"""Years of an age band."""
MOST_VALUES = 12
"""A column of numbers with more is cut into four parts of about as many images."""
UNKNOWN = "unknown"
GROUPS = "too few groups"
CLASSES = "lacks a class"


def parts_of(column: pd.Series) -> pd.Series:
    """The subgroup of each image by a column of the manifest, in words.

    Ages (of a column whose name has the word) are cut into bands of 20 years, other numbers of
    more than 12 values into quarters; other values stay as they are. What is missing is `unknown`.
    """
    numbers = pd.to_numeric(column, errors="coerce")
    numeric = bool(numbers.notna().any()) and bool(numbers[column.notna()].notna().all())
    if numeric and "age" in str(column.name).lower().split("_"):
        first = (numbers // BAND * BAND).astype("Int64")
        parts = first.astype(str) + "-" + (first + BAND - 1).astype(str)
    elif numeric and numbers.nunique() > MOST_VALUES:
        cut = pd.qcut(numbers, 4, duplicates="drop")
        parts = cut.map(lambda part: f"{part.left:.4g} to {part.right:.4g}").astype(str)
    else:
        parts = column.astype(str)
    return parts.mask(column.isna(), UNKNOWN)


def subgroup_tables(
    test: Aligned, by: str, metric: str, pairs: Sequence[Pair]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A metric in each subgroup, and each arm's largest gap between two.

    Subgroups of fewer than 20 patients or lesions are named and not judged, nor are those that
    lack a class: what averages over classes would then mean something else.

    Args:
        test: What is judged.
        by: A column of the manifest.
        metric: Its name.
        pairs: Of arms.

    Returns:
        Two tables. Columns of the first: `column`, `subgroup`, `images`, `groups`, those of
        `vitrial.compare.aligned.effects`, and `why` a subgroup is not judged. Of the second:
        `column`, `arm`, `best`, `worst` (of the arm's subgroups by value, whichever way is better),
        `gap`, `low`, `high`: the interval is widened (Bonferroni) by the number of pairs of
        subgroups that the largest was picked from.
    """
    parts = parts_of(test.images[by]).to_numpy()
    classes = len(np.unique(test.targets))
    member = members(test.groups)
    rows, scored = [], {}
    for part in sorted(set(parts)):
        inside = parts == part
        only = test.only(inside)
        groups = len(set(only.groups))
        sizes = {"column": by, "subgroup": part, "images": int(inside.sum()), "groups": groups}
        few = groups < FEWEST_GROUPS
        if few or len(np.unique(only.targets)) < classes:
            rows.append(pd.DataFrame([{**sizes, "why": GROUPS if few else CLASSES}]))
            continue
        own = only.scored(metric)
        scored[part] = _among_all(own, member, inside)
        rows.append(effects(own, test.arms, pairs).assign(**sizes))
    columns = ["column", "subgroup", "images", "groups", "arm", "less", "value", "low", "high"]
    table = pd.concat(rows, ignore_index=True).reindex(columns=[*columns, "repetitions", "why"])
    return table, pd.DataFrame(
        [_largest_gap(arm, test.arms, scored, by) for arm in dict.fromkeys(test.arms)]
        if len(scored) > 1
        else [],
        columns=["column", "arm", "best", "worst", "gap", "low", "high"],
    )


def _among_all(own: Jackknife, member: np.ndarray, inside: np.ndarray) -> Jackknife:
    """A subgroup's scores without each group of the whole test set; most are not in it."""
    present = pd.unique(member[inside])  # as `members` numbers them
    deleted = np.repeat(own.scores[:, None], member.max() + 1, axis=1)
    deleted[:, present] = own.deleted
    return Jackknife(own.scores, deleted)


def _largest_gap(
    arm: str, arms: Sequence[str], scored: dict[str, Jackknife], by: str
) -> dict[str, object]:
    at = np.array(arms) == arm
    means = {part: float(of.scores[at].mean()) for part, of in scored.items()}
    best, worst = max(means, key=lambda p: means[p]), min(means, key=lambda p: means[p])
    first, second = scored[best], scored[worst]
    gap = Jackknife((first.scores - second.scores)[at], (first.deleted - second.deleted)[at])
    pairs = len(list(itertools.combinations(scored, 2)))
    (row,) = effects(gap, [arm] * int(at.sum()), (), 1 - 0.05 / pairs).to_dict("records")
    ends = {"gap": row["value"], "low": row["low"], "high": row["high"]}
    return {"column": by, "arm": arm, "best": best, "worst": worst, **ends}
