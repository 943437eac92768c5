"""Forest plots: rows of values with their intervals, and the points that they summarize."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from vitrial.report.figures.svg import (
    ROW,
    WIDTH,
    Scale,
    color,
    mark,
    picture,
    rectangle,
    scale,
    segment,
    shortened,
    text,
    width_of,
    x_axis,
)

EDGE = 8.0
"""Left free at both sides, so that the words of the outermost ticks have room."""
MOST_ROWS = 14
"""Rows of a plot: more are shown in several beside each other."""
STEP = 13.0
"""From one interval to the next of a row, and from the last one to the next row's words."""


@dataclass(frozen=True)
class Interval:
    """A value with its interval.

    Attributes:
        value: The estimate; NaN draws nothing.
        low: Lower end; NaN draws the value alone.
        high: Upper end.
        series: Number of its series.
        points: What the estimate summarizes, such as the score of each repetition.
    """

    value: float
    low: float
    high: float
    series: int = 0
    points: tuple[float, ...] = ()


@dataclass(frozen=True)
class Row:
    """Words, and the intervals below them.

    Attributes:
        label: What the row is of; it may have several lines.
        figures: What is said of it, in figures; at the right, or below the label where they are
            long.
        intervals: One or more.
    """

    label: str
    figures: str
    intervals: tuple[Interval, ...]


def row_scale(
    rows: Sequence[Row], include: Sequence[float] = (), within: tuple[float, float] | None = None
) -> Scale:
    """The horizontal scale on which every row of one or several plots fits.

    Args:
        rows: Of all plots.
        include: Further values that it has to reach.
        within: Values that it does not exceed, such as 0 and 1 of a share: wide intervals of few
            repetitions do, and are cut there.
    """
    shown = [
        value
        for row in rows
        for one in row.intervals
        for value in (one.value, one.low, one.high, *one.points)
    ]
    x = scale(shown, EDGE, WIDTH - EDGE, include=include)
    return replace(x, low=max(x.low, within[0]), high=min(x.high, within[1])) if within else x


def parts_of(rows: Sequence[Row]) -> list[Sequence[Row]]:
    """Rows in as few plots as are not too high, each of about as many."""
    count = max(1, -(-len(rows) // MOST_ROWS))
    size = max(1, -(-len(rows) // count))
    return [rows[i : i + size] for i in range(0, len(rows), size)]


def forest(
    name: str,
    title: str,
    description: str,
    rows: Sequence[Row],
    label: str,
    *,
    x: Scale | None = None,
    legend: tuple[Markup, float] = (Markup(""), 0.0),
    band: tuple[float, float] | None = None,
    reference: float | None = None,
) -> Markup:
    """A forest plot.

    Args:
        name: The figure's, unlike any other on the page.
        title: What it shows.
        description: What is seen in it, in a sentence.
        rows: From top to bottom.
        label: Of the axis.
        x: Its scale, of `row_scale` if left out.
        legend: Drawn above, and where the room below it begins.
        band: Values between which nothing matters, shaded.
        reference: A value drawn as a line, such as that of no difference.
    """
    include = [value for value in (*(band or ()), reference) if value is not None]
    x = x or row_scale(rows, include)
    drawn, top = legend
    top += 6
    narrow = any(_too_wide(row) for row in rows)
    marks: list[Markup] = []
    y = top
    for row in rows:
        marks += _words(row, y + ROW - 5, narrow)
        y += ROW * (len(row.label.splitlines()) + narrow)
        for one in row.intervals:
            marks += _interval(x, one, y + STEP / 2 - 4)
            y += STEP
        y += 5
    behind = [rectangle(x(band[0]), top, x(band[1]), y, "margin")] if band else []
    axis = x_axis(x, Scale(0, 1, y, top), label)
    if reference is not None:
        behind.append(segment(x(reference), top, x(reference), y, "reference"))
    return picture(name, title, description, y + 2.4 * ROW, [drawn, *behind, axis, *marks])


def _too_wide(row: Row) -> bool:
    """Whether figures need a line of their own: beside short ones a label may be shortened."""
    widest, figures = max(map(width_of, row.label.splitlines()), default=0), width_of(row.figures)
    return figures > WIDTH / 3 and widest + figures + 12 > WIDTH


def _words(row: Row, y: float, narrow: bool) -> Iterator[Markup]:
    room = WIDTH if narrow or not row.figures else WIDTH - width_of(row.figures) - 12
    lines = row.label.splitlines()
    for place, words in enumerate(lines):
        yield text(0, y + place * ROW, shortened(words, room))
    if row.figures and narrow:
        yield text(0, y + len(lines) * ROW, row.figures, "figure")
    elif row.figures:
        yield text(WIDTH, y, row.figures, "figure", "end")


def _interval(x: Scale, one: Interval, y: float) -> Iterator[Markup]:
    if math.isnan(one.value):
        return
    if not math.isnan(one.low):
        low, high = max(one.low, x.low), min(one.high, x.high)
        yield segment(x(low), y, x(high), y, f"interval {color(one.series)}")
    for point in one.points:
        if not math.isnan(point):
            yield mark(x(point), y, one.series, 3.0, "point")
    yield mark(x(one.value), y, one.series, 4.5)
