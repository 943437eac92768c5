"""The paper's Table 1 for one's own data: a row per arm, median and spread over repetitions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from vitrial.errors import VitrialError
from vitrial.metrics import ENDPOINTS


def arm_table(
    scores: pd.DataFrame, endpoint: str, arms: Sequence[tuple[str, str, str]]
) -> pd.DataFrame:
    """Summarize the test scores of each arm.

    Args:
        scores: Of `run_scores`.
        endpoint: The protocol's.
        arms: Initialization, backbone and name of each, in the protocol's order.

    Returns:
        A row per arm, by initialization and then backbone as in the paper, both in the protocol's
        order; an arm without a finished run has no figures. Columns `initialization`, `backbone`,
        `arm`;
        `weights` (the tag in timm, or the file, that the arm started from); `median`, `std` (of
        the sample; missing for a single repetition), `lowest`, `highest` and `repetitions` of the
        endpoint; `knn` (median balanced accuracy of nearest neighbors), `calibration_error`
        (median), `parameters`; medians of a run's `minutes` of fine-tuning, of
        `pretraining_minutes` (all that was trained before it), of `pretraining_share_minutes` (the
        same divided by the runs that share it) and of `total_minutes` (fine-tuning and share);
        `images_per_second` (median, without validation); `precision` and `device`.
    """
    test = scores[scores["split"] == "test"]
    initializations = list(dict.fromkeys(initialization for initialization, *_ in arms))
    rows = sorted(arms, key=lambda arm: initializations.index(arm[0]))
    by_arm = test.groupby(["initialization", "backbone", "arm"], sort=False)
    table = by_arm.agg(
        weights=("weights", _all_of),
        median=(endpoint, "median"),
        std=(endpoint, "std"),
        lowest=(endpoint, "min"),
        highest=(endpoint, "max"),
        repetitions=(endpoint, "size"),
        knn=("knn_balanced_accuracy", "median"),
        calibration_error=("calibration_error", "median"),
        parameters=("parameters", "first"),
        minutes=("training_seconds", _median_minutes),
        pretraining_minutes=("pretraining_seconds", _median_minutes),
        pretraining_share_minutes=("pretraining_share_seconds", _median_minutes),
        total_minutes=("total_seconds", _median_minutes),
        images_per_second=("images_per_second", "median"),
        precision=("precision", _all_of),
        device=("device", _all_of),
    )
    index = pd.MultiIndex.from_tuples(rows, names=["initialization", "backbone", "arm"])
    table = table.reindex(index).reset_index()
    return table.astype({"repetitions": "Int64"}).fillna({"repetitions": 0})


def _median_minutes(seconds: pd.Series) -> float:
    return float(seconds.median()) / 60


def _all_of(names: pd.Series) -> str | None:
    """What the runs of an arm have; all of it if they differ, None if it is nothing."""
    return " and ".join(sorted(set(names.dropna()))) or None


UNLIKE = {
    "precision": "in different precisions",
    "device": "on different machines",
    "program": "by different versions of the program",
}


def unlike(records: Sequence[dict[str, Any]]) -> list[str]:
    """In what the runs of a table differ besides their arms, a sentence each.

    Args:
        records: Of each run its `arm`, `precision`, `device`, `program` and `weights_sha256`, as
            in `vitrial.store.provenance`.
    """
    sentences = []
    programs = _told_apart([record["program"] for record in records])
    records = [record | {"program": p} for record, p in zip(records, programs, strict=True)]
    for name, how in UNLIKE.items():
        arms: dict[str, dict[str, None]] = {}
        for record in records:
            arms.setdefault(record[name], {})[record["arm"]] = None
        if len(arms) > 1:
            each = "; ".join(f"{value}: {', '.join(named)}" for value, named in arms.items())
            sentences.append(f"Computed {how}, which may be part of a difference: {each}")
    by_arm: dict[str, set[Any]] = {}
    for record in records:
        by_arm.setdefault(record["arm"], set()).add(record["weights_sha256"])
    mixed = [arm for arm, files in by_arm.items() if len(files) > 1]
    if mixed:
        sentences.append(f"Runs of one arm started from different files: {', '.join(mixed)}")
    return sentences


def _told_apart(programs: list[dict[str, str]]) -> list[str]:
    """Of each program the versions in which they differ, in words."""
    names = dict.fromkeys(name for program in programs for name in program)
    differing = [name for name in names if len({p.get(name) for p in programs}) > 1]
    return [" ".join(f"{name} {p.get(name, 'unknown')}" for name in differing) for p in programs]


def chance(endpoint: str, classes: int) -> float | None:
    """What guessing scores, where that depends on nothing but the number of classes."""
    guess = ENDPOINTS[endpoint].chance
    return None if guess is None else guess(classes)


def caption(data: str, endpoint: str, classes: int) -> str:
    """What the table shows, in one line."""
    metric, guess = ENDPOINTS[endpoint], chance(endpoint, classes)
    return (
        f"{data}: {metric.label} on the test split, median ± standard deviation over repetitions"
        + ("" if metric.higher_is_better else "; lower is better")
        + ("" if guess is None else f"; chance is {guess:.3f}")
    )


def in_words(table: pd.DataFrame, endpoint: str) -> pd.DataFrame:
    """The table as it is printed: rounded, with units in the headings. Strings throughout."""
    return pd.DataFrame(
        {
            "Initialization": table["initialization"],
            "Backbone": _backbones(table),
            "Weights": table["weights"].fillna("-"),
            ENDPOINTS[endpoint].label: [
                _figure(median, "{:.3f}") + ("" if math.isnan(std) else f" ± {std:.3f}")
                for median, std in table[["median", "std"]].to_numpy(dtype=float)
            ],
            "Runs": table["repetitions"].astype(str),
            "kNN": [_figure(value, "{:.3f}") for value in table["knn"]],
            "Calibration error": [_figure(value, "{:.3f}") for value in table["calibration_error"]],
            "Parameters": [_figure(value / 1e6, "{:.1f} M") for value in table["parameters"]],
            **{
                heading: [_figure(value, "{:.1f}") for value in table[name]]
                for name, heading in MINUTES.items()
            },
            "Images/s": [_figure(value, "{:.0f}") for value in table["images_per_second"]],
        }
    )


def _backbones(table: pd.DataFrame) -> list[str]:
    """The backbones, with the arm's id where the protocol gives one."""
    columns = (table[name].astype(str) for name in ("initialization", "backbone", "arm"))
    return [
        backbone if arm == f"{backbone} / {initialization}" else f"{backbone} ({arm})"
        for initialization, backbone, arm in zip(*columns, strict=True)
    ]


