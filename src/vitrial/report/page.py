"""The report: one self-contained page, computed from what lies on disk."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from vitrial.atomic import write_text
from vitrial.compare.table import render
from vitrial.layout import PAGE, REPORT
from vitrial.report.sections import SECTIONS
from vitrial.report.snapshot import Snapshot
from vitrial.report.template import template
from vitrial.store.study import Study

NOTHING = Markup("")


def write_report(study: Study) -> Path:
    """Write `report/index.html`, and the table as CSV, Markdown and LaTeX beside it.

    Returns:
        The path of the page.
    """
    return write_page(Snapshot(study))


def write_page(snapshot: Snapshot) -> Path:
    """The same, of what was read of a study."""
    folder = snapshot.study.path / REPORT
    table, title = snapshot.table, snapshot.caption
    for form, suffix in (("csv", "csv"), ("markdown", "md"), ("latex", "tex")):
        text = str(render(table, snapshot.protocol.endpoint, title, form))
        write_text(folder / f"table.{suffix}", text)
    write_text(folder / PAGE, build_page(snapshot))
    return folder / PAGE


def build_page(snapshot: Snapshot, above: Markup = NOTHING) -> str:
    """The page's HTML: every section of `vitrial.report.sections` that applies to the study.

    Args:
        snapshot: The study.
        above: What stands above the sections.
    """
    sections = [
        {"name": name, "title": section.TITLE, "summary": section.SUMMARY, "body": body}
        for name, section in SECTIONS.entries().items()
        if (body := section.render(snapshot))
    ]
    return template("page.html.j2").render(
        protocol=snapshot.protocol, sections=sections, above=above
    )
