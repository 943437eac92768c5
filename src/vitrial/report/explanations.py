"""The report's section on explanations: which maps are right, faithful, sane, sharp and cheap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from vitrial.compare.explanations import (
    ALPHA,
    FAITHFUL,
    LOCATED,
    against_baselines,
    is_baseline,
    method_table,
    paired_table,
    sanity_table,
)
from vitrial.compare.group_means import FEWEST_GROUPS
from vitrial.explain.explained import Explained
from vitrial.explain.methods import METHODS
from vitrial.explain.shown import Shown
from vitrial.layout import EXPLANATIONS
from vitrial.report.figures.explanations import explanation_plots
from vitrial.report.figures.figure_one import method_in_words
from vitrial.report.figures.gallery import MOST, gallery
from vitrial.report.figures.viewer import viewer_data

MEANINGS = {
    "pointing": "share of images whose map has its maximum on the lesion",
    "energy": "share of the map's sum that lies on the lesion",
    "precision": "average precision of the pixels as ranked by the map, against the lesion's",
    "iou": "overlap of the lesion with as many of the highest pixels: intersection over union",
    "deletion": "mean probability of the answer while the highest pixels are painted over first; "
    "lower is better",
    "insertion": "mean probability of the answer while the highest pixels come first into a "
    "blurred image; higher is better",
}
MEASURE_WORDS = {"iou": "IoU"}


@dataclass(frozen=True)
class Cell:
    """A figure of a table.

    Attributes:
        text: The mean.
        interval: Its 95 % interval, or nothing.
        unbeaten: The baselines that it is not shown to beat, or nothing.
    """

    text: str
    interval: str = ""
    unbeaten: str = ""


@dataclass(frozen=True)
class Row:
    """An arm's method, or a baseline.

    Attributes:
        arm: Backbone and initialization.
        method: In words.
        baseline: Whether the map knows nothing of the model.
        fails_sanity: Whether the method failed its sanity check.
        cells: Its figures.
    """

    arm: str
    method: str
    baseline: bool
    fails_sanity: bool
    cells: list[Cell]


def section(found: Explained | None) -> dict[str, Any] | None:
    """What `explanations.html.j2` needs.

    Args:
        found: What was measured of a study.

    Returns:
        None where nothing was measured; only `outdated` where an older version measured. Tables
        that nothing was measured for are empty; `data` is None without `shown.npz`.
    """
    if found is None:
        return None
    measures = found.measures
    if not {"noise", "family"} <= set(measures):
        return {"outdated": True}
    sanity = _sanity(found.sanity)
    table = method_table(measures)
    failing = {(row["arm"], row["method"]) for row in sanity if not row["passes"]}
    unbeaten = _unbeaten(against_baselines(measures))
    return {
        "folder": EXPLANATIONS,
        "counts": counts(measures),
        "images": measures["image"].nunique(),
        "lesions": measures.loc[measures["energy"].notna(), "image"].nunique(),
        "located": _rows(table, LOCATED, failing, unbeaten),
        "faithful": _rows(table, FAITHFUL, failing, unbeaten),
        "method_words": [
            (method.LABEL, method.SUMMARY)
            for name, method in METHODS.entries().items()
            if name in set(measures["method"])
        ],
        "located_plots": explanation_plots(table, _words(LOCATED)),
        "faithful_plots": explanation_plots(table, _words(FAITHFUL)),
        "located_words": _explained(LOCATED),
        "faithful_words": _explained(FAITHFUL),
        "sharp": _sharp(table, failing),
        "paired": _paired(measures),
        "sanity": sanity,
        **(_pictures(found.shown) if found.shown else {"data": None}),
    }


def _pictures(shown: Sequence[Shown]) -> dict[str, Any]:
    """Figure 1, and what the viewer of maps needs."""
    models = list(dict.fromkeys((one.arm, one.method) for image in shown for one in image.maps))
    return {
        "gallery": gallery(shown),
        "models": [f"{method_in_words(method)} of {arm}" for arm, method in models[:MOST]],
        "more": len(models[MOST:]),
        "data": viewer_data(shown),
    }


def counts(measures: pd.DataFrame) -> str:
    """What intervals count, in a sentence."""
    groups = measures["group"].nunique()
    if groups < FEWEST_GROUPS:
        return (
            f"Means without intervals: {groups} patients or lesions are too few, "
            f"{FEWEST_GROUPS} are needed."
        )
    runs = measures.groupby("arm")["repetition"].nunique()
    if runs.min() == 1:
        return (
            "Means with 95 % intervals over patients or lesions, of these trained models alone: "
            "with one repetition of an arm, nothing is known of others like it."
        )
    return (
        "Means over repetitions with 95 % intervals that count repetitions "
        f"({runs.min()} or more of each arm) and patients or lesions."
    )


def transformers_methods() -> list[str]:
    """The methods that a transformer is compared by with a CNN: those that do not fit any model."""
    return [
        name
        for name, method in METHODS.entries().items()
        if "transformer" in method.FAMILIES and not getattr(method, "ANY_MODEL", False)
    ]


def p_in_words(p: float) -> str:
    """Such as `0.012` and `< 0.001`; `-` where there are too few groups."""
    return "-" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _sanity(measured: pd.DataFrame) -> list[dict[Any, Any]]:
    """How much of each method's maps is left when all weights are random."""
    if measured.empty:
        return []
    rows = sanity_table(measured).to_dict("records")
    return [{**row, "words": _method(row["method"])} for row in rows]


