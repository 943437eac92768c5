"""The section with the learning curves."""

from __future__ import annotations

import base64

from vitrial.compare.table import chance
from vitrial.report.figures.curves import learning_curves, to_svg
from vitrial.report.snapshot import Snapshot
from vitrial.report.template import template

TITLE = "Learning curves"
SUMMARY = "The endpoint on the validation split and the training loss of each run, epoch by epoch."
ORDER = 20


def render(snapshot: Snapshot) -> str:
    """The curves, as an image in the page; nothing before an epoch is over."""
    metrics = snapshot.metrics
    if metrics.empty:
        return ""
    endpoint = snapshot.protocol.endpoint
    guess = chance(endpoint, len(snapshot.facts.classes))
    svg = to_svg(learning_curves(metrics, endpoint, guess))
    uri = "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
    return template("curves.html.j2").render(curves=uri)
