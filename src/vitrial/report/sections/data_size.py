"""The section with the curves over data size."""

from __future__ import annotations

from vitrial.metrics import ENDPOINTS
from vitrial.report.figures.data_size import data_size_plots
from vitrial.report.figures.figure import Figure
from vitrial.report.figures.panels import panels
from vitrial.report.snapshot import Snapshot
from vitrial.report.template import template

TITLE = "Data size"
SUMMARY = "The test endpoint of each arm over the number of training images, with 95% intervals."
ORDER = 15

CAPTION = (
    "Means over repetitions with 95% intervals; the number of images is on a logarithmic axis. "
    "Dotted: the power law, where one fits, up to twice the images that there are. Figures in the "
    "key are those of all images."
)


def render(snapshot: Snapshot) -> str:
    """Plots and sentences; nothing if the runs are of one size alone."""
    found = snapshot.data_size
    if found is None:
        return ""
    of = panels(snapshot.protocol.arms, (curve.arm for curve in found.curves))
    svg = data_size_plots(found.curves, found.laws, of, ENDPOINTS[found.endpoint].label)
    return template("data_size.html.j2").render(
        figures=[Figure("data-size", svg, CAPTION, found.table())], sentences=found.sentences()
    )