def _figure(value: float, pattern: str) -> str:
    return "-" if math.isnan(value) else pattern.format(value)


MINUTES = {
    "minutes": "Fine-tuning, min",
    "pretraining_minutes": "Pretraining, min",
    "pretraining_share_minutes": "Its share, min",
    "total_minutes": "Total, min",
}
"""Headings of what a run costs; the total is fine-tuning and the share of pretraining."""

FORMS = ("terminal", "csv", "markdown", "latex")


def render(table: pd.DataFrame, endpoint: str, title: str, form: str) -> str | Table:
    """The table in one of `FORMS`; CSV keeps every digit.

    Raises:
        VitrialError: The form is unknown.
    """
    if form not in FORMS:
        raise VitrialError(f"'{form}' is not a format: choose {', '.join(FORMS)}.")
    if form == "csv":
        return table.to_csv(index=False)
    words = in_words(table, endpoint)
    if form == "terminal":
        return to_rich(words, title)
    return to_markdown(words, title) if form == "markdown" else to_latex(words, title)


TEXTS = 3
"""The first columns, which hold words: initialization, backbone, weights."""


LONGEST = 44
"""Characters of a backbone that stay in one line; the tag of a longer one follows below it."""


def to_rich(words: pd.DataFrame, title: str) -> Table:
    """For the terminal, in 80 columns: what the paper's table has, and what a run costs.

    An initialization heads its backbones, so that the longest names of timm fit; where a backbone's
    weights are not in its name, they stand below it.
    """
    table = Table(
        title=title, title_justify="left", title_style="", box=SIMPLE_HEAD, pad_edge=False
    )
    start, backbone, weights, score, runs = words.columns[:5]
    table.add_column("Arm", overflow="fold")
    for name, column in ((score, score), (runs, runs), ("Minutes", MINUTES["total_minutes"])):
        # As wide as its figures: a longer heading is folded.
        width = max([*map(len, words[column]), *map(len, name.split())])
        table.add_column(name, justify="right", width=width)
    for origin, arms in words.groupby(start, sort=False):
        table.add_row(Text(str(origin), "bold"))
        for arm in arms.to_dict("records"):
            name = f"  {arm[backbone]}"
            if len(name) > LONGEST:
                name = name.replace(".", "\n    .", 1)
            if arm[weights] != "-" and arm[weights] not in arm[backbone]:
                name += f"\n    {arm[weights]}"
            table.add_row(Text(name), arm[score], arm[runs], arm[MINUTES["total_minutes"]])
    return table


def to_markdown(words: pd.DataFrame, title: str) -> str:
    """For a README or an issue."""
    lines = [list(words.columns), ["---"] * TEXTS + ["---:"] * (len(words.columns) - TEXTS)]
    lines += [list(row) for row in words.itertuples(index=False)]
    return f"{title}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def to_latex(words: pd.DataFrame, title: str) -> str:
    """For a paper; needs the booktabs package."""
    columns = "l" * TEXTS + "r" * (len(words.columns) - TEXTS)
    caption = _escape_latex(title)  # which pandas leaves as it is
    table = words.to_latex(index=False, escape=True, caption=caption, column_format=columns)
    return table.replace("±", r"$\pm$")


def _escape_latex(text: str) -> str:
    for char in "&%_#$":
        text = text.replace(char, "\\" + char)
    return text
