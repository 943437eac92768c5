"""The flow of images as STARD and CONSORT draw it: boxes from the source's list to the splits."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from vitrial.report.figures.svg import ROW, WIDTH, picture, rectangle, segment, text

PAD, GAP = 8.0, 22.0
"""Inside a box, and between two."""
MAIN = 200.0
"""Width of the boxes on the way; what is left out stands right of them."""
THIRD = 112.0


@dataclass(frozen=True)
class Box:
    """Words in a box.

    Attributes:
        title: What it is, in bold.
        lines: What is in it.
    """

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """A box on the way, and what is left out after it.

    Attributes:
        box: What is there.
        aside: What is left out before the next one; none, or several reasons.
    """

    box: Box
    aside: tuple[str, ...] = ()


def draw(name: str, description: str, steps: Sequence[Step], ends: Sequence[Box]) -> Markup:
    """The way of the images.

    Args:
        name: The figure's, unlike any other on the page.
        description: What is seen in it, in a sentence.
        steps: From top to bottom.
        ends: Up to three boxes that the last step is divided into.
    """
    marks: list[Markup] = []
    y, middle = 2.0, MAIN / 2
    for step in steps:
        drawn, bottom = _box(step.box, 0.0, y, MAIN)
        marks += drawn
        below = bottom + GAP
        if step.aside:
            drawn, end = _box(Box("Left out", step.aside), MAIN + GAP, bottom + GAP / 2, None)
            marks += drawn
            at = bottom + GAP / 2 + ROW
            marks.append(segment(middle, at, MAIN + GAP, at, "axis"))
            below = end + GAP / 2
        marks.append(segment(middle, bottom, middle, below, "axis"))
        y = below
    rail = y
    marks.append(segment(THIRD / 2, rail, WIDTH - THIRD / 2, rail, "axis"))
    tallest = y
    for place, box in enumerate(ends):
        left = place * (WIDTH - THIRD) / max(len(ends) - 1, 1)
        marks.append(segment(left + THIRD / 2, rail, left + THIRD / 2, rail + GAP / 2, "axis"))
        drawn, bottom = _box(box, left, rail + GAP / 2, THIRD)
        marks += drawn
        tallest = max(tallest, bottom)
    return picture(name, "Flow of images", description, tallest + 2, marks)


def _box(box: Box, x: float, y: float, width: float | None) -> tuple[list[Markup], float]:
    """A box at a place, and where it ends."""
    width = WIDTH - x if width is None else width
    letters = int((width - 2 * PAD) / 7.2)
    lines = [line for words in box.lines for line in textwrap.wrap(words, letters) or [""]]
    bottom = y + PAD + ROW * (1 + len(lines)) + PAD / 2
    marks = [rectangle(x, y, x + width, bottom, "box")]
    marks.append(text(x + PAD, y + PAD + ROW * 0.7, box.title, "title"))
    for number, line in enumerate(lines, 1):
        marks.append(text(x + PAD, y + PAD + ROW * (0.7 + number), line))
    return marks, bottom
