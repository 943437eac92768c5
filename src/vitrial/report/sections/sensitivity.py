"""The section with the sensitivity of each class."""

from __future__ import annotations

from vitrial.compare.per_class import sensitivity_table
from vitrial.report.figures.figure import Figure
from vitrial.report.figures.panels import panels
from vitrial.report.figures.subgroups import parts_plots
from vitrial.report.snapshot import Snapshot
from vitrial.report.template import template

TITLE = "Sensitivity by class"
SUMMARY = "Of each class, the share of its test images that an arm recognizes."
ORDER = 48

CAPTION = (
    "Means over repetitions with 95% intervals that count repetitions and patients; n is the "
    "number of test images of the class. Where few repetitions make an interval wider than what is "
    "possible, it is cut at 0 and 1. Exploratory: not corrected for how many there are."
)


def render(snapshot: Snapshot) -> str:
    """The plots; nothing before a run is done."""
    test = snapshot.test
    if test is None:
        return ""
    table = sensitivity_table(test)
    table.insert(0, "class", [snapshot.classes[target] for target in table["target"]])
    of = panels(snapshot.protocol.arms, test.arms)
    shown = table.drop(columns=["target", "less"])
    parts = shown.rename(columns={"class": "part"})
    svg = parts_plots("sensitivity", TITLE, parts, of, "sensitivity", within=(0, 1))
    return template("figures.html.j2").render(
        figures=[Figure("sensitivity-by-class", svg, CAPTION, shown)]
    )
