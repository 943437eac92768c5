"""The section on pretraining without labels."""

from __future__ import annotations

from vitrial.report.snapshot import Snapshot
from vitrial.report.template import template

TITLE = "Self-supervision"
SUMMARY = "What pretraining without labels did to the features, and whether it collapsed."
ORDER = 30


HEADINGS = {
    "name": "Pretraining",
    "epochs": "Epochs",
    "knn_before": "kNN before",
    "knn": "kNN after",
    "first_loss": "Loss at first",
    "loss": "Loss at last",
    "spread": "Spread of features",
    "minutes": "Minutes",
}


def render(snapshot: Snapshot) -> str:
    """A row for each pretraining; nothing if there is none."""
    table = snapshot.selfsupervision
    if table.empty:
        return ""
    shown = table[[*HEADINGS]].rename(columns=HEADINGS)
    return template("selfsupervision.html.j2").render(table=shown)
