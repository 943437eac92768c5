"""Figures of the report, color-blind safe."""

from __future__ import annotations

import io

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vitrial.metrics import ENDPOINTS

# Okabe and Ito's palette; line styles tell arms apart beyond it.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLES = ("-", "--", ":", "-.")


def learning_curves(metrics: pd.DataFrame, endpoint: str, guess: float | None) -> Figure:
    """Training loss and validation endpoint by epoch: a line per run, a color per arm.

    Args:
        metrics: Columns arm, repetition, epoch, train_loss, score.
        endpoint: What `score` is.
        guess: Score of guessing, drawn as a line.
    """
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    for i, (arm, runs) in enumerate(metrics.groupby("arm", sort=False)):
        color, style = COLORS[i % len(COLORS)], STYLES[i // len(COLORS) % len(STYLES)]
        for k, (_, run) in enumerate(runs.groupby("repetition")):
            look = {"color": color, "linestyle": style, "linewidth": 1.4, "alpha": 0.85}
            left.plot(run["epoch"], run["score"], label=arm if k == 0 else None, **look)
            right.plot(run["epoch"], run["train_loss"], **look)
    if guess is not None:
        left.axhline(guess, color="#888888", linewidth=1)
        left.annotate("chance", (1, guess), xycoords=("axes fraction", "data"), ha="right",
                      va="bottom", color="#666666", fontsize=8)  # fmt: skip
    left.set(xlabel="epoch", ylabel=f"validation {ENDPOINTS[endpoint].label}")
    right.set(xlabel="epoch", ylabel="training loss")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure


def to_svg(figure: Figure) -> str:
    """The figure as SVG text, the same for the same figure."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
