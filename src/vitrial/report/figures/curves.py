"""Learning curves: the median over repetitions with a band from the lowest to the highest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd
from markupsafe import Markup

from vitrial.report.figures.panels import Panel, grid, key
from vitrial.report.figures.svg import (
    ROW,
    WIDTH,
    Scale,
    area,
    color,
    element,
    line,
    mark,
    picture,
    scale,
    segment,
    text,
    x_axis,
    x_grid,
    y_axis,
)

MOST_EPOCHS = 40
"""Epochs of an arm that are shown: of longer trainings every second, third and so on."""
LEFT, UPPER, LOWER = 44.0, 150.0, 90.0
"""Room for the values of the vertical axis, and heights of the two plots."""


def curve_table(metrics: pd.DataFrame) -> pd.DataFrame:
    """What the curves show.

    Args:
        metrics: Columns arm, repetition, epoch, train_loss, score; a row per run and epoch.

    Returns:
        A row per arm and epoch, of long trainings some of them, the last among them: `arm`,
        `epoch`, `runs` that reached it; of `score` and `train_loss` the median (the name itself),
        `_low` and `_high`, the lowest and the highest.
    """
    by_epoch = metrics.groupby(["arm", "epoch"], sort=False)
    table = by_epoch.agg(
        runs=("repetition", "nunique"),
        **{
            f"{name}{end}": (name, how)
            for name in ("score", "train_loss")
            for end, how in (("", "median"), ("_low", "min"), ("_high", "max"))
        },
    )
    table = table.reset_index().sort_values("epoch", kind="stable", ignore_index=True)
    left = table.groupby("arm")["epoch"].transform("max") - table["epoch"]
    step = -(-int(table["epoch"].max()) // MOST_EPOCHS)
    return table[left % step == 0].round(4).reset_index(drop=True)


def learning_curves(
    table: pd.DataFrame, panels: Sequence[Panel], label: str, chance: float | None
) -> Markup:
    """A plot per panel: the endpoint on validation above, the training loss below.

    Args:
        table: Of `curve_table`.
        panels: Which arms share a plot; all plots have the same axes.
        label: Of the endpoint.
        chance: What guessing scores, drawn as a line.
    """
    names = [f"curves-{place}" for place, _ in enumerate(panels, 1)]
    return grid(
        _plot(name, table, panel, label, chance) for name, panel in zip(names, panels, strict=True)
    )


def _plot(name: str, table: pd.DataFrame, panel: Panel, label: str, chance: float | None) -> Markup:
    own = {arm: table[table["arm"] == arm] for arm in panel.labels}
    last = {arm: rows["score"].iloc[-1] for arm, rows in own.items()}
    legend, top = key(
        [(panel.labels[arm], panel.series[arm], f"{last[arm]:.3f}") for arm in own], panel.title
    )
    x = scale(table["epoch"], LEFT, WIDTH - 4)
    guess = [] if chance is None else [chance]
    top += 2 * ROW
    upper = scale([*table["score_low"], *table["score_high"]], top + UPPER, top, include=guess)
    floor = top + UPPER + 2 * ROW
    lower = scale([*table["train_loss_low"], *table["train_loss_high"]], floor + LOWER, floor)
    ticks = [t for t in x.ticks() if t == int(t)]
    parts = [legend]
    for axis, what, of in (
        (upper, "score", f"validation {label}"),
        (lower, "train_loss", "training loss"),
    ):
        parts.append(text(0, axis.end - 6, of, "label"))
        parts.append(y_axis(x, axis, axis.ticks(5 if axis is upper else 4)))
        if axis is upper:
            parts.append(x_grid(x, axis, ticks))
            parts += [] if chance is None else _chance(x, axis, chance)
        parts += _curves(x, axis, what, own, panel)
    parts.append(x_axis(x, lower, "epoch", ticks))
    said = ", ".join(f"{panel.labels[arm]} {value:.3f}" for arm, value in last.items())
    return picture(
        name,
        f"Learning curves, {panel.title}",
        f"Validation {label} and training loss by epoch, median and range over repetitions. "
        f"{label} after the last epoch: {said}.",
        lower.start + 2.4 * ROW,
        parts,
    )


def _chance(x: Scale, y: Scale, chance: float) -> Iterator[Markup]:
    yield segment(x.start, y(chance), x.end, y(chance), "reference")
    yield text(x.end, y(chance) - 4, "chance", "muted", "end")


def _curves(
    x: Scale, y: Scale, what: str, own: dict[str, pd.DataFrame], panel: Panel
) -> Iterator[Markup]:
    """Bands first, so that none hides a line."""
    for arm, rows in own.items():
        ends = [
            [(x(e), y(v)) for e, v in zip(rows["epoch"], rows[f"{what}{end}"], strict=True)]
            for end in ("_low", "_high")
        ]
        yield element("path", d=area(*ends), class_=f"band {color(panel.series[arm])}")
    for arm, rows in own.items():
        points = [(x(e), y(v)) for e, v in zip(rows["epoch"], rows[what], strict=True)]
        yield line(points, f"line {color(panel.series[arm])}")
        # A mark now and then tells the curves apart where they cross; the last one is always there.
        for place in range(len(points) - 1, -1, -max(1, len(points) // 5)):
            yield mark(*points[place], panel.series[arm], 3.5)
