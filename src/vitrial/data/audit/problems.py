"""The list of what is wrong with a data set, as a file for a spreadsheet."""

from __future__ import annotations

import csv
from pathlib import Path

from vitrial.atomic import replacing
from vitrial.data.audit.record import PROBLEM, facts_of
from vitrial.errors import Problem


def write_problems(problems: list[Problem], path: Path) -> None:
    """Write all problems and notes as CSV, with cells that a spreadsheet would calculate quoted."""
    with (
        replacing(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(PROBLEM)
        for problem in sorted(problems, key=lambda p: not p.fatal):
            writer.writerow(_no_formula(str(fact)) for fact in facts_of(problem))


def _no_formula(text: str) -> str:
    """A spreadsheet must not calculate what a file is called."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
