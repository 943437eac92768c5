"""Whether probabilities can be believed and acted on: reliability and decision curves."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vitrial.report.figures.curves import COLORS, STYLES


def trust_curves(reliability: pd.DataFrame, net_benefit: pd.DataFrame | None) -> Figure:
    """Accuracy by confidence, before and after the temperature, and net benefit by threshold.

    Args:
        reliability: Of `vitrial.compare.temperature.reliability_table`, with a column `when`.
        net_benefit: Of `vitrial.compare.decisions.net_benefit_table`; None draws no decision curve.
    """
    count = 2 if net_benefit is None else 3
    figure = Figure(figsize=(3.6 * count, 3.6), layout="constrained")
    panels = list(figure.subplots(1, count))
    for axes, when in zip(panels, ("before", "after"), strict=False):
        axes.plot([0, 1], [0, 1], color="#888888", linewidth=1)
        of = reliability[reliability["when"] == when]
        _lines(axes, of, "confidence", "accuracy")
        axes.set(xlabel=f"confidence, {when} temperature", ylabel="share of answers right")
    if net_benefit is not None:
        axes, arms = panels[-1], net_benefit[net_benefit["less"] == ""]
        _lines(axes, arms, "threshold", "value")
        everyone = arms.groupby("threshold")["act_on_all"].first()
        axes.plot(everyone.index, everyone, color="#888888", linewidth=1)
        top = max(arms["value"].max(), everyone.max())
        axes.set(xlabel="probability from which one acts", ylabel="net benefit")
        axes.set_ylim(-0.25 * top, 1.1 * top)
        axes.axhline(0, color="#888888", linewidth=1)
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure


def _lines(axes: Axes, table: pd.DataFrame, x: str, y: str) -> None:
    for i, (arm, of) in enumerate(table.groupby("arm", sort=False)):
        color, style = COLORS[i % len(COLORS)], STYLES[i // len(COLORS) % len(STYLES)]
        axes.plot(of[x], of[y], color=color, linestyle=style, marker=".", label=arm)
