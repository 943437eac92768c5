"""The report's section on what was looked at beyond the endpoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from vitrial.metrics import METRICS
from vitrial.report.figures.figure import Figure
from vitrial.report.figures.panels import Panel, panels
from vitrial.report.figures.subgroups import parts_plots
from vitrial.report.figures.trust import decision_plots, reliability_plots
from vitrial.report.secondary import in_words
from vitrial.report.snapshot import Snapshot
from vitrial.report.template import template
from vitrial.store.analyses import Analyses

TITLE = "Secondary analyses"
SUMMARY = "Every other metric, calibration, operating point, subgroups and patients; exploratory."
ORDER = 55

RELIABILITY = (
    "How often answers of each confidence are right, over all repetitions: on the diagonal, "
    "confidence is what it says; below it, the model is overconfident. A temperature, fitted on "
    "validation, corrects this where it can."
)
DECISIONS = (
    "Net benefit per image of acting on {positive} where its probability is at least as high: true "
    "positives less false ones, each worth p / (1 − p) of one. An arm helps where it lies above "
    "both dashed lines, of acting on all images and on none."
)
SUBGROUPS = (
    "{metric} in each part of the test images by {column}, with 95% intervals; n is the number of "
    "images. What has too few patients or lacks a class is not judged."
)


def render(snapshot: Snapshot) -> str:
    """The section's HTML; nothing where `vitrial analyze` was not run."""
    found = snapshot.secondary
    if found is None:
        return ""
    done = {run.entry.name for run in snapshot.runs}
    of = panels(snapshot.protocol.arms, found.tables["metrics"]["arm"])
    return template("secondary.html.j2").render(
        figures=list(_figures(found, of)),
        tables=in_words(found),
        changed=done != set(found.facts["runs"]),
    )


def _figures(found: Analyses, of: Sequence[Panel]) -> Iterator[Figure]:
    table = found.tables["reliability"]
    yield Figure("reliability-plots", reliability_plots(table, of), RELIABILITY, table)
    if "net_benefit" in found.tables:
        table, positive = found.tables["net_benefit"], found.facts["positive"]
        svg = decision_plots(table, of, positive)
        shown = table[table["less"] == ""].drop(columns="less")
        caption = DECISIONS.format(positive=positive)
        yield Figure("decision-curves", svg, caption, shown, {"threshold": "{:g}"})
    if "subgroups" in found.tables:
        yield from _subgroups(found.tables["subgroups"], of, METRICS[found.facts["endpoint"]].label)


def _subgroups(table: pd.DataFrame, of: Sequence[Panel], metric: str) -> Iterator[Figure]:
    judged = table[(table["less"].fillna("") == "") & (table["why"].fillna("") == "")]
    for place, (column, rows) in enumerate(judged.groupby("column", sort=False), 1):
        name, title = f"subgroups-{place}", f"{metric} by {column}"
        parts = rows.assign(part=rows["subgroup"].astype(str))
        svg = parts_plots(f"{name}-plot", title, parts, of, f"test {metric}")
        shown = rows.drop(columns=["column", "less", "why"])
        yield Figure(name, svg, SUBGROUPS.format(metric=metric, column=column), shown)
