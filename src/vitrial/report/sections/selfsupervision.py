"""The section on pretraining without labels."""

from __future__ import annotations

from vitrial.report.snapshot import Snapshot
from vitrial.report.template import template

TITLE = "Self-supervision"
SUMMARY = "What pretraining without labels did to the features, and whether it collapsed."
ORDER = 30


def render(snapshot: Snapshot) -> str:
    """A row for each pretraining; nothing if there is none."""
    rows = snapshot.selfsupervision.to_dict("records")
    return template("selfsupervision.html.j2").render(selfsupervision=rows) if rows else ""