def _unbeaten(comparisons: pd.DataFrame) -> dict[tuple[str, str, str], str]:
    """The baselines that an arm's method is not shown to beat in a measure."""
    found: dict[tuple[str, str, str], str] = {}
    for row in comparisons.to_dict("records"):
        if row["beats"] is False:
            key = (row["arm"], row["method"], row["measure"])
            found[key] = ", ".join(filter(None, (found.get(key), row["baseline"])))
    return found


def _rows(
    table: pd.DataFrame,
    names: tuple[str, ...],
    failing: set[tuple[str, str]],
    unbeaten: dict[tuple[str, str, str], str],
) -> list[Row]:
    """A row per arm and method; none where nothing was measured."""
    rows = []
    for row in table.to_dict("records"):
        key = (row["arm"], row["method"])
        cells = [
            Cell(
                _number(row[name], "{:.3f}"),
                _interval(row[f"{name}_low"], row[f"{name}_high"]),
                unbeaten.get((*key, name), ""),
            )
            for name in names
        ]
        if any(not math.isnan(row[name]) for name in names):
            rows.append(_row(key, failing, cells))
    return rows


def _sharp(table: pd.DataFrame, failing: set[tuple[str, str]]) -> list[Row]:
    return [
        _row(
            (row["arm"], row["method"]),
            failing,
            [
                Cell(_number(row["entropy"], "{:.2f}")),
                Cell(_number(row["detail"], "{:.0f}")),
                Cell("-" if is_baseline(row["method"]) else _number(row["milliseconds"], "{:.1f}")),
            ],
        )
        for row in table.to_dict("records")
    ]


def _row(key: tuple[str, str], failing: set[tuple[str, str]], cells: list[Cell]) -> Row:
    arm, method = key
    return Row(arm, _method(method), is_baseline(method), key in failing, cells)


def _paired(measures: pd.DataFrame) -> list[dict[Any, Any]]:
    """Transformers less CNNs, in words."""
    return [
        {
            **row,
            "method": _method(row["method"]),
            "measure": _measure(row["measure"]),
            "difference": _number(row["difference"], "{:+.3f}"),
            "interval": _interval(row["low"], row["high"], "{:+.3f}"),
            "p": p_in_words(row["p"]),
            "shown": row["p"] < ALPHA,
        }
        for row in paired_table(measures, transformers_methods()).to_dict("records")
    ]


def _explained(names: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(_measure(name), MEANINGS[name]) for name in names]


def _words(names: tuple[str, ...]) -> dict[str, str]:
    return {name: _measure(name) for name in names}


def _interval(low: float, high: float, pattern: str = "{:.3f}") -> str:
    return "" if math.isnan(low) else f"[{pattern.format(low)}, {pattern.format(high)}]"


def _number(value: float, pattern: str) -> str:
    return "-" if math.isnan(value) else pattern.format(value)


def _method(name: str) -> str:
    kind, _, grid = name.partition(" ")
    words = method_in_words(kind)
    return f"{words}, {grid.replace('x', ' x ')}" if grid else words


def _measure(name: str) -> str:
    return MEASURE_WORDS.get(name, name)
