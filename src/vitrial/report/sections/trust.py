"""The section on what limits trust in the answer."""

from __future__ import annotations

from vitrial.report.snapshot import Snapshot
from vitrial.report.template import template
from vitrial.report.trust import checks

TITLE = "What limits trust in it"
SUMMARY = "Each thing that can make an answer like this one wrong, and whether it was found here."
ORDER = 2


def render(snapshot: Snapshot) -> str:
    """A row for each limit."""
    return template("trust.html.j2").render(checks=checks(snapshot))
