"""Forest plots by class or subgroup: a row for each, an interval for each arm."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from markupsafe import Markup

from vitrial.report.figures.forest import Interval, Row, forest, parts_of, row_scale
from vitrial.report.figures.panels import Panel, grid, key


def parts_plots(
    name: str,
    title: str,
    table: pd.DataFrame,
    panels: Sequence[Panel],
    label: str,
    within: tuple[float, float] | None = None,
) -> Markup:
    """A plot per panel: rows are parts of the test images, in each an interval of every arm.

    Args:
        name: Of the figure; each plot's has a number more.
        title: What it shows.
        table: Columns `part`, `images`, `arm`, `value`, `low`, `high`; parts in their order.
        panels: Which arms share a plot; all plots have the same axis.
        label: Of the axis.
        within: Values that the axis does not exceed.
    """
    rows = [_rows(table, panel) for panel in panels]
    x = row_scale([row for of in rows for row in of], within=within)
    plots = [(panel, part) for panel, of in zip(panels, rows, strict=True) for part in parts_of(of)]
    return grid(
        forest(
            f"{name}-{place}",
            f"{title}, {panel.title}",
            _said(part, panel),
            part,
            label,
            x=x,
            legend=key(
                [(words, panel.series[arm], "") for arm, words in panel.labels.items()],
                panel.title,
                lines=False,
            ),
        )
        for place, (panel, part) in enumerate(plots, 1)
    )


def _rows(table: pd.DataFrame, panel: Panel) -> list[Row]:
    rows = []
    for part, of in table.groupby("part", sort=False):
        ends = {row["arm"]: row for row in of.to_dict("records")}
        intervals = tuple(
            Interval(row["value"], row["low"], row["high"], panel.series[arm])
            for arm in panel.labels
            if (row := ends.get(arm))
        )
        rows.append(Row(str(part), f"n = {of['images'].iloc[0]:,}", intervals))
    return rows


def _said(rows: Sequence[Row], panel: Panel) -> str:
    names = ", ".join(panel.labels.values())
    return f"For each of {len(rows)} rows an interval of {names}; the numbers are below."
