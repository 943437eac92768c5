"""What is said of explanations, computed from what was measured image by image."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from vitrial.compare.bootstrap import Interval, grouped_mean
from vitrial.compare.verdict import verdict

LOCATED = ("pointing", "energy", "precision", "iou")
FAITHFUL = ("deletion", "insertion")
MEASURES = (*LOCATED, *FAITHFUL)
BASELINES = ("random", "centre")
"""Maps that know nothing of the model."""
TRANSFORMERS_METHODS = ("attention", "rollout", "attribution", "gradcam")
"""What a transformer is compared by with the CNN's Grad-CAM."""
FAILS_AT = 0.5
"""A map that correlates by this much with the untouched model's when every weight is random fails
the sanity check. Adebayo et al. (2018) look at the curve alone: the threshold is vitrial's."""
SEED = 20210809
"""Of the bootstrap: tables come out the same each time."""


def method_table(measures: pd.DataFrame) -> pd.DataFrame:
    """A row an arm and method, maps that know nothing last.

    Args:
        measures: A row an arm, repetition, method and image: see `vitrial.explanation.measure`.

    Returns:
        Columns arm, method; of each measure its mean and interval (`pointing`, `pointing_low`,
        `pointing_high`), NaN where nothing was measured; `images` with a lesion; means of
        `entropy` and `detail`, the median of `milliseconds`.
    """
    rows = []
    for (arm, method), table in _by_method(measures):
        row: dict[str, Any] = {"arm": arm, "method": method}
        for name in MEASURES:
            found = _interval(table[name], table["group"])
            row |= {name: found.mean, f"{name}_low": found.low, f"{name}_high": found.high}
        row["images"] = int(table["energy"].notna().sum())
        row |= {name: table[name].mean() for name in ("entropy", "detail")}
        rows.append({**row, "milliseconds": table["milliseconds"].median()})
    return pd.DataFrame(rows)


def paired_table(measures: pd.DataFrame, margin: float) -> pd.DataFrame:
    """Transformers against CNNs of the same initialisation, on the same images.

    An arm whose attention was read is a transformer. Each of its methods is compared with the
    CNN's Grad-CAM. Deletion and insertion follow a model's probability, so those of two models can
    only be compared by what each map gains over noise on its own model.

    Args:
        measures: See `method_table`.
        margin: Smallest difference that matters.

    Returns:
        Columns initialisation, transformer, method, cnn, measure, `difference` (positive favours
        the transformer, in deletion too), its `low` and `high`, `images`, `verdict`.
    """
    attentive = set(measures.loc[measures["method"] == "attention", "arm"])
    columns = ["arm", "backbone", "initialisation"]
    arms = measures[columns].drop_duplicates().itertuples(index=False)
    by_start: dict[str, list[Any]] = {}
    for arm in arms:
        by_start.setdefault(str(arm.initialisation), []).append(arm)
    tables = dict(_by_method(measures))
    rows = []
    for start, alike in by_start.items():
        pairs = [
            (t, c) for t in alike for c in alike if t.arm in attentive and c.arm not in attentive
        ]
        for transformer, cnn in pairs:
            for method in TRANSFORMERS_METHODS:
                ours, theirs = (transformer.arm, method), (cnn.arm, "gradcam")
                if ours not in tables or theirs not in tables:
                    continue
                for name, found in _differences(_gains(tables, *ours), _gains(tables, *theirs)):
                    rows.append(
                        {
                            "initialisation": start,
                            "transformer": transformer.backbone,
                            "method": method,
                            "cnn": cnn.backbone,
                            "measure": name,
                            **_in_columns(found),
                            "verdict": verdict(found.low, found.high, margin),
                        }
                    )
    return pd.DataFrame(rows)


def against_baselines(measures: pd.DataFrame) -> pd.DataFrame:
    """Each method against the maps that know nothing of its own model, on the same images.

    Returns:
        Columns arm, method, measure, baseline, `difference` (positive favours the method), its
        `low` and `high`, `images`, and `beats`: whether all of the interval is above zero.
    """
    tables = dict(_by_method(measures))
    rows = [
        {
            "arm": arm,
            "method": method,
            "measure": name,
            "baseline": baseline,
            **_in_columns(found),
            "beats": found.low > 0,
        }
        for (arm, method), table in tables.items()
        if method not in BASELINES
        for baseline in BASELINES
        if (arm, baseline) in tables
        for name, found in _differences(table, tables[arm, baseline])
    ]
    columns = ["arm", "method", "measure", "baseline", "difference", "low", "high", "images"]
    return pd.DataFrame(rows, columns=[*columns, "beats"])


def sanity_table(sanity: pd.DataFrame) -> pd.DataFrame:
    """Whether each method's map is gone when every weight is random.

    Args:
        sanity: A row an arm, method, step and image: see `vitrial.explanation.sanity`.

    Returns:
        Columns arm, method, `halfway` and `final`, the mean correlation over images when half and
        all of the layers are random, and `passes`.
    """
    rows = []
    for (arm, method), table in sanity.groupby(["arm", "method"], sort=False):
        curve = table.groupby("step")["correlation"].mean()
        if len(curve) == 1:  # nothing could be randomised
            continue
        final = float(curve.iloc[-1])
        halfway = float(curve.iloc[len(curve) // 2])
        passes = final < FAILS_AT
        rows.append(
            {"arm": arm, "method": method, "halfway": halfway, "final": final, "passes": passes}
        )
    return pd.DataFrame(rows, columns=["arm", "method", "halfway", "final", "passes"])


def _by_method(measures: pd.DataFrame) -> list[tuple[tuple[str, str], pd.DataFrame]]:
    """For each arm and method a row an image: the mean over repetitions."""
    names = [*MEASURES, "entropy", "detail", "milliseconds"]
    images = measures.groupby(["arm", "method", "image"], sort=False)
    means = images[names].mean().assign(group=images["group"].first())
    arms = {arm: place for place, arm in enumerate(measures["arm"].unique())}
    found = [
        ((str(arm), str(method)), table.droplevel(["arm", "method"]))
        for (arm, method), table in means.groupby(level=["arm", "method"], sort=False)
    ]
    return sorted(found, key=lambda item: (arms[item[0][0]], item[0][1] in BASELINES))


def _gains(tables: dict[tuple[str, str], pd.DataFrame], arm: str, method: str) -> pd.DataFrame:
    """An arm's measures, with deletion and insertion less those of noise on the same images."""
    table, noise = tables[arm, method], tables.get((arm, "random"))
    if noise is None:
        return table.assign(**dict.fromkeys(FAITHFUL, math.nan))
    return table.assign(**{name: table[name] - noise[name] for name in FAITHFUL})


def _differences(ours: pd.DataFrame, theirs: pd.DataFrame) -> list[tuple[str, Interval]]:
    """Of each measure that both have, ours less theirs on the images of both."""
    found = []
    for name in MEASURES:
        sign = -1 if name == "deletion" else 1
        difference = (sign * (ours[name] - theirs[name])).dropna()
        if len(difference):
            found.append((name, _interval(difference, ours.loc[difference.index, "group"])))
    return found


def _interval(values: pd.Series, groups: pd.Series) -> Interval:
    known = values.notna().to_numpy()
    if not known.any():
        return Interval(math.nan, math.nan, math.nan, 0, 0)
    return grouped_mean(values.to_numpy(np.float64)[known], groups.to_numpy()[known], SEED)


def _in_columns(found: Interval) -> dict[str, float]:
    return {"difference": found.mean, "low": found.low, "high": found.high, "images": found.n}
