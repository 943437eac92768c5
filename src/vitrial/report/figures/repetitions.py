"""Every repetition as a point, with the median and the interval of each arm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from vitrial.report.figures.forest import Interval, Row, forest, row_scale
from vitrial.report.figures.panels import Panel, grid, key


def repetition_table(scores: pd.DataFrame, endpoint: str, effects: pd.DataFrame) -> pd.DataFrame:
    """What the plot shows, a row per arm.

    Args:
        scores: Columns arm and the endpoint, a row per run.
        endpoint: Its name.
        effects: Of the arms: `arm`, `low` and `high` of the mean's interval; some arms may be
            missing.

    Returns:
        Columns `arm`, `runs`, `median`, `lowest`, `highest`, `mean`, `low`, `high`.
    """
    by_arm = scores.groupby("arm", sort=False)[endpoint]
    table = by_arm.agg(runs="size", median="median", lowest="min", highest="max", mean="mean")
    return table.reset_index().merge(effects[["arm", "low", "high"]], on="arm", how="left")


def repetition_plots(
    table: pd.DataFrame,
    scores: pd.DataFrame,
    endpoint: str,
    panels: Sequence[Panel],
    label: str,
    chance: float | None,
) -> Markup:
    """A plot per panel, all with the same axis.

    Args:
        table: Of `repetition_table`.
        scores: Columns arm and the endpoint, a row per run.
        endpoint: Its name.
        panels: Which arms share a plot.
        label: Of the endpoint.
        chance: What guessing scores, drawn as a line where it is within reach of the scores.
    """
    points = scores.groupby("arm")[endpoint].agg(tuple)
    by_arm = {row["arm"]: row for row in table.to_dict("records")}
    rows = {
        panel.title: [_row(arm, panel, by_arm[arm], points[arm]) for arm in panel.labels]
        for panel in panels
    }
    x = row_scale([row for of in rows.values() for row in of])
    reference = chance if chance is not None and x.low <= chance <= x.high else None
    return grid(
        forest(
            f"repetitions-{place}",
            f"{label} of every repetition, {panel.title}",
            "; ".join(f"{row.label} {row.figures}" for row in rows[panel.title]),
            rows[panel.title],
            f"test {label}",
            x=x,
            legend=key([], panel.title),
            reference=reference,
        )
        for place, panel in enumerate(panels, 1)
    )


def _row(arm: str, panel: Panel, found: dict[Any, Any], points: tuple[float, ...]) -> Row:
    interval = Interval(found["median"], found["low"], found["high"], panel.series[arm], points)
    return Row(panel.labels[arm], f"{found['median']:.3f}", (interval,))
