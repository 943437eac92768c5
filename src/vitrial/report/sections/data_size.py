"""The section with the curves over data size."""

from __future__ import annotations

import base64

from vitrial.report.figures.curves import to_svg
from vitrial.report.figures.data_size import draw
from vitrial.report.snapshot import Snapshot
from vitrial.report.template import template

TITLE = "Data size"
SUMMARY = "The test endpoint of each arm over the number of training images, with 95% intervals."
ORDER = 15


def render(snapshot: Snapshot) -> str:
    """Figure, sentences and table; nothing if the runs are of one size alone."""
    found = snapshot.data_size
    if found is None:
        return ""
    svg = to_svg(draw(found.curves, found.endpoint))
    return template("data_size.html.j2").render(
        figure="data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode(),
        sentences=found.sentences(),
        rows=found.table().to_dict("records"),
    )
