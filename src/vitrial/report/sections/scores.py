"""The section with every repetition of every arm."""

from __future__ import annotations

import pandas as pd

from vitrial.compare.aligned import effects
from vitrial.compare.table import chance
from vitrial.metrics import METRICS
from vitrial.report.figures.figure import Figure
from vitrial.report.figures.panels import panels
from vitrial.report.figures.repetitions import repetition_plots, repetition_table
from vitrial.report.snapshot import Snapshot
from vitrial.report.template import template

TITLE = "Every run on the test split"
SUMMARY = "How far the repetitions of an arm are apart, and all metrics of each finished run."
ORDER = 40

CAPTION = (
    "Each open mark is a repetition, the filled one their median; the line is the 95% interval of "
    "the mean, which counts repetitions and patients. Arms whose marks overlap differ by no more "
    "than training them again would."
)


def render(snapshot: Snapshot) -> str:
    """The plots, and a row for each run; nothing before a run is done."""
    scores = snapshot.scores
    if scores.empty:
        return ""
    test = scores[scores["split"] == "test"]
    columns = [*METRICS, "knn_balanced_accuracy"]
    shown = test[["arm", "repetition", *columns, "best_epoch", "epochs"]]
    names = {name: metric.label for name, metric in METRICS.items()}
    names |= {"knn_balanced_accuracy": "kNN", "best_epoch": "best epoch"}
    return template("scores.html.j2").render(
        figures=[_figure(snapshot, test)], scores=shown.rename(columns=names)
    )


def _figure(snapshot: Snapshot, test: pd.DataFrame) -> Figure:
    metric, aligned = snapshot.endpoint, snapshot.test
    found = pd.DataFrame(columns=["arm", "low", "high"], dtype=float)
    if aligned is not None:
        found = effects(aligned.scored(metric.name), aligned.arms, ())
    table = repetition_table(test, metric.name, found)
    guess = chance(metric.name, len(snapshot.classes))
    of = panels(snapshot.protocol.arms, table["arm"])
    svg = repetition_plots(table, test, metric.name, of, metric.label, guess)
    return Figure("repetitions", svg, CAPTION, table)
