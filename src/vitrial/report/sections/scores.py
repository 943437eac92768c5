"""The section with every metric of every run."""

from __future__ import annotations

from vitrial.metrics import METRICS
from vitrial.report.snapshot import Snapshot
from vitrial.report.template import template

TITLE = "Every run on the test split"
SUMMARY = "All metrics of each finished run."
ORDER = 40


def render(snapshot: Snapshot) -> str:
    """A row for each run, rounded to be read; nothing before a run is done."""
    scores = snapshot.scores
    if scores.empty:
        return ""
    columns = [*METRICS, "knn_balanced_accuracy"]
    test = scores[scores["split"] == "test"]
    shown = test[["arm", "repetition", *columns, "best_epoch", "epochs"]]
    rounded = shown.assign(**{c: shown[c].map("{:.3f}".format) for c in columns})
    return template("scores.html.j2").render(scores=rounded)
