"""Secondary analyses in words, for the terminal, a paper and the page."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.table import Table

from vitrial.metrics import METRICS
from vitrial.store.analyses import Analyses

FORMS = ("terminal", "markdown", "latex")
EXPLORATORY = (
    "Exploratory: none of this was fixed before training, and intervals are not corrected for "
    "how many there are. 95% intervals count repetitions and patients or lesions; of an arm with "
    "one repetition they speak of that trained model alone."
)
WHEN = {"before": "before", "after": "after temperature", "change": "what it changed"}


@dataclass(frozen=True)
class Shown:
    """A table as it is printed.

    Attributes:
        title: What it shows.
        note: How to read it.
        words: The table; strings throughout.
    """

    title: str
    note: str
    words: pd.DataFrame


def letters(found: Analyses) -> dict[str, str]:
    """A short name for each arm, in the order of the table of metrics: A, B ..., then A2 ..."""
    arms = list(dict.fromkeys(found.tables["metrics"]["arm"]))
    return {arm: chr(65 + i % 26) + (str(i // 26 + 1) * (i > 25)) for i, arm in enumerate(arms)}


def in_words(found: Analyses) -> list[Shown]:
    """Every table, rounded and with arms by letter; the first says which letter is which."""
    return list(_in_words(found))


def _in_words(found: Analyses) -> Iterator[Shown]:
    tables, facts, short = found.tables, found.facts, letters(found)
    names = pd.DataFrame({"Letter": list(short.values()), "Arm": list(short)})
    yield Shown("Arms by letter", " ".join([EXPLORATORY, *facts["notes"]]), names)
    yield Shown(
        "Every metric on the test split",
        "A - B is the mean of A less that of B.",
        _long(tables["metrics"], {"metric": "Metric"}, short),
    )
    yield Shown(
        "Calibration",
        "Before and after the logits of each run were divided by a temperature, fitted on "
        "validation by the log loss. Lower is better.",
        _long(tables["calibration"], {"metric": "Metric", "when": "When"}, short),
    )
    metric = METRICS[facts["endpoint"]].label
    if "patients" in tables:
        yield Shown(
            f"{metric} by image and by patient or lesion",
            "By patient: one answer each, by the mean probability over the images.",
            _long(tables["patients"], {"by": "By", "n": "Number"}, short),
        )
    if "operating_point" in tables:
        request = facts["request"]
        yield Shown(
            f"Operating point for {facts['positive']}",
            f"Each run's threshold was chosen on validation, for a {request['required']} of at "
            f"least {request['level']:g} there; these are the results on test.",
            _long(tables["operating_point"], {"measure": "Measure"}, short),
        )
        yield Shown(
            f"Net benefit of acting on {facts['positive']}",
            "True positives less false ones, each worth p / (1 - p) of one, per image; of "
            "calibrated probabilities. Acting on none has 0. Intervals are in the CSV.",
            _net_benefit(tables["net_benefit"], short),
        )
    if "subgroups" in tables:
        yield Shown(
            f"{metric} by subgroup",
            "Subgroups of fewer than 20 patients or lesions, or without some class, are not "
            "judged.",
            _subgroups(tables["subgroups"], short),
        )
        yield Shown(
            "Largest gap between subgroups",
            "The interval is widened for the number of pairs that the largest was picked from.",
            _gaps(tables["subgroup_gaps"], short),
        )
    if "two_runs" in tables:
        first, second = facts["request"]["two_runs"]
        yield Shown(
            f"{first} against {second}",
            "Two trained models alone, images taken as independent. DeLong: areas under the ROC "
            "curve. McNemar: images that one alone has right, and the difference in accuracy.",
            _two_runs(tables["two_runs"]),
        )


def render(found: Analyses, form: str) -> Iterator[str | Table]:
    """Every table in one of `FORMS`, each with what is to be known of it."""
    for shown in in_words(found):
        if form == "terminal":
            yield f"{shown.title}\n{shown.note}"
            table = Table(box=SIMPLE_HEAD)
            for name in shown.words.columns:
                figure = name in ("Value", "95% interval", "Number", "Groups", "p")
                table.add_column(name, justify="right" if figure else "left", overflow="fold")
            for row in shown.words.itertuples(index=False):
                table.add_row(*row)
            yield table
        elif form == "markdown":
            lines = [list(shown.words.columns), ["---"] * len(shown.words.columns)]
            lines += shown.words.to_numpy().tolist()
            rows = "".join(f"| {' | '.join(line)} |\n" for line in lines)
            yield f"## {shown.title}\n\n{shown.note}\n\n{rows}"
        else:
            caption = f"{shown.title}. {shown.note}".replace("%", r"\%").replace("_", r"\_")
            yield shown.words.to_latex(index=False, escape=True, caption=caption)


def _long(table: pd.DataFrame, keys: dict[str, str], short: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            **{heading: [_word(value) for value in table[key]] for key, heading in keys.items()},
            "Of": _of(table, short),
            "Value": [
                _figure(value, bool(less))
                for value, less in zip(table["value"], table["less"], strict=True)
            ],
            "95% interval": _intervals(table),
        }
    )


def _of(table: pd.DataFrame, short: dict[str, str]) -> list[str]:
    return [
        f"{short[arm]} - {short[less]}" if less else short.get(arm, "")
        for arm, less in table[["arm", "less"]].fillna("").to_numpy()
    ]


def _net_benefit(table: pd.DataFrame, short: dict[str, str]) -> pd.DataFrame:
    arms = table[table["less"] == ""]
    wide = arms.pivot(index="threshold", columns="arm", values="value")[list(short)]
    words = wide.rename(columns=short).map(lambda value: _figure(value, True))
    everyone = arms.groupby("threshold")["act_on_all"].first()
    words.insert(0, "Acting on all", [_figure(value, True) for value in everyone])
    words.insert(0, "p", [f"{p:g}" for p in wide.index])
    return words


def _subgroups(table: pd.DataFrame, short: dict[str, str]) -> pd.DataFrame:
    words = _long(
        table.fillna({"less": ""}),
        {"column": "Column", "subgroup": "Subgroup", "images": "Number", "groups": "Groups"},
        short,
    )
    why = table["why"].fillna("").to_numpy()
    words["95% interval"] = words["95% interval"].mask(why != "", why)
    return words


def _gaps(table: pd.DataFrame, short: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Column": table["column"],
            "Of": [short[arm] for arm in table["arm"]],
            "Between": table["best"] + " and " + table["worst"],
            "Value": [_figure(gap, True) for gap in table["gap"]],
            "95% interval": _intervals(table),
        }
    )


def _two_runs(table: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Test": table["test"],
            "First": [f"{value:.4g}" for value in table["first"]],
            "Second": [f"{value:.4g}" for value in table["second"]],
            "Value": [_figure(value, True) for value in table["difference"]],
            "95% interval": _intervals(table),
            "p": ["< 0.001" if p < 0.001 else f"{p:.3f}" for p in table["p"]],
        }
    )


def _intervals(table: pd.DataFrame) -> list[str]:
    return [
        "-" if math.isnan(low) else f"[{low:.3f}, {high:.3f}]"
        for low, high in table[["low", "high"]].to_numpy(dtype=float)
    ]


def _figure(value: float, signed: bool) -> str:
    return "-" if math.isnan(value) else f"{value:+.3f}" if signed else f"{value:.3f}"


def _word(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value)
    return METRICS[text].label if text in METRICS else WHEN.get(text, text)
