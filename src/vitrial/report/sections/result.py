"""The section with the table of arms, beside the paper's where the data are the paper's."""

from __future__ import annotations

import pandas as pd

from vitrial.compare.published import PUBLISHED, Published
from vitrial.compare.table import MINUTES, caption, in_words
from vitrial.report.snapshot import Snapshot
from vitrial.report.template import template

TITLE = "Table of arms"
SUMMARY = (
    "The endpoint of each arm on the test images: its median over repetitions, how much "
    "repetitions differ (±, one standard deviation), and what a run costs."
)
ORDER = 10

ARM = ["Initialization", "Backbone"]
DETAILS = [heading for heading in MINUTES.values() if heading != MINUTES["total_minutes"]]
"""Columns of a table of their own, so that the first one is as wide as a page."""


def render(snapshot: Snapshot) -> str:
    """The table, and how many runs are done."""
    status = snapshot.status
    runs = status[status["kind"] == "finetune"]
    return template("result.html.j2").render(
        title=caption(snapshot.facts.data, snapshot.protocol.endpoint, len(snapshot.classes)),
        words=with_the_papers(snapshot).drop(columns=DETAILS),
        minutes=in_words(snapshot.table, snapshot.protocol.endpoint)[[*ARM, *MINUTES.values()]],
        published=_published(snapshot) is not None,
        done=int((runs["status"] == "done").sum()),
        planned=len(runs),
    )


def with_the_papers(snapshot: Snapshot) -> pd.DataFrame:
    """The table in words; with a column of the paper's medians where it has some of the arms."""
    words = in_words(snapshot.table, snapshot.protocol.endpoint)
    published = _published(snapshot)
    if published is not None:
        arms = zip(snapshot.table["backbone"], snapshot.table["initialization"], strict=True)
        medians = [published.median(backbone, start) for backbone, start in arms]
        shown = ["-" if median is None else f"{median:.3f}" for median in medians]
        words.insert(list(words.columns).index("Runs"), "The paper's", shown)
    return words if (words["Weights"] != "-").any() else words.drop(columns="Weights")


def _published(snapshot: Snapshot) -> Published | None:
    published = PUBLISHED.get(snapshot.protocol.data.source)
    return published if published and published.endpoint == snapshot.protocol.endpoint else None
