"""Small multiples: which arms share a plot, how each is drawn in it, and the key above it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from vitrial.protocol import Arm
from vitrial.report.figures.svg import (
    ROW,
    SIZE,
    WIDTH,
    color,
    element,
    mark,
    segment,
    shortened,
    text,
    width_of,
)

MOST = 6
"""Series in one plot: more curves cannot be followed, so that they get a plot of their own."""


BOLD = 0.88
"""Share of a line that bold letters may take by the width of common ones."""


@dataclass(frozen=True)
class Panel:
    """Arms that are drawn in one plot: those of one initialization, or a part of them.

    Attributes:
        title: The initialization, and which part where there are several.
        labels: Of each arm what it is called in this plot: its backbone.
        series: Of each arm the number of its series; a backbone has the same one in every panel.
    """

    title: str
    labels: Mapping[str, str]
    series: Mapping[str, int]


def panels(arms: Sequence[Arm], shown: Iterable[str]) -> list[Panel]:
    """The plots of a protocol's arms, by initialization.

    Args:
        arms: Of the protocol.
        shown: Names of the arms that there is something of.
    """
    there = set(shown)
    labels = {arm.name: series_name(arm) for arm in arms if arm.name in there}
    numbers = {label: place for place, label in enumerate(dict.fromkeys(labels.values()))}
    starts: dict[str, list[str]] = {}
    for arm in arms:
        if arm.name in labels:
            starts.setdefault(str(arm.origin), []).append(arm.name)
    found = []
    for start, names in starts.items():
        parts = [names[i : i + MOST] for i in range(0, len(names), MOST)]
        for place, part in enumerate(parts, 1):
            title = start if len(parts) == 1 else f"{start} ({place} of {len(parts)})"
            found.append(
                Panel(
                    title,
                    {arm: labels[arm] for arm in part},
                    {arm: numbers[labels[arm]] for arm in part},
                )
            )
    return found


def series_name(arm: Arm) -> str:
    """What an arm is called among those of its initialization: its backbone, and its id."""
    plain = f"{arm.backbone} / {arm.origin}"
    return arm.backbone if arm.name == plain else f"{arm.backbone} ({arm.name})"


def key(
    rows: Iterable[tuple[str, int, str]], title: str = "", lines: bool = True
) -> tuple[Markup, float]:
    """What each series is, a line of text each, and where the room below begins.

    Args:
        rows: Of each series its name, its number and a figure that is said of it.
        title: Of the plot, above.
        lines: Whether series are lines; else they are marks alone.
    """
    parts, y = [], 0.0
    if title:
        y += ROW
        parts.append(text(0, y - 4, shortened(title, BOLD * WIDTH), "title"))
    for name, number, figure in rows:
        y += ROW
        middle = y - 4 - SIZE / 3
        if lines:
            parts.append(segment(2, middle, 26, middle, f"line {color(number)}"))
        parts.append(mark(14, middle, number))
        room = WIDTH - 34 - (width_of(figure) + 8 if figure else 0)
        parts.append(text(34, y - 4, shortened(name, room)))
        if figure:
            parts.append(text(WIDTH, y - 4, figure, "figure", "end"))
    return element("g", *parts, class_="key"), y


def grid(plots: Iterable[Markup]) -> Markup:
    """Plots side by side, as many in a row as there is room for."""
    return element("div", *plots, class_="plots")
