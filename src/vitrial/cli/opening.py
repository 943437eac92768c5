"""Opening a study that a command names, and printing what it found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vitrial.cli.sentences import err_console, out_console

if TYPE_CHECKING:
    from vitrial.store.data_size import DataSize
    from vitrial.store.study import Study


def open_study(folder: Path) -> Study:
    """A study; what its reader should know is printed."""
    from vitrial.store.study import load_study

    study = load_study(folder)
    for note in study.notes:
        err_console.print(note, soft_wrap=True, highlight=False, markup=False)
    return study


def print_result(study: Study) -> None:
    """Write the report, and print the table, the verdict and where the report is."""
    from vitrial.compare.sentences import render as verdict
    from vitrial.compare.table import render
    from vitrial.report.page import write_page
    from vitrial.report.snapshot import Snapshot

    found = Snapshot(study)
    path = write_page(found)
    out_console.print(render(found.table, found.protocol.endpoint, found.caption, "terminal"))
    said = verdict(found.findings, [], "terminal")
    out_console.print(said, end="", soft_wrap=True, highlight=False, markup=False)
    print_data_size(found.data_size)
    out_console.print(f"Report: {path.resolve()}", soft_wrap=True, highlight=False)


def print_data_size(found: DataSize | None) -> None:
    """What more training images give, where runs are of several sizes."""
    if found is not None:
        out_console.print("\n".join(found.sentences()), highlight=False, markup=False)
