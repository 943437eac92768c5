"""The endpoint over the number of training images, a curve with its interval for each arm."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from vitrial.compare.curves import Curve
from vitrial.metrics import ENDPOINTS
from vitrial.report.figures.curves import COLORS, STYLES


def draw(curves: Sequence[Curve], endpoint: str) -> Figure:
    """Means with 95% intervals, the number of images on a logarithmic axis."""
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    axes = figure.subplots()
    for i, curve in enumerate(curves):
        reach = [effect.high - effect.difference for effect in curve.effects]
        axes.errorbar(
            curve.images * 1.02 ** (i - len(curves) / 2),  # beside each other, not on each other
            curve.means,
            reach,
            label=curve.arm,
            color=COLORS[i % len(COLORS)],
            linestyle=STYLES[i // len(COLORS) % len(STYLES)],
            marker="o",
            markersize=4,
            capsize=3,
            linewidth=1.4,
        )
    axes.set_xscale("log")
    sizes = sorted({int(size) for curve in curves for size in curve.images})
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set(xlabel="training images", ylabel=f"test {ENDPOINTS[endpoint].label}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure
