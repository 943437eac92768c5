"""The section with the confusion matrix of each arm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from vitrial.compare.scores import logits_of
from vitrial.metrics.answers import confusion
from vitrial.report.figures.confusion import confusion_map
from vitrial.report.figures.figure import Figure
from vitrial.report.snapshot import Snapshot
from vitrial.report.template import template

TITLE = "Confusion matrices"
SUMMARY = "What test images of each class were taken for, over all repetitions of an arm."
ORDER = 50

OPEN = 12
"""Arms that are shown at once; further ones are folded."""
MOST_COLUMNS = 12
"""Classes up to which counts are shown as a matrix; of more, each class's answers are listed."""


def render(snapshot: Snapshot) -> str:
    """A matrix for each arm, summed over its repetitions; nothing before a run is done."""
    sums: dict[str, np.ndarray] = {}
    for run in snapshot.runs:
        counts = confusion(run.test["target"].to_numpy(), logits_of(run.test))
        sums[run.entry.arm] = sums.get(run.entry.arm, 0) + counts
    figures = [
        _figure(f"confusion-{place}", arm, counts, snapshot.classes)
        for place, (arm, counts) in enumerate(sums.items(), 1)
    ]
    if not figures:
        return ""
    return template("confusion.html.j2").render(shown=figures[:OPEN], folded=figures[OPEN:])


def _figure(name: str, arm: str, counts: np.ndarray, classes: Sequence[str]) -> Figure:
    svg = confusion_map(f"{name}-map", arm, counts, classes)
    return Figure(name, svg, "", count_table(counts, classes))


def count_table(counts: np.ndarray, classes: Sequence[str]) -> pd.DataFrame:
    """Counts (classes, classes) as a matrix, or as a list of each class's answers."""
    if len(classes) <= MOST_COLUMNS:
        table = pd.DataFrame(counts, columns=list(classes))
        table.insert(0, "truth", list(classes), allow_duplicates=True)
        return table
    return pd.DataFrame(
        {
            "truth": list(classes),
            "images": counts.sum(axis=1),
            "right": np.diag(counts),
            "wrong answers": [_wrong(row, place, classes) for place, row in enumerate(counts)],
        }
    )


def _wrong(row: np.ndarray, truth: int, classes: Sequence[str]) -> str:
    """The wrong answers to a class's images, the most frequent first."""
    order = np.argsort(-row, kind="stable")
    return ", ".join(f"{classes[c]} {row[c]}" for c in order if row[c] and c != truth)
