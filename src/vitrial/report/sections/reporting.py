"""The section that says where this page answers reporting guidelines, and what is still open."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
from markupsafe import Markup

from vitrial.report.guidelines import ITEMS, Item
from vitrial.report.sections import SECTIONS
from vitrial.report.snapshot import Snapshot
from vitrial.report.template import template

TITLE = "Reporting checklist"
SUMMARY = (
    "What TRIPOD+AI and CLAIM 2024 ask of a report, in our words: where this page answers it, and "
    "what is yours to say."
)
ORDER = 95

APPLIES: dict[str, Callable[[Snapshot], bool]] = {
    "verdict": lambda snapshot: bool(snapshot.findings),
    "scores": lambda snapshot: bool(snapshot.runs),
    "confusion": lambda snapshot: bool(snapshot.runs),
    "environment": lambda snapshot: bool(snapshot.runs),
    "curves": lambda snapshot: not snapshot.metrics.empty,
    "data_size": lambda snapshot: snapshot.data_size is not None,
    "secondary": lambda snapshot: snapshot.secondary is not None,
    "explanations": lambda snapshot: snapshot.explained is not None,
}
"""Sections that are not on every page, and when they are."""
COMMANDS = {"secondary": "vitrial analyze", "explanations": "vitrial explain"}
"""What fills a section that is not there."""
OPEN = "open: yours to say"


def render(snapshot: Snapshot) -> str:
    """A row for each item."""
    there = {name for item in ITEMS for name in item.sections}
    there -= {name for name, applies in APPLIES.items() if not applies(snapshot)}
    table = pd.DataFrame(
        {
            "Item": [item.asks for item in ITEMS],
            "TRIPOD+AI": [item.tripod or "-" for item in ITEMS],
            "CLAIM 2024": [item.claim or "-" for item in ITEMS],
            "Answered": pd.Series([_answer(item, there) for item in ITEMS], dtype=object),
        }
    )
    open_items = sum(not (set(item.sections) & there) for item in ITEMS)
    return template("reporting.html.j2").render(table=table, open=open_items, items=len(ITEMS))


def _answer(item: Item, there: set[str]) -> Markup | str:
    found = [name for name in item.sections if name in there]
    if not found:
        absent = [COMMANDS[name] for name in item.sections if name in COMMANDS]
        return f"{OPEN}; {' and '.join(absent)} adds to it" if absent else _open(item.still)
    links = Markup(", ").join(
        Markup('<a href="#{}">{}</a>').format(name, SECTIONS.entry(name).TITLE) for name in found
    )
    return links + (f"; {_open(item.still)}" if item.still else "")


def _open(still: str) -> str:
    return f"{OPEN} ({still})" if still else OPEN
