"""The section on what each model looks at."""

from __future__ import annotations

from vitrial.layout import EXPLANATIONS
from vitrial.report.explanations import section
from vitrial.report.template import template
from vitrial.store.study import Study

TITLE = "Explanations"
SUMMARY = "What each model looks at, and whether its maps are right, faithful and sane."
ORDER = 60


def render(study: Study) -> str:
    """Maps and what was measured of them; nothing where nothing was explained."""
    found = section(study.path / EXPLANATIONS)
    return template("explanations.html.j2").render(explanations=found) if found else ""
