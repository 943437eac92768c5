"""The section with the learning curves."""

from __future__ import annotations

from vitrial.compare.table import chance
from vitrial.report.figures.curves import curve_table, learning_curves
from vitrial.report.figures.figure import Figure
from vitrial.report.figures.panels import panels
from vitrial.report.snapshot import Snapshot
from vitrial.report.template import template

TITLE = "Learning curves"
SUMMARY = "The endpoint on the validation split and the training loss of each arm, by epoch."
ORDER = 20

CAPTION = (
    "Lines are medians over repetitions, bands reach from the lowest to the highest. Figures in "
    "the key are those after the last epoch. A curve that still rises at its end was stopped early."
)


def render(snapshot: Snapshot) -> str:
    """The curves; nothing before an epoch is over."""
    if snapshot.metrics.empty:
        return ""
    metric, table = snapshot.endpoint, curve_table(snapshot.metrics)
    guess = chance(metric.name, len(snapshot.classes))
    of = panels(snapshot.protocol.arms, table["arm"])
    svg = learning_curves(table, of, metric.label, guess)
    return template("figures.html.j2").render(
        figures=[Figure("learning-curves", svg, CAPTION, table, {"epoch": "{}"})]
    )
