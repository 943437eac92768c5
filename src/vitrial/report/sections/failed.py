"""The section on runs that failed."""

from __future__ import annotations

from vitrial.report.snapshot import Snapshot
from vitrial.report.template import template

TITLE = "Failed"
SUMMARY = "Runs that ended with an error, each with its reason."
ORDER = 70


def render(snapshot: Snapshot) -> str:
    """A line for each run; nothing if none failed."""
    rows = snapshot.status.to_dict("records")
    failed = [row for row in rows if row["status"] == "failed"]
    return template("failed.html.j2").render(failed=failed) if failed else ""
