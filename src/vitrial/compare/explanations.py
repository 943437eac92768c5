"""What is said of explanations, computed from what was measured image by image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from vitrial.compare.group_means import Interval, difference_over_groups, mean_over_groups
from vitrial.compare.multiplicity import holm

LOCATED = ("pointing", "energy", "precision", "iou")
FAITHFUL = ("deletion", "insertion")
MEASURES = (*LOCATED, *FAITHFUL)
BASELINES = ("random", "center")
"""Maps that know nothing of the model: noise as coarse as the map that is compared, and a blob."""
FAILS_AT = 0.5
"""A map that correlates by this much with the untouched model's when every weight is random fails
the sanity check. Adebayo et al. (2018) look at the curve alone: the threshold is vitrial's."""
ALPHA = 0.05
"""What the p-values of a table, adjusted for their number (Holm), are held against."""

Key = tuple[str, str]
"""An arm and a method."""


def method_table(measures: pd.DataFrame) -> pd.DataFrame:
    """A row per arm and method, maps that know nothing last.

    Args:
        measures: A row per arm, repetition, method and image: see `vitrial.explain.measure`.

    Returns:
        Columns arm, method; of each measure its mean and interval (`pointing`, `pointing_low`,
        `pointing_high`), NaN where nothing was measured or there are too few groups; `images` with
        a lesion; means of `entropy` and `detail`, the median of `milliseconds`.
    """
    rows = []
    for (arm, method), table in _by_method(measures).items():
        row: dict[str, Any] = {"arm": arm, "method": method}
        for name in MEASURES:
            found = _mean(table, name)
            row |= {name: found.mean, f"{name}_low": found.low, f"{name}_high": found.high}
        row["images"] = table.loc[table["energy"].notna(), "image"].nunique()
        row |= {name: table[name].mean() for name in ("entropy", "detail")}
        rows.append({**row, "milliseconds": table["milliseconds"].median()})
    return pd.DataFrame(rows)


