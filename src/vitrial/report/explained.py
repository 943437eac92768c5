"""What was measured of explanations, for the terminal."""

from __future__ import annotations

import math
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vitrial.compare.explanations import MEASURES, method_table, paired_table, sanity_table
from vitrial.explain.explained import Explained
from vitrial.report.explanations import counts, p_in_words, transformers_methods

HEADINGS = {"precision": "AP", "iou": "IoU"}
FURTHER = {"entropy": "{:.2f}", "detail": "{:.0f}", "sanity": "{:.2f}"}
"""What is shown of maps that cannot be held against a lesion, and with which digits."""
HOW_TO_READ = (
    "Entropy: 1 is a map that is the same everywhere. Detail: the smallest thing that it can show, "
    "in pixels. Sanity: correlation with the map of random weights; 0.5 or more fails."
)


def print_explanations(found: Explained, console: Console) -> None:
    """Print how right and how faithful each method is, and the transformers against the CNNs.

    Args:
        found: Of a study, or of images of the user's own.
        console: Where to print.
    """
    measures, sanity = found.measures, sanity_table(found.sanity)
    checks = {(row["arm"], row["method"]): row for row in sanity.to_dict("records")}
    table = method_table(measures)
    there = [name for name in MEASURES if table[name].notna().any()]
    further = FURTHER if table["energy"].isna().all() else {}
    lesions = measures.loc[measures["energy"].notna(), "image"].nunique()
    console.print(
        f"{measures['image'].nunique()} images, {lesions} of them with a lesion's mask. "
        f"{counts(measures)}{' Deletion: lower is better.' * ('deletion' in there)}",
        highlight=False,
    )
    if further:
        console.print(HOW_TO_READ, highlight=False)
    for arm, rows in table.groupby("arm", sort=False):
        shown = _narrow(str(arm), "", *(HEADINGS.get(name, name) for name in (*there, *further)))
        for row in rows.to_dict("records"):
            check = checks.get((arm, row["method"]), {"passes": True, "final": math.nan})
            figures = row | {"sanity": check["final"]}
            shown.add_row(
                row["method"] + ("" if check["passes"] else "\n[red]fails sanity[/]"),
                *(_with_interval(row, name) for name in there),
                *(_figure(figures[name], pattern) for name, pattern in further.items()),
            )
        console.print(shown)
    pairs = paired_table(measures, transformers_methods())
    if pairs.empty:
        return
    console.print(
        "Transformer less the CNN's Grad-CAM on the same images; + favors the transformer. "
        "Deletion and insertion: what each gains on its own model over random maps that are as "
        "coarse. p: of no difference, adjusted for the number of comparisons (Holm).",
        highlight=False,
    )
    for keys, pair in pairs.groupby(["initialization", "transformer", "cnn"], sort=False):
        start, transformer, cnn = keys
        methods = list(dict.fromkeys(pair["method"]))
        compared = _narrow(f"{transformer} against {cnn}, {start}", "", *methods)
        for measure, rows in pair.groupby("measure", sort=False):
            of = rows.set_index("method").to_dict("index")
            compared.add_row(str(measure), *(_difference(of[name]) for name in methods))
        console.print(compared)


def _narrow(title: str, *headings: str) -> Table:
    """A table that fits 80 columns."""
    return Table(
        *headings,
        title=escape(title),
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )


def _with_interval(row: dict[Any, Any], name: str) -> str:
    if math.isnan(row[name]):
        return "-"
    if math.isnan(row[f"{name}_low"]):
        return f"{row[name]:.3f}"
    return f"{row[name]:.3f}\n[dim]{_short(row[f'{name}_low'])}-{_short(row[f'{name}_high'])}[/]"


def _difference(found: dict[Any, Any]) -> str:
    words = f"{found['difference']:+.3f}"
    if not math.isnan(found["low"]):
        words += f"\n[dim]{found['low']:+.3f} {found['high']:+.3f}[/]"
    return words + ("" if math.isnan(found["p"]) else f"\np {p_in_words(found['p'])}")


def _figure(value: float, pattern: str) -> str:
    return "-" if math.isnan(value) else pattern.format(value)


def _short(value: float) -> str:
    """Such as .05 and 1.0, to fit a narrow column."""
    return "1.0" if value > 0.995 else f"{value:.2f}".removeprefix("0")
