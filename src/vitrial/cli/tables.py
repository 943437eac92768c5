"""Tables that commands print: the status of runs, and what a search of rates found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from rich.markup import escape
from rich.table import Column, Table

if TYPE_CHECKING:
    from vitrial.study.tune import Tuning

COLORS = {
    "done": "green",
    "running": "cyan",
    "damaged": "red",
    "failed": "red",
    "left": "dim",
    "skipped": "yellow",
}
RARE = ("damaged", "skipped")
"""What is counted only where it occurs."""


def status_table(status: pd.DataFrame) -> Table:
    """A line per stage of `Study.status`, and the count of each status in the caption."""
    table = Table("Status", Column("Run", overflow="fold"), "Epochs", caption_justify="left")
    for row in status.to_dict("records"):
        state = f"[{COLORS[row['status']]}]{row['status']}[/]"
        table.add_row(state, escape(row["name"]), str(row["epochs"] or ""))
    counts = status["status"].value_counts()
    named = [name for name in COLORS if name not in RARE or name in counts]
    table.caption = ", ".join(f"{counts.get(name, 0)} {name}" for name in named)
    return table


def tuning_table(tuning: Tuning) -> Table:
    """Arms by rates, the best score of each arm marked."""
    rates = sorted(tuning.scores["base_lr"].unique())
    table = Table("Arm", *(f"{rate:g}" for rate in rates), title="Best validation score")
    for arm, rows in tuning.scores.groupby("arm", sort=False):
        by_rate = rows.set_index("base_lr")
        cells = [
            "failed" if pd.isna(score) else f"[bold]{score:.3f} *[/]" if best else f"{score:.3f}"
            for score, best in by_rate.loc[rates, ["score", "best"]].itertuples(index=False)
        ]
        table.add_row(str(arm), *cells)
    return table
