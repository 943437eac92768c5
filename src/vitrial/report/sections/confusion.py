"""The section with the confusion matrix of each arm."""

from __future__ import annotations

import numpy as np
import pandas as pd

from vitrial.compare.scores import logits_of
from vitrial.metrics import confusion
from vitrial.report.template import template
from vitrial.store.study import Study

TITLE = "Confusion matrices"
SUMMARY = "Test images of all repetitions: rows are the truth, columns the answer."
ORDER = 50


def render(study: Study) -> str:
    """A matrix for each arm, summed over its repetitions; nothing before a run is done."""
    classes = list(study.facts.classes)
    sums: dict[str, np.ndarray] = {}
    for run, folder in study.runs():
        predictions = folder.predictions()
        test = predictions[predictions["split"] == "test"]
        counts = confusion(test["target"].to_numpy(), logits_of(test))
        sums[run.arm] = sums.get(run.arm, 0) + counts
    tables = {arm: pd.DataFrame(counts, classes, classes) for arm, counts in sums.items()}
    return template("confusion.html.j2").render(confusions=tables) if tables else ""
