"""What was measured of explanations, for the terminal."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vitrial.compare.explanations import MEASURES, method_table, paired_table, sanity_table


def print_explanations(folder: Path, margin: float, console: Console) -> None:
    """Print how right and how faithful each method is, and the transformers against the CNNs.

    Args:
        folder: Of a study's explanations.
        margin: Smallest difference that matters.
        console: Where to print.
    """
    measures = pd.read_parquet(folder / "measures.parquet")
    sanity = sanity_table(pd.read_parquet(folder / "sanity.parquet"))
    failed = {(row["arm"], row["method"]) for row in sanity.to_dict("records") if not row["passes"]}
    table = method_table(measures)
    there = [name for name in MEASURES if table[name].notna().any()]
    lesions = measures.loc[measures["energy"].notna(), "image"].nunique()
    console.print(
        f"{measures['image'].nunique()} images, {lesions} of them with a lesion's mask. Means, "
        "with 95 % intervals over groups; deletion: lower is better.",
        highlight=False,
    )
    for arm, rows in table.groupby("arm", sort=False):
        shown = Table(escape(str(arm)), *there, box=SIMPLE_HEAD)
        for row in rows.to_dict("records"):
            mark = "\n[red]fails its sanity check[/]" if (arm, row["method"]) in failed else ""
            shown.add_row(row["method"] + mark, *(_with_interval(row, name) for name in there))
        console.print(shown)
    pairs = paired_table(measures, margin)
    if pairs.empty:
        return
    console.print(
        f"Transformer less the CNN's Grad-CAM on the same images; + favours the transformer. "
        f"Margin {margin:g}.",
        highlight=False,
    )
    for keys, rows in pairs.groupby(["initialisation", "transformer", "cnn"], sort=False):
        start, transformer, cnn = keys
        there = list(dict.fromkeys(rows["measure"]))
        compared = Table(escape(f"{transformer}\nagainst {cnn}\n{start}"), *there, box=SIMPLE_HEAD)
        for method, found in rows.groupby("method", sort=False):
            of = found.set_index("measure").to_dict("index")
            compared.add_row(str(method), *(_difference(of[name]) for name in there))
        console.print(compared)


def _with_interval(row: dict[Any, Any], name: str) -> str:
    if math.isnan(row[name]):
        return "-"
    return f"{row[name]:.3f}\n[dim]{row[f'{name}_low']:.2f}-{row[f'{name}_high']:.2f}[/]"


def _difference(found: dict[Any, Any]) -> str:
    interval = f"[dim]{found['low']:+.2f} {found['high']:+.2f}[/]"
    return f"{found['difference']:+.3f}\n{interval}\n{found['verdict']}"
