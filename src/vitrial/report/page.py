"""The report: one self-contained page, computed from what lies on disk."""

from __future__ import annotations

import base64
from collections.abc import Hashable
from pathlib import Path

import numpy as np
import pandas as pd

from vitrial.atomic import write_text
from vitrial.compare.scores import logits_of
from vitrial.compare.table import chance, in_words, render
from vitrial.evaluate.metrics import METRICS, confusion
from vitrial.layout import EXPLANATIONS, PAGE, REPORT
from vitrial.protocol.file import protocol_text
from vitrial.report.audit import findings, section
from vitrial.report.explanations import section as explanations
from vitrial.report.figures.curves import learning_curves, to_svg
from vitrial.report.sections import verdict
from vitrial.report.template import template
from vitrial.store.study import Study


def write_report(study: Study) -> Path:
    """Write `report/index.html`, and the table as CSV, Markdown and LaTeX beside it.

    Returns:
        The path of the page.
    """
    folder = study.path / REPORT
    endpoint, classes = study.protocol.endpoint, study.facts["classes"]
    title, table = study.caption(), study.table()
    for form, suffix in (("csv", "csv"), ("markdown", "md"), ("latex", "tex")):
        write_text(folder / f"table.{suffix}", str(render(table, endpoint, title, form)))
    audit = study.audit()
    page = template("page.html.j2").render(
        protocol=study.protocol,
        facts=study.facts,
        verdict=verdict.render(study),
        title=title,
        words=in_words(table, endpoint),
        curves=_curves(study, chance(endpoint, len(classes))),
        counts=_counts(study.manifest(), classes, study.protocol.split.labeled),
        scores=_scores(study),
        selfsupervision=study.selfsupervision().to_dict("records"),
        confusions=_confusions(study),
        status=study.status().to_dict("records"),
        findings=findings(study.problems(), audit),
        audit=section(audit) if audit else None,
        explanations=explanations(study.path / EXPLANATIONS),
        protocol_text=protocol_text(study.protocol),
    )
    write_text(folder / PAGE, page)
    return folder / PAGE


def _curves(study: Study, guess: float | None) -> str:
    """The learning curves as a data URI; empty if no epoch is over."""
    metrics = study.metrics()
    if metrics.empty:
        return ""
    svg = to_svg(learning_curves(metrics, study.protocol.endpoint, guess))
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def _counts(
    manifest: pd.DataFrame, classes: list[str], labeled: float
) -> list[tuple[Hashable, pd.Series]]:
    """Images of each class by split, then all images and all groups, and those with labels."""
    counts = pd.crosstab(manifest["label"], manifest["split"]).reindex(
        index=classes, columns=["train", "val", "test"], fill_value=0
    )
    groups = manifest.groupby("split")["group"].nunique()[counts.columns]
    rows = list(counts.iterrows())
    rows += [("all images", counts.sum()), ("all groups", groups)]
    if labeled < 1:
        used = (counts.sum() * [labeled, 1, 1]).round().astype(int)
        rows.append(("images whose labels are used, drawn for each repetition, about", used))
    return rows


def _confusions(study: Study) -> dict[str, pd.DataFrame]:
    """For each arm the counts of truth (rows) and answer (columns), over its repetitions."""
    classes = study.facts["classes"]
    sums: dict[str, np.ndarray] = {}
    for run, folder in study.runs():
        predictions = folder.predictions()
        test = predictions[predictions["split"] == "test"]
        counts = confusion(test["target"].to_numpy(), logits_of(test))
        sums[run["arm"]] = sums.get(run["arm"], 0) + counts
    return {arm: pd.DataFrame(counts, classes, classes) for arm, counts in sums.items()}


def _scores(study: Study) -> pd.DataFrame:
    """Every metric of every run on the test split, rounded to be read."""
    scores = study.scores()
    if scores.empty:
        return scores
    columns = [*METRICS, "knn_balanced_accuracy"]
    test = scores[scores["split"] == "test"]
    shown = test[["arm", "repetition", *columns, "best_epoch", "epochs"]]
    return shown.assign(**{c: shown[c].map("{:.3f}".format) for c in columns})
