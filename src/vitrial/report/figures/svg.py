"""Primitives of the page's plots: scales and their ticks, marks, axes, and the picture around them.

A plot is inline SVG of `WIDTH` units, as wide as a phone, so that its text can be read there; what
needs more room is several plots side by side. It has no color of its own: classes and custom
properties of `static/figures.css` give it those of the page, light, dark or printed.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH = 360.0
"""Of a plot, in units that are CSS pixels on a phone of 390 pixels."""
SIZE = 13.0
"""Of text, in the same units."""
LETTER = 0.58
"""Mean width of a letter in sizes of the text, of fonts that are rather wide (DejaVu Sans)."""
ROW = 18.0
"""Height of a line of text."""
MARKERS = ("circle", "square", "triangle", "diamond", "down", "plus", "cross", "ring")
"""Shapes of marks, by the number of a series: color is never the only difference."""
SERIES = len(MARKERS)
"""How many series can be told apart in one plot."""


@dataclass(frozen=True)
class Scale:
    """Values to places: from `low` to `high` on the axis, from `start` to `end` in the plot.

    Attributes:
        low: Value at `start`.
        high: Value at `end`; larger.
        start: Place of `low`.
        end: Place of `high`; it may be smaller, as on a vertical axis.
        log: Whether equal ratios are equally far apart; values are then positive.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value."""
        low, high, at = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return round(self.start + (at - low) / (high - low) * (self.end - self.start), 2)

    def ticks(self, most: int = 6) -> list[float]:
        """At most so many round values from `low` to `high`."""
        return _log_ticks(self.low, self.high, most) if self.log else _ticks(
            self.low, self.high, most
        )  # fmt: skip


def scale(
    values: Iterable[float],
    start: float,
    end: float,
    *,
    include: Iterable[float] = (),
    log: bool = False,
) -> Scale:
    """The scale on which all finite values have a place, with some air around them.

    Args:
        values: Those that are shown; what is not finite, or not positive on a log scale, is passed
            over.
        start: Place of the lowest.
        end: Place of the highest.
        include: Further values that the scale has to reach, without air around them.
        log: Whether equal ratios are equally far apart.
    """
    shown = [v for v in values if math.isfinite(v) and (v > 0 or not log)] or [1.0]
    low, high = min(shown), max(shown)
    if log:
        air = (high / low) ** 0.06 if high > low else 1.5
        return Scale(low / air, high * air, start, end, log=True)
    if high - low <= 1e-9 * max(abs(low), abs(high)):  # one value
        air = max(abs(high), 0.1) * 0.1
    else:
        air = 0.06 * (high - low)
    return Scale(min(low - air, *include, high), max(high + air, *include, low), start, end)


def _ticks(low: float, high: float, most: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / max(most - 1, 1)
    unit = 10.0 ** math.floor(math.log10(rough))
    for factor in (1, 2, 5, 10, 20):
        step = factor * unit
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < most:
            break
    return [round(i * step, 12) for i in range(first, last + 1)]


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    """1, 2 and 5 times powers of ten, or powers of ten alone where these are many.

    Where there are fewer than two, equal steps as on any other scale.
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        found = [f * 10.0**p for p in powers for f in factors if low <= f * 10.0**p <= high]
        if len(found) <= most:
            break
    return found[:: -(-len(found) // most)] if len(found) > 1 else _ticks(low, high, most)


def digits(ticks: Sequence[float]) -> list[str]:
    """Ticks in words, with as many decimals as tell them apart, and no more than needed."""
    for decimals in range(13):
        words = [f"{tick:,.{decimals}f}" for tick in ticks]
        exact = all(math.isclose(round(t, decimals), t, abs_tol=1e-12) for t in ticks)
        if exact and len(set(words)) == len(set(ticks)):
            break
    return [word.replace("-", "−") for word in words]


def element(name: str, *content: str, **attributes: object) -> Markup:
    """An element of SVG; texts and attributes are escaped, what is `Markup` is not.

    Args:
        name: Of the element.
        content: Texts and elements.
        attributes: `_` stands for `-`, one at the end is dropped (`class_`); None leaves one out.
    """
    given = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), value)
        for key, value in attributes.items()
        if value is not None
    )
    inner = Markup("").join(map(escape, content))
    return Markup("<{}{}>{}</{}>").format(Markup(name), given, inner, Markup(name))


def picture(
    name: str, title: str, description: str, height: float, marks: Iterable[Markup]
) -> Markup:
    """Marks as an image with a name, for those who see it and those who hear it.

    Args:
        name: The figure's, unlike any other on the page.
        title: What it shows.
        description: What is seen in it, in a sentence.
        height: In units of which the width has `WIDTH`.
        marks: What is drawn.
    """
    labels = f"{name}-title {name}-desc"
    return element(
        "svg",
        element("title", title, id=f"{name}-title"),
        element("desc", description, id=f"{name}-desc"),
        *marks,
        class_="plot",
        viewBox=f"0 0 {WIDTH:g} {round(height, 1):g}",
        role="img",
        aria_labelledby=labels,
    )


def text(
    x: float, y: float, words: str, class_: str | None = None, anchor: str = "start"
) -> Markup:
    """Words with their base line at a place."""
    shown = None if anchor == "start" else anchor
    return element("text", words, x=f"{x:g}", y=f"{y:g}", class_=class_, text_anchor=shown)


