"""The report: one self-contained page, computed from what lies on disk."""

from __future__ import annotations

from pathlib import Path

from vitrial.atomic import write_text
from vitrial.compare.table import render
from vitrial.layout import PAGE, REPORT
from vitrial.report.sections import SECTIONS
from vitrial.report.template import template
from vitrial.store.study import Study


def write_report(study: Study) -> Path:
    """Write `report/index.html`, and the table as CSV, Markdown and LaTeX beside it.

    The page has every section of `vitrial.report.sections` that applies to the study.

    Returns:
        The path of the page.
    """
    folder = study.path / REPORT
    title, table = study.caption(), study.table()
    for form, suffix in (("csv", "csv"), ("markdown", "md"), ("latex", "tex")):
        text = str(render(table, study.protocol.endpoint, title, form))
        write_text(folder / f"table.{suffix}", text)
    sections = [
        {"name": name, "title": section.TITLE, "summary": section.SUMMARY, "body": body}
        for name, section in SECTIONS.entries().items()
        if (body := section.render(study))
    ]
    page = template("page.html.j2").render(protocol=study.protocol, sections=sections)
    write_text(folder / PAGE, page)
    return folder / PAGE
