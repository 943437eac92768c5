"""The section with the table of arms."""

from __future__ import annotations

from vitrial.compare.table import in_words
from vitrial.report.template import template
from vitrial.store.study import Study

TITLE = "Result"
SUMMARY = "The endpoint of each arm on the test split, over its repetitions, and what a run costs."
ORDER = 10


def render(study: Study) -> str:
    """The table, and how many runs are done."""
    return template("result.html.j2").render(
        title=study.caption(),
        words=in_words(study.table(), study.protocol.endpoint),
        status=study.status().to_dict("records"),
    )
