"""Tables of text, as spreadsheets save them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

import pandas as pd

from vitrial.data.names import trimmed
from vitrial.errors import Problem, VitrialError
from vitrial.spelling import did_you_mean

MISSING = frozenset({"", "nan", "na", "n/a", "#n/a", "<na>", "null"})
"""What spreadsheets and R write, in lower case, where there is no value."""


def read_table(content: bytes, name: str) -> tuple[pd.DataFrame, list[Problem]]:
    """Read a table as texts; commas, semicolons or tabs separate its columns.

    Args:
        content: The file, UTF-8.
        name: Its name, for sentences.

    Returns:
        The table, indexed by row number as a spreadsheet shows it (the header is row 1), without
        blank rows and columns that have no name; and the rows that do not fit the header, which
        are not in the table.

    Raises:
        VitrialError: It is not UTF-8 text, is empty, or names a column twice.
    """
    try:
        text = content.decode("utf-8-sig")
        if not text.strip():
            raise VitrialError(f"{name} is empty: write a header and a row per image into it.")
        start = text.split("\n", 1)[0]
        delimiter = max(",;\t", key=start.count)
        header, *rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    except UnicodeDecodeError as error:
        raise VitrialError(f"{name} is not UTF-8 text: save it as 'CSV UTF-8'.") from error
    except (csv.Error, ValueError) as error:
        raise VitrialError(f"{name} is no table of text: {error}.") from error
    header = [trimmed(column) for column in header]
    twice = sorted({column for column in header if column and header.count(column) > 1})
    if twice:
        raise VitrialError(f"{name} has more than one column {', '.join(twice)}: rename one.")
    readable, problems = {}, []
    for number, row in enumerate(rows, start=2):
        cells = [trimmed(cell) for cell in row] + [""] * (len(header) - len(row))
        if any(cells[len(header) :]):
            problems.append(
                Problem(
                    row_name(number, name),
                    f"has {len(cells)} cells where the header has {len(header)}",
                    "put quotation marks around texts that contain the separator",
                )
            )
        elif any(cells):
            readable[number] = cells
    columns = {name: [row[i] for row in readable.values()] for i, name in enumerate(header) if name}
    return pd.DataFrame(columns, index=pd.Index(readable, dtype="int64"), dtype=str), problems


def require_columns(table: pd.DataFrame, wanted: Iterable[str], name: str) -> None:
    """Refuse a table that lacks a column.

    Raises:
        VitrialError: Names the missing columns, those there are, and the nearest.
    """
    absent = [column for column in dict.fromkeys(wanted) if column not in table.columns]
    if absent:
        meant = [f"'{column}'{did_you_mean(column, table.columns)}" for column in absent]
        raise VitrialError(
            f"{name} has no column {'; '.join(meant).rstrip('?')}. "
            f"Its columns are: {', '.join(table.columns) or 'none, as its first row is blank'}."
        )


def row_name(number: int, name: str) -> str:
    """How a row is called in problems."""
    return f"row {number} of {name}"


def is_missing(text: str) -> bool:
    """Whether a cell stands for no value."""
    return text.lower() in MISSING
