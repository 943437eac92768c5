"""The section on the machines and programs that computed the study."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict

import pandas as pd

from vitrial.report.snapshot import Snapshot
from vitrial.report.template import template

TITLE = "Environment"
SUMMARY = "Which machines and versions of the programs were at work, and on how many runs each."
ORDER = 92

HEADINGS = {"device": "Device", "cpu": "CPU", "precision": "Precision", "threads": "Threads"}


def render(snapshot: Snapshot) -> str:
    """A row for each kind of machine and program; nothing before a run is done."""
    table = environments(snapshot)
    return "" if table.empty else template("environment.html.j2").render(table=table)


def environments(snapshot: Snapshot) -> pd.DataFrame:
    """Each machine with the versions that ran on it, and the finished runs that it worked on."""
    counts = Counter(
        (tuple(asdict(attempt.machine).items()), tuple(attempt.program.items()))
        for run in snapshot.runs_of_all_sizes
        for attempt in run.folder.attempts()
    )
    return pd.DataFrame(
        {"Runs": runs, **{HEADINGS[name]: value for name, value in machine}, **dict(program)}
        for (machine, program), runs in counts.most_common()
    ).fillna("-")
