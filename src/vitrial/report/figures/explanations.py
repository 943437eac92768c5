"""How right and how faithful maps are: forest plots of each measure, by arm and method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from markupsafe import Markup

from vitrial.compare.explanations import is_baseline
from vitrial.report.figures.figure_one import method_in_words
from vitrial.report.figures.forest import Interval, Row, forest, row_scale
from vitrial.report.figures.panels import MOST, grid, key


def explanation_plots(table: pd.DataFrame, measures: Mapping[str, str]) -> Markup:
    """A plot per measure: rows are arms, in each an interval of every method.

    Args:
        table: Of `vitrial.compare.explanations.method_table`.
        measures: Names of its columns and what they are called; what was not measured has no plot.
    """
    kinds = sorted(
        dict.fromkeys(_kind(method) for method in table["method"]), key=is_baseline
    )  # as they stand in the tables: maps that know nothing last
    series = {kind: place for place, kind in enumerate(kinds)}
    arms = list(dict.fromkeys(table["arm"]))
    parts = [arms[i : i + MOST] for i in range(0, len(arms), MOST)]
    return grid(
        _plot(f"{name}-{place}", table[table["arm"].isin(part)], name, words, series)
        for name, words in measures.items()
        if table[name].notna().any()
        for place, part in enumerate(parts, 1)
    )


def _plot(
    plot: str, table: pd.DataFrame, name: str, words: str, series: Mapping[str, int]
) -> Markup:
    rows = [
        Row(str(arm), "", _intervals(of, name, series))
        for arm, of in table.groupby("arm", sort=False)
    ]
    legend = key(
        [(method_in_words(kind), number, "") for kind, number in series.items()], words, lines=False
    )
    return forest(
        f"explanations-{plot}",
        f"{words} of maps",
        f"{words} with intervals for each of {len(rows)} arms, by {_listed(list(series))}.",
        rows,
        words,
        x=row_scale(rows, within=(0, 1)),
        legend=legend,
    )


def _intervals(table: pd.DataFrame, name: str, series: Mapping[str, int]) -> tuple[Interval, ...]:
    return tuple(
        Interval(row[name], row[f"{name}_low"], row[f"{name}_high"], series[_kind(row["method"])])
        for row in table.to_dict("records")
    )


def _kind(method: str) -> str:
    """The method, or the kind of map that knows nothing: noise of any grid is `random`."""
    return method.partition(" ")[0]


def _listed(kinds: Sequence[str]) -> str:
    return ", ".join(map(method_in_words, kinds))
