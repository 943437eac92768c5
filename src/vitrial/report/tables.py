"""Tables as the page shows them: digits that mean something, exact values for sorting and CSV."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from markupsafe import Markup

NOTHING = "–"
"""Stands for a number that is not there."""
GAPS = ("", "-", NOTHING)
FIGURE = re.compile(r"[<>+\-−±\[(]*\s*\d[\d,]*(\.\d+)?\s*($|[±%\[(M])")
"""Texts that are read as numbers: `0.52 ± 0.01`, `+0.003 [-0.010, +0.016]`, `< 0.001`, `4.9 M`."""


@dataclass(frozen=True)
class ShownCell:
    """A cell.

    Attributes:
        text: What is read; `Markup` stays as it is, all else is escaped.
        value: The exact number behind it, for sorting and for the CSV; nothing of a text.
    """

    text: str
    value: str = ""


@dataclass(frozen=True)
class ShownTable:
    """A table.

    Attributes:
        headings: Of the columns.
        figures: Of each column whether it holds numbers, which are aligned to the right.
        rows: Its cells.
    """

    headings: list[str]
    figures: list[bool]
    rows: list[list[ShownCell]]


def shown_table(frame: pd.DataFrame, formats: Mapping[str, str] | None = None) -> ShownTable:
    """A frame as it is shown; its index is not.

    Args:
        frame: Numbers and texts; headings are the names of its columns. A column with `Markup` has
            to be of dtype object, or pandas makes plain text of it.
        formats: Patterns of `str.format` by column; floats have three digits after the point and
            integers a comma at thousands where there is none.
    """
    formats = formats or {}
    columns = [
        [_cell(value, formats.get(str(name))) for value in frame.iloc[:, place]]
        for place, name in enumerate(frame.columns)
    ]
    return ShownTable(
        headings=[str(name) for name in frame.columns],
        figures=[_are_figures(column) for column in columns],
        rows=[list(row) for row in zip(*columns, strict=True)],
    )


def _cell(value: object, pattern: str | None) -> ShownCell:
    if isinstance(value, (bool, np.bool_)):
        return ShownCell("yes" if value else "no")
    if isinstance(value, (int, np.integer)):
        return ShownCell((pattern or "{:,}").format(value), str(value))
    if isinstance(value, (float, np.floating)):
        if math.isnan(value):
            return ShownCell(NOTHING)
        return ShownCell((pattern or "{:.3f}").format(value), repr(float(value)))
    if value is None or value is pd.NA:
        return ShownCell(NOTHING)
    return ShownCell(value if isinstance(value, Markup) else str(value))


def _are_figures(column: list[ShownCell]) -> bool:
    """Whether a column holds numbers, and perhaps gaps."""
    filled = [cell for cell in column if cell.text not in GAPS]
    return bool(filled) and all(cell.value or FIGURE.match(cell.text) for cell in filled)
