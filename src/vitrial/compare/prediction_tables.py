"""Tables of predictions, from whatever program: what is wrong in them, and their logits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from vitrial.errors import Problem
from vitrial.metrics import ENDPOINTS
from vitrial.metrics.metric import OfPairs

SHOWN = 3
"""Images that are named of each kind of fault."""
TINY = 1e-300
"""The least probability that has a logarithm."""


def problems_of(tables: dict[str, pd.DataFrame], endpoint: str) -> list[Problem]:
    """All that keeps tables of predictions from being compared, or an empty list.

    Args:
        tables: By name; of the same images in each.
        endpoint: That is to be computed of them.
    """
    problems: list[Problem] = []
    for name, table in tables.items():
        problems += _problems_of_one(name, table, endpoint)
    if problems:
        return problems
    (first_name, first), *others = tables.items()
    first = first.set_index("image").sort_index()
    for name, table in others:
        problems += _differences(first_name, first, name, table.set_index("image").sort_index())
    return problems


def _problems_of_one(name: str, table: pd.DataFrame, endpoint: str) -> list[Problem]:
    missing = [column for column in ("image", "target") if column not in table]
    if missing:
        what = f"has no column {' or '.join(missing)}"
        return [Problem(name, what, f"name its columns so; it has {', '.join(table.columns)}")]
    if table.empty:
        return [Problem(name, "has no rows", "give it predictions")]
    problems = [
        Problem(name, f"lacks the {column} of {table[column].isna().sum()} rows", "fill it in")
        for column in ("image", "target")
        if table[column].isna().any()
    ]
    if twice := table["image"][table["image"].duplicated()].tolist():
        problems.append(Problem(name, f"has images twice: {_named(twice)}", "keep one row of each"))
    targets = pd.to_numeric(table["target"], errors="coerce")
    if ((targets != targets.round()) | (targets < 0)).any():
        what = "has targets that are no class indices"
        problems.append(Problem(name, what, "number the classes from 0"))
    columns = _score_columns(table)
    if not columns:
        fix = "give it logit_0, logit_1 ... or probability_0 ... or score"
        return [*problems, Problem(name, "has no predictions", fix)]
    numbers = table[columns].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    if bad := table["image"][~np.isfinite(numbers).all(axis=1)].astype(str).tolist():
        what = f"has predictions that are no finite numbers, of {_named(bad)}"
        problems.append(Problem(name, what, "predict these images again"))
    classes = max(2, len(columns))
    if (targets >= classes).any():
        what = f"has targets up to {int(targets.max())}, but predictions of {classes} classes"
        problems.append(Problem(name, what, "give a column for every class"))
    elif targets.nunique() < 2:
        what = "has images of one class alone: nothing can be distinguished"
        problems.append(Problem(name, what, "give it images of every class"))
    elif isinstance(ENDPOINTS[endpoint].form, OfPairs) and targets.nunique() < classes:
        what = (
            f"has images of {targets.nunique()} of {classes} classes: "
            f"{ENDPOINTS[endpoint].label} needs all"
        )
        problems.append(Problem(name, what, "choose another endpoint, or leave the class out"))
    if "group" in table and table["group"].isna().any():
        problems.append(Problem(name, "lacks the group of some images", "fill it in"))
    return problems


def _differences(
    first_name: str, first: pd.DataFrame, name: str, other: pd.DataFrame
) -> list[Problem]:
    apart = first.index.symmetric_difference(other.index).astype(str).tolist()
    if apart:
        what = f"has other images than {first_name}: {_named(apart)}"
        return [Problem(name, what, "predict the same test images in every run")]
    problems = []
    for column in ("target", "group"):
        if (column in first) != (column in other):
            what = f"has a column {column} or lacks it, unlike {first_name}"
            problems.append(Problem(name, what, "give it in every file or in none"))
        elif column in first and (different := first[column].ne(other[column])).any():
            what = f"disagrees with {first_name} on the {column} of "
            named = _named(first.index[different].astype(str).tolist())
            problems.append(Problem(name, what + named, "find out which is right"))
    if len(_score_columns(first)) != len(_score_columns(other)):
        what = f"has predictions of another number of classes than {first_name}"
        problems.append(Problem(name, what, "predict the same classes in every run"))
    return problems


def _score_columns(table: pd.DataFrame) -> list[str]:
    for stem in ("logit", "probability"):
        count = sum(column.startswith(f"{stem}_") for column in map(str, table.columns))
        names = [f"{stem}_{c}" for c in range(count)]
        if count >= 2 and set(names) <= set(table.columns):
            return names
    return ["score"] if "score" in table else []


def as_logits(table: pd.DataFrame) -> np.ndarray:
    """Logits (n, classes) of a table with logits, probabilities or scores."""
    columns = _score_columns(table)
    values = table[columns].to_numpy(dtype=float)
    if columns == ["score"]:
        if values.min() < 0 or values.max() > 1:  # log-odds
            return np.concatenate([np.zeros_like(values), values], axis=1)
        values = np.concatenate([1 - values, values], axis=1)
    elif columns[0].startswith("logit"):
        return values
    return np.asarray(np.log(np.clip(values, TINY, None)))


def _named(images: Sequence[object]) -> str:
    more = f" and {len(images) - SHOWN} more" if len(images) > SHOWN else ""
    return ", ".join(map(str, images[:SHOWN])) + more
