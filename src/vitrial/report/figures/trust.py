"""Whether probabilities can be believed and acted on: reliability and decision curves."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from markupsafe import Markup

from vitrial.report.figures.panels import Panel, grid, key
from vitrial.report.figures.svg import (
    ROW,
    SIZE,
    WIDTH,
    Scale,
    color,
    line,
    mark,
    picture,
    scale,
    segment,
    text,
    x_axis,
    y_axis,
)

LEFT, GAP, SIDE, HEIGHT = 34.0, 38.0, 140.0, 190.0
"""Room for the vertical axis's values, between squares; their side, and the height of a curve."""
SHARES = (0.0, 0.5, 1.0)
BELOW = 0.25
"""A net benefit is shown down to so much of the highest: below, acting is clearly harmful."""
ABOVE = 1.1
"""And up to so much, for the words beside the line of acting on all."""


def reliability_plots(table: pd.DataFrame, panels: Sequence[Panel]) -> Markup:
    """Accuracy by confidence before and after the temperature, side by side; a plot per panel.

    Args:
        table: Of `vitrial.compare.temperature.reliability_table`, with a column `when`.
        panels: Which arms share a plot.
    """
    return grid(
        _reliability(f"reliability-{place}", table, panel) for place, panel in enumerate(panels, 1)
    )


def _reliability(name: str, table: pd.DataFrame, panel: Panel) -> Markup:
    legend, top = _legend(panel)
    top += 3 * ROW
    parts = [legend, text(0, top - 8 - ROW, "share of answers that are right", "label")]
    for place, when in enumerate(("before", "after")):
        start = LEFT + place * (SIDE + GAP)
        x, y = Scale(0, 1, start, start + SIDE), Scale(0, 1, top + SIDE, top)
        parts.append(text(start, top - 8, f"{when} temperature"))
        parts.append(x_axis(x, y, "confidence", SHARES))
        if place == 0:
            parts.append(y_axis(x, y, SHARES))
        parts.append(segment(x(0), y(0), x(1), y(1), "reference"))
        parts += _lines(x, y, table[table["when"] == when], ("confidence", "accuracy"), panel)
    return picture(
        name,
        f"Reliability, {panel.title}",
        "How often answers of each confidence are right, before and after the temperature; on the "
        "diagonal confidence is what it says, below it the model is overconfident.",
        top + SIDE + 2.4 * ROW,
        parts,
    )


def decision_plots(table: pd.DataFrame, panels: Sequence[Panel], positive: str) -> Markup:
    """Net benefit by the probability from which one acts; a plot per panel.

    Args:
        table: Of `vitrial.compare.decisions.net_benefit_table`.
        panels: Which arms share a plot.
        positive: The class that is acted on.
    """
    arms = table[table["less"] == ""]
    everyone = arms.groupby("threshold")["act_on_all"].first()
    top = max(arms["value"].max(), everyone.max())
    return grid(
        _decision(f"decision-{place}", arms, everyone, top, panel, positive)
        for place, panel in enumerate(panels, 1)
    )


def _decision(
    name: str, arms: pd.DataFrame, everyone: pd.Series, highest: float, panel: Panel, positive: str
) -> Markup:
    legend, top = _legend(panel)
    top += 2 * ROW
    x = Scale(0, 1, LEFT + 14, WIDTH - 8)
    y = scale([-BELOW * highest, ABOVE * highest], top + HEIGHT, top)
    floor = y.low

    def place(p: float, value: float) -> tuple[float, float]:
        return x(p), y(value) if value >= floor else float("nan")

    all_of_them = [place(p, value) for p, value in zip(everyone.index, everyone, strict=True)]
    parts = [legend, text(0, top - 6, "net benefit per image", "label")]
    parts.append(y_axis(x, y))
    parts.append(x_axis(x, y, "probability from which one acts"))
    parts.append(segment(x.start, y(0), x.end, y(0), "reference"))
    parts.append(line(all_of_them, "reference"))
    parts.append(text(x(0.25), y(0) + SIZE + 1, "act on none", "muted"))
    parts.append(text(x.start + 4, y(everyone.iloc[0]) - 6, "act on all", "muted"))
    parts += _lines(x, y, arms[arms["value"] >= floor], ("threshold", "value"), panel)
    return picture(
        name,
        f"Net benefit of acting on {positive}, {panel.title}",
        f"Net benefit of acting on {positive} from each probability on, beside acting on all "
        "images and on none.",
        top + HEIGHT + 2.4 * ROW,
        parts,
    )


def _legend(panel: Panel) -> tuple[Markup, float]:
    return key([(label, panel.series[arm], "") for arm, label in panel.labels.items()], panel.title)


def _lines(
    x: Scale, y: Scale, table: pd.DataFrame, columns: tuple[str, str], panel: Panel
) -> list[Markup]:
    parts = []
    for arm in panel.labels:
        values = table.loc[table["arm"] == arm, list(columns)].to_numpy(dtype=float)
        points = [(x(first), y(second)) for first, second in values]
        parts.append(line(points, f"line {color(panel.series[arm])}"))
        parts += [mark(*point, panel.series[arm], 3.0) for point in points]
    return parts
