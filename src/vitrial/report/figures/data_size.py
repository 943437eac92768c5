"""The endpoint over the number of training images, a curve with its intervals for each arm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from markupsafe import Markup

from vitrial.compare.curves import Curve, PowerLaw
from vitrial.report.figures.panels import Panel, grid, key
from vitrial.report.figures.svg import (
    ROW,
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

LEFT, HEIGHT = 48.0, 190.0
"""Room for the values of the vertical axis, and height of a plot."""
DODGE = 4.0
"""How far apart the marks of two arms at one size stand, so that intervals do not hide another."""


def data_size_plots(
    curves: Sequence[Curve], laws: Mapping[str, PowerLaw | str], panels: Sequence[Panel], label: str
) -> Markup:
    """A plot per panel: means with 95% intervals, and power laws up to twice the data.

    Args:
        curves: Of the arms.
        laws: Of each arm a power law, or in words why there is none.
        panels: Which arms share a plot; all plots have the same axes.
        label: Of the endpoint.
    """
    of = {curve.arm: curve for curve in curves}
    sizes = sorted({int(size) for curve in curves for size in curve.images})
    fitted = {arm: law for arm, law in laws.items() if isinstance(law, PowerLaw)}
    reach = [*sizes, *(2 * int(of[arm].images[-1]) for arm in fitted)]
    x = scale(reach, LEFT, WIDTH - 8, log=True)
    ends = [e for c in curves for f in c.effects for e in (f.difference, f.low, f.high)]
    ends += [law.doubled for law in fitted.values()]
    return grid(
        _plot(f"data-size-{place}", panel, of, fitted, x, ends, label, sizes)
        for place, panel in enumerate(panels, 1)
    )


def _plot(
    name: str,
    panel: Panel,
    of: Mapping[str, Curve],
    fitted: Mapping[str, PowerLaw],
    x: Scale,
    ends: Sequence[float],
    label: str,
    sizes: Sequence[float],
) -> Markup:
    arms = [arm for arm in panel.labels if arm in of]
    legend, top = key(
        [(panel.labels[arm], panel.series[arm], f"{of[arm].means[-1]:.3f}") for arm in arms],
        panel.title,
    )
    top += 2 * ROW
    y = scale(ends, top + HEIGHT, top)
    parts = [legend, text(0, top - 6, f"test {label}", "label"), y_axis(x, y)]
    parts.append(x_axis(x, y, "training images", sizes))
    for place, arm in enumerate(arms):
        parts += _curve(x, y, of[arm], panel.series[arm], (place - (len(arms) - 1) / 2) * DODGE)
        if arm in fitted:
            parts.append(_law(x, y, of[arm], fitted[arm], panel.series[arm]))
    return picture(
        name,
        f"Data size, {panel.title}",
        f"Test {label} over the number of training images, from {sizes[0]:,} to {sizes[-1]:,}, "
        f"with 95% intervals; dotted: power laws that fit.",
        y.start + 2.4 * ROW,
        parts,
    )


def _curve(x: Scale, y: Scale, curve: Curve, series: int, dodge: float) -> Iterator[Markup]:
    places = [x(size) + dodge for size in curve.images]
    for place, effect in zip(places, curve.effects, strict=True):
        if np.isfinite(effect.low):
            yield segment(place, y(effect.low), place, y(effect.high), f"interval {color(series)}")
    points = [(place, y(mean)) for place, mean in zip(places, curve.means, strict=True)]
    yield line(points, f"line {color(series)}")
    for point in points:
        yield mark(*point, series)


def _law(x: Scale, y: Scale, curve: Curve, law: PowerLaw, series: int) -> Markup:
    """From the smallest size to twice the largest, as the sentence beside it speaks of."""
    largest = float(curve.images[-1])
    sizes = np.geomspace(curve.images[0], 2 * largest, 40)
    scores = law.limit - law.scale * (sizes / largest) ** -law.exponent
    points = [(x(n), y(score)) for n, score in zip(sizes, scores, strict=True)]
    return line(points, f"fit {color(series)}")
