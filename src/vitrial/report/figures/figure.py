"""A figure as a section shows it: a drawing beside its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd
from markupsafe import Markup


@dataclass(frozen=True)
class Figure:
    """What the macro `figure` of `static/macros.html.j2` takes.

    Attributes:
        name: Unlike any other on the page.
        svg: The drawing.
        caption: What it shows and how to read it.
        table: The numbers that are drawn.
        formats: Of its columns, see `vitrial.report.tables.shown_table`.
    """

    name: str
    svg: Markup
    caption: str
    table: pd.DataFrame
    formats: Mapping[str, str] = field(default_factory=dict)
