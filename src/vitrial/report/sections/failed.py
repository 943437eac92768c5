"""The section on runs that failed."""

from __future__ import annotations

from vitrial.report.snapshot import Snapshot
from vitrial.report.template import template

TITLE = "Failed runs"
SUMMARY = "Runs that ended with an error, are damaged or were skipped, each with its reason."
ORDER = 70

FAILED = ("failed", "damaged", "skipped")


def render(snapshot: Snapshot) -> str:
    """A row for each; nothing if there is none."""
    status = snapshot.status
    failed = status[status["status"].isin(FAILED)]
    if failed.empty:
        return ""
    columns = {"name": "Run", "status": "Status", "epochs": "Epochs", "why": "Why"}
    return template("failed.html.j2").render(failed=failed[[*columns]].rename(columns=columns))
