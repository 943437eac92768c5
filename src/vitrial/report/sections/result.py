"""The section with the table of arms."""

from __future__ import annotations

from vitrial.compare.table import in_words
from vitrial.report.snapshot import Snapshot
from vitrial.report.template import template

TITLE = "Result"
SUMMARY = "The endpoint of each arm on the test split, over its repetitions, and what a run costs."
ORDER = 10


def render(snapshot: Snapshot) -> str:
    """The table, and how many runs are done."""
    return template("result.html.j2").render(
        title=snapshot.caption,
        words=in_words(snapshot.table, snapshot.protocol.endpoint),
        status=snapshot.status.to_dict("records"),
    )
