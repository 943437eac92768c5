"""Confusion matrices as small maps: the share of each class's images that got each answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from markupsafe import Markup

from vitrial.report.figures.panels import BOLD
from vitrial.report.figures.svg import (
    ROW,
    SIZE,
    WIDTH,
    element,
    picture,
    rectangle,
    shortened,
    text,
    width_of,
)

SHADES = 10
"""Steps of a cell's color: cells of one shade are one path, so that 40 classes stay small."""
LARGEST, NAMES = 52.0, 150.0
"""Side of a cell, and room for the names of classes, at most."""
SHORTEST = SIZE + 1
"""Cells at least so high have their class's name beside them; of lower ones some are numbered."""
WIDE = 30.0
"""A cell at least so wide holds its share in percent."""


def shares_of(counts: np.ndarray) -> np.ndarray:
    """Counts (classes, classes), truth in rows, as shares of each row; 0 for an empty row."""
    rows = counts.sum(axis=1, keepdims=True)
    return np.asarray(counts / np.maximum(rows, 1))


def confusion_map(name: str, title: str, counts: np.ndarray, classes: Sequence[str]) -> Markup:
    """A confusion matrix, darker where more of a class's images got an answer.

    Args:
        name: The figure's, unlike any other on the page.
        title: The arm's name.
        counts: (classes, classes) images, truth in rows.
        classes: Their names, by index.
    """
    shares, n = shares_of(counts), len(classes)
    names = min(NAMES, max(map(width_of, classes)) + 30)
    side = min(LARGEST, (WIDTH - max(names, 2 * ROW)) / n)
    named = side >= SHORTEST
    left = names if named else 2 * ROW
    top = 3 * ROW
    parts = [
        text(0, ROW - 4, shortened(title, BOLD * WIDTH), "title"),
        text(0, top - ROW - 4, "truth ↓   answer →", "label"),
    ]
    parts += _cells(shares, left, top, side)
    parts.append(rectangle(left, top, left + n * side, top + n * side, "frame"))
    parts += _labels(classes, left, top, side, named)
    right = np.diag(shares)[counts.sum(axis=1) > 0]
    said = f"from {right.min():.0%} to {right.max():.0%}" if len(right) else "of none"
    return picture(
        name,
        f"Confusion matrix of {title}",
        f"Share of each class's test images by answer; right answers {said} of a class.",
        top + n * side + 6,
        parts,
    )


def _cells(shares: np.ndarray, left: float, top: float, side: float) -> Iterator[Markup]:
    """Squares of 1 at whole numbers, moved and enlarged: 40 classes have 1,600 of them."""
    placed = f"translate({left:g} {top:g}) scale({side:.3f})"
    shades = np.ceil(shares * SHADES).astype(int)
    for shade in range(1, SHADES + 1):
        squares = [f"M{column} {row}h1v1h-1z" for row, column in np.argwhere(shades == shade)]
        if squares:
            opacity = shade / SHADES
            yield element("path", d="".join(squares), class_="cell", fill_opacity=opacity,
                          transform=placed)  # fmt: skip
    if side >= WIDE:
        for (row, column), share in np.ndenumerate(shares):
            x, y = left + (column + 0.5) * side, top + (row + 0.5) * side + SIZE / 3
            yield text(x, y, _percent(share), "share", "middle")


def _labels(
    classes: Sequence[str], left: float, top: float, side: float, named: bool
) -> Iterator[Markup]:
    """Numbers above the columns; beside the rows numbers and names, where there is room."""
    beside, above = (-(-room // side) for room in (SHORTEST, width_of(str(len(classes))) + 3))
    for place, words in enumerate(classes):
        middle, number = (place + 0.5) * side, str(place + 1)
        if place % above == 0:
            yield text(left + middle, top - 4, number, "muted", "middle")
        if place % beside == 0:
            y = top + middle + SIZE / 3
            label = shortened(f"{number} {words}", left - 8) if named else number
            yield text(left - 6, y, label, None if named else "muted", "end")


def _percent(share: float) -> str:
    """Such as 83; `<1` for what is there and rounds to nothing."""
    return "" if share == 0 else "<1" if share < 0.005 else f"{100 * share:.0f}"
