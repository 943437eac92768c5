"""The report's section on what was looked at beyond the endpoint."""

from __future__ import annotations

import base64

from vitrial.report.figures.curves import to_svg
from vitrial.report.figures.trust import trust_curves
from vitrial.report.secondary import in_words
from vitrial.report.snapshot import Snapshot
from vitrial.report.template import template

TITLE = "Secondary analyses"
SUMMARY = "Every other metric, calibration, operating point, subgroups and patients; exploratory."
ORDER = 55


def render(snapshot: Snapshot) -> str:
    """The section's HTML; nothing where `vitrial analyze` was not run."""
    found = snapshot.secondary
    if found is None:
        return ""
    done = {run.entry.name for run in snapshot.runs}
    svg = to_svg(trust_curves(found.tables["reliability"], found.tables.get("net_benefit")))
    return template("secondary.html.j2").render(
        curves="data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode(),
        tables=in_words(found),
        changed=done != set(found.facts["runs"]),
    )