def segment(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return element("line", x1=f"{x1:g}", y1=f"{y1:g}", x2=f"{x2:g}", y2=f"{y2:g}", class_=class_)


def rectangle(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A rectangle between two corners."""
    x, y, width, height = min(x1, x2), min(y1, y2), abs(x2 - x1), abs(y2 - y1)
    return element(
        "rect", x=f"{x:g}", y=f"{y:g}", width=f"{width:g}", height=f"{height:g}", class_=class_
    )


def line(points: Iterable[tuple[float, float]], class_: str) -> Markup:
    """A line through points, broken where one is not a number."""
    path, pen = [], "M"
    for x, y in points:
        if math.isnan(x) or math.isnan(y):
            pen = "M"
            continue
        path.append(f"{pen}{x:g} {y:g}")
        pen = "L"
    return element("path", d="".join(path), class_=class_) if path else Markup("")


def area(lower: Sequence[tuple[float, float]], upper: Sequence[tuple[float, float]]) -> str:
    """The outline of what lies between two lines, as the `d` of a path."""
    around = [p for p in (*lower, *reversed(upper)) if not any(map(math.isnan, p))]
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in around) + "Z" if around else ""


def mark(x: float, y: float, series: int, size: float = 4.0, class_: str = "mark") -> Markup:
    """The marker of a series; nothing where a value is not a number.

    Args:
        x: Of its middle.
        y: Of its middle.
        series: Its number, from 0: decides shape and color, which repeat after `SERIES`.
        size: Half of its width.
        class_: Of how it is painted.
    """
    if math.isnan(x) or math.isnan(y):
        return Markup("")
    kind = MARKERS[series % SERIES]
    style = f"{class_} {color(series)}{' open' if kind in ('plus', 'cross', 'ring') else ''}"
    if kind in ("circle", "ring"):
        return element("circle", cx=f"{x:g}", cy=f"{y:g}", r=f"{size:g}", class_=style)
    return element("path", d=_OUTLINES[kind], class_=style,
                   transform=f"translate({x:g} {y:g}) scale({size:g})")  # fmt: skip


_OUTLINES = {
    "square": "M-.9-.9H.9V.9H-.9Z",
    "triangle": "M0-1.1L1.1.9H-1.1Z",
    "diamond": "M0-1.3L1.2 0L0 1.3L-1.2 0Z",
    "down": "M0 1.1L1.1-.9H-1.1Z",
    "plus": "M-1.1 0H1.1M0-1.1V1.1",
    "cross": "M-.9-.9L.9.9M-.9.9L.9-.9",
}


def color(series: int) -> str:
    """The classes that give a series its color and dashes."""
    return f"s{series % SERIES + 1}"


def x_grid(x: Scale, y: Scale, ticks: Sequence[float] | None = None) -> Markup:
    """Thin vertical lines through a plot, at round values if left out."""
    at = x.ticks() if ticks is None else ticks
    return Markup("").join(segment(x(t), y.start, x(t), y.end, "grid") for t in at)


def x_axis(x: Scale, y: Scale, label: str, ticks: Sequence[float] | None = None) -> Markup:
    """Ticks with their values below a plot, thin lines through it, and the axis's label.

    Args:
        x: The horizontal scale.
        y: The vertical one, whose `start` is the bottom.
        label: What is measured, with its unit.
        ticks: Where; round values if left out. Words that would run into each other are left out.
    """
    at = x.ticks() if ticks is None else list(ticks)
    parts, free = [x_grid(x, y, at)], -math.inf
    for value, words in zip(at, digits(at), strict=True):
        place, half = x(value), width_of(words) / 2
        if place - half > free:
            parts.append(text(place, y.start + ROW - 2, words, "tick x", "middle"))
            free = place + half + 4
    middle = (x.start + x.end) / 2
    parts.append(segment(x.start, y.start, x.end, y.start, "axis"))
    parts.append(text(middle, y.start + 2 * ROW, label, "label", "middle"))
    return Markup("").join(parts)


def y_axis(x: Scale, y: Scale, ticks: Sequence[float] | None = None) -> Markup:
    """Ticks with their values left of a plot, and thin lines through it.

    Its label belongs above the plot, where it can be read without turning one's head.
    """
    at = y.ticks(5) if ticks is None else list(ticks)
    return Markup("").join(
        segment(x.start, y(value), x.end, y(value), "grid")
        + text(x.start - 6, y(value) + SIZE / 3, words, "tick y", "end")
        for value, words in zip(at, digits(at), strict=True)
    )


def width_of(words: str) -> float:
    """About how wide words are: letters vary by font, those of East Asia are square."""
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in words)
    return SIZE * (LETTER * (len(words) - wide) + wide)


def shortened(words: str, room: float) -> str:
    """Words that fit into a room: where they do not, without their middle.

    The start and the end of an arm's name say the most: its backbone, and how it was initialized.
    """
    if width_of(words) <= room:
        return words
    kept = len(words)
    while kept > 2 and width_of(_without_middle(words, kept)) > room:
        kept -= 1
    return _without_middle(words, kept)


def _without_middle(words: str, kept: int) -> str:
    return f"{words[: -(-kept // 2)]}…{words[len(words) - kept // 2 :]}"
