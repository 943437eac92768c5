"""The section on what each model looks at."""

from __future__ import annotations

from vitrial.report.explanations import section
from vitrial.report.snapshot import Snapshot
from vitrial.report.template import template

TITLE = "Explanations"
SUMMARY = "What each model looks at, and whether its maps are right, faithful and sane."
ORDER = 60


def render(snapshot: Snapshot) -> str:
    """Maps and what was measured of them; nothing where nothing was explained."""
    found = section(snapshot.explained)
    return template("explanations.html.j2").render(explanations=found) if found else ""
