"""The section on the data and their audit."""

from __future__ import annotations

import pandas as pd

from vitrial.report.audit import findings, section
from vitrial.report.snapshot import Snapshot
from vitrial.report.template import template

TITLE = "Data"
SPLITS = {"train": "Training", "val": "Validation", "test": "Test"}
SUMMARY = "How many images of each class are in which split, and what the audit of the data found."
ORDER = 80


def render(snapshot: Snapshot) -> str:
    """Counts; findings, shortcuts and contact sheets where the data were audited."""
    audit = snapshot.audit
    return template("data.html.j2").render(
        facts=snapshot.facts,
        counts=_counts(
            snapshot.manifest, list(snapshot.facts.classes), snapshot.protocol.split.labeled
        ),
        findings=findings(snapshot.problems, audit),
        audit=section(audit) if audit else None,
    )


def _counts(manifest: pd.DataFrame, classes: list[str], labeled: float) -> pd.DataFrame:
    """Images of each class by split, then all images and all groups, and those with labels."""
    counts = pd.crosstab(manifest["label"], manifest["split"]).reindex(
        index=classes, columns=["train", "val", "test"], fill_value=0
    )
    counts.loc["all images"] = counts.sum()
    counts.loc["all patients or lesions"] = manifest.groupby("split")["group"].nunique()
    if labeled < 1:
        used = (counts.loc["all images"] * [labeled, 1, 1]).round().astype(int)
        counts.loc["images whose labels are used, drawn for each repetition, about"] = used
    return counts.reset_index(names="Class").rename(columns=SPLITS)