def paired_table(measures: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    """Transformers against CNNs of the same initialization, on the same images.

    Each of a transformer's methods is compared with the CNN's Grad-CAM. Deletion and insertion
    follow a model's probability, so those of two models can only be compared by what each map
    gains over noise on its own model, noise that is as coarse as that map.

    Args:
        measures: See `method_table`; `family` says what is a transformer and what a CNN.
        methods: Those that a transformer is compared by with the CNN's Grad-CAM.

    Returns:
        Columns initialization, transformer, method, cnn, measure, `difference` (positive favors
        the transformer, in deletion too), its `low` and `high`, `p` (of no difference, adjusted
        over all rows of the table), `images`.
    """
    tables = _by_method(measures)
    columns = ["arm", "backbone", "initialization", "family"]
    arms = measures[columns].drop_duplicates().to_dict("records")
    pairs = [
        (t, c)
        for t in arms
        for c in arms
        if (t["family"], c["family"]) == ("transformer", "cnn")
        and t["initialization"] == c["initialization"]
    ]
    rows = [
        {
            "initialization": transformer["initialization"],
            "transformer": transformer["backbone"],
            "method": method,
            "cnn": cnn["backbone"],
            "measure": name,
            **_in_columns(found),
        }
        for transformer, cnn in pairs
        for method in methods
        if (transformer["arm"], method) in tables and (cnn["arm"], "gradcam") in tables
        for name, found in _differences(
            _gains(tables, (transformer["arm"], method)), _gains(tables, (cnn["arm"], "gradcam"))
        )
    ]
    return _adjusted(rows, ["initialization", "transformer", "method", "cnn", "measure"])


def against_baselines(measures: pd.DataFrame) -> pd.DataFrame:
    """Each method against the maps that know nothing of its own model, on the same images.

    Returns:
        Columns arm, method, measure, baseline, `difference` (positive favors the method), its
        `low` and `high`, `p` (adjusted over all rows of the table), `images`, and `beats`: whether
        the method is shown to be better, missing where there are too few groups to say.
    """
    tables = _by_method(measures)
    rows = [
        {
            "arm": arm,
            "method": method,
            "measure": name,
            "baseline": baseline,
            **_in_columns(found),
        }
        for (arm, method), table in tables.items()
        if not is_baseline(method)
        for baseline, other in zip(BASELINES, (table["noise"].iloc[0], "center"), strict=True)
        if (arm, other) in tables
        for name, found in _gained(table, tables[arm, other])
    ]
    table = _adjusted(rows, ["arm", "method", "measure", "baseline"])
    beats = ((table["difference"] > 0) & (table["p"] < ALPHA)).astype("boolean")
    return table.assign(beats=beats.mask(table["p"].isna()))


def is_baseline(method: str) -> bool:
    """Whether a map knows nothing of the model: `center`, or noise such as `random 8x8`."""
    return method.startswith(BASELINES)


def sanity_table(sanity: pd.DataFrame) -> pd.DataFrame:
    """Whether each method's map is gone when every weight is random.

    Args:
        sanity: A row per arm, method, step and image: see `vitrial.explain.measures.sanity`.

    Returns:
        Columns arm, method, `halfway` and `final`, the mean correlation over images when half and
        all of the layers are random, and `passes`.
    """
    rows = []
    for (arm, method), table in sanity.groupby(["arm", "method"], sort=False):
        curve = table.groupby("step")["correlation"].mean()
        if len(curve) == 1:  # nothing could be randomized
            continue
        final = float(curve.iloc[-1])
        halfway = float(curve.iloc[len(curve) // 2])
        passes = final < FAILS_AT
        rows.append(
            {"arm": arm, "method": method, "halfway": halfway, "final": final, "passes": passes}
        )
    return pd.DataFrame(rows, columns=["arm", "method", "halfway", "final", "passes"])


def _by_method(measures: pd.DataFrame) -> dict[Key, pd.DataFrame]:
    """The rows of each arm and method, baselines last in each arm."""
    found = {
        (str(arm), str(method)): table
        for (arm, method), table in measures.groupby(["arm", "method"], sort=False)
    }
    arms = {str(arm): place for place, arm in enumerate(measures["arm"].unique())}
    return dict(sorted(found.items(), key=lambda item: (arms[item[0][0]], is_baseline(item[0][1]))))


def _runs(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """A measure: a row per group and image that all runs measured, a column per run."""
    index, columns = ["group", "image"], "repetition"
    return table.pivot(index=index, columns=columns, values=name).dropna()


def _gains(tables: dict[Key, pd.DataFrame], key: Key) -> pd.DataFrame:
    """A method's measures, with deletion and insertion less those of noise as coarse as it."""
    table = tables[key].set_index(["repetition", "image"])
    noise = tables.get((key[0], table["noise"].iloc[0]))
    if noise is None:
        return tables[key].assign(**dict.fromkeys(FAITHFUL, math.nan))
    less = noise.set_index(["repetition", "image"])
    return table.assign(**{name: table[name] - less[name] for name in FAITHFUL}).reset_index()


def _gained(ours: pd.DataFrame, theirs: pd.DataFrame) -> list[tuple[str, Interval]]:
    """Of each measure, ours less theirs in the same runs."""
    index = ["repetition", "image"]
    of, less = ours.set_index(index), theirs.set_index(index)
    signs = {name: -1 if name == "deletion" else 1 for name in MEASURES}
    gains = of.assign(**{name: sign * (of[name] - less[name]) for name, sign in signs.items()})
    found = [(name, _mean(gains.reset_index(), name)) for name in MEASURES]
    return [(name, interval) for name, interval in found if interval.n]


def _differences(ours: pd.DataFrame, theirs: pd.DataFrame) -> list[tuple[str, Interval]]:
    """Of each measure, ours less theirs on the images of both; the runs are each arm's own."""
    found = []
    for name in MEASURES:
        first, second = _runs(ours, name), _runs(theirs, name)
        rows = first.index.intersection(second.index)
        if len(rows):
            sign = -1 if name == "deletion" else 1
            a, b = (sign * of.loc[rows].to_numpy().T for of in (first, second))
            groups = rows.get_level_values("group").to_numpy()
            found.append((name, difference_over_groups(a, b, groups)))
    return found


def _mean(table: pd.DataFrame, name: str) -> Interval:
    runs = _runs(table, name)
    if runs.empty:
        return Interval(math.nan, math.nan, math.nan, math.nan, 0, 0, 0)
    groups = runs.index.get_level_values("group").to_numpy()
    return mean_over_groups(runs.to_numpy().T, groups)


def _in_columns(found: Interval) -> dict[str, float]:
    columns = {"difference": found.mean, "low": found.low, "high": found.high}
    return {**columns, "p": found.p, "images": found.n}


def _adjusted(rows: list[dict[str, Any]], names: list[str]) -> pd.DataFrame:
    """A table of comparisons, with p-values for as many as there are."""
    table = pd.DataFrame(rows, columns=[*names, "difference", "low", "high", "p", "images"])
    return table.assign(p=holm(table["p"].tolist()))
