"""Problems with data as a table on a terminal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from vitrial.errors import Problem

SHOWN, SHOWN_ALIKE, NOTES_ALIKE = 200, 20, 3
"""Rows of the printed table: in all, problems with the same text, notes with the same text."""


def print_problems(problems: Sequence[Problem], console: Console) -> bool:
    """Print problems as a table, those that stop everything first; nothing if there are none.

    Args:
        problems: What is wrong or worth knowing.
        console: Where the table is printed.

    Returns:
        Whether the table has them all; else some rows stand for several.
    """
    if not problems:
        return True
    table = Table("", "where", "what", "what to do", title="Problems with the data")
    rows = _shortened(problems)
    for cells in rows[:SHOWN]:
        # Text, not markup: brackets in file names are meant.
        table.add_row(*(Text(_printable(cell), overflow="fold") for cell in cells))
    console.print(table)
    if len(rows) > SHOWN:
        console.print(f"and {len(rows) - SHOWN} more rows of {len(problems)} problems and notes")
    return len(rows) == len(problems)


def _shortened(problems: Sequence[Problem]) -> list[tuple[str, str, str, str]]:
    """Rows of the table: kind, where, what, what to do."""
    by_kind: defaultdict[tuple[bool, str, str], list[Problem]] = defaultdict(list)
    for problem in problems:
        by_kind[not problem.fatal, problem.kind, problem.fix].append(problem)
    rows = []
    for _, alike in sorted(by_kind.items()):
        kinds, shown = ("problem", SHOWN_ALIKE) if alike[0].fatal else ("note", NOTES_ALIKE)
        rows += [(kinds, p.where, p.what, p.fix) for p in alike[:shown]]
        if len(alike) > shown:
            same = len({problem.what for problem in alike}) == 1
            what = alike[0].what if same else alike[0].kind
            rows.append(("", f"and {len(alike) - shown} more", what, alike[0].fix))
    return rows


def _printable(text: str) -> str:
    """Control characters and undecodable bytes of file names, spelt out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
