"""The section with the confusion matrix of each arm."""

from __future__ import annotations

import numpy as np
import pandas as pd

from vitrial.compare.scores import logits_of
from vitrial.metrics import confusion
from vitrial.report.snapshot import Snapshot
from vitrial.report.template import template

TITLE = "Confusion matrices"
SUMMARY = "Test images of all repetitions: rows are the truth, columns the answer."
ORDER = 50


def render(snapshot: Snapshot) -> str:
    """A matrix for each arm, summed over its repetitions; nothing before a run is done."""
    classes = list(snapshot.facts.classes)
    sums: dict[str, np.ndarray] = {}
    for run in snapshot.runs:
        counts = confusion(run.test["target"].to_numpy(), logits_of(run.test))
        sums[run.entry.arm] = sums.get(run.entry.arm, 0) + counts
    tables = {arm: pd.DataFrame(counts, classes, classes) for arm, counts in sums.items()}
    return template("confusion.html.j2").render(confusions=tables) if tables else ""
