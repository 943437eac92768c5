"""Downloads whose table names images without folder and suffix; they may lie anywhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath

import pandas as pd

from vitrial.data.io.decode import SUFFIXES
from vitrial.data.io.files import Files, suffix_of
from vitrial.data.io.table import is_missing, row_name
from vitrial.errors import Problem, VitrialError

Faults = dict[int, tuple[str, str]]
"""By row number, what is wrong with a row, and how to fix it."""


def find_table(files: Files, names: list[str], wanted: tuple[str, ...]) -> str:
    """Where a table lies; of several the one nearest to the root.

    Args:
        files: The root.
        names: All its files.
        wanted: What the table may be called.

    Raises:
        VitrialError: There is no such table.
    """
    places = [name for name in names if PurePosixPath(name).name in wanted]
    if not places:
        raise VitrialError(f"{files.root} holds no {wanted[0]}: put it next to the images.")
    return min(places, key=_distance)


def find_images(names: list[str], stems: Iterable[str]) -> tuple[dict[str, str], list[Problem]]:
    """Where images lie, by the stems of their names; of several the one nearest to the root.

    Args:
        names: All files below the root.
        stems: Those that a table names.

    Returns:
        Path by stem, for those that are found; and a note if some are found more than once.
    """
    places: defaultdict[str, list[str]] = defaultdict(list)
    wanted = set(stems)
    for name in sorted(names, key=_distance):
        if suffix_of(name) in SUFFIXES and (stem := PurePosixPath(name).stem) in wanted:
            places[stem].append(name)
    chosen = {stem: found[0] for stem, found in places.items()}
    several = [found for found in places.values() if len(found) > 1]
    if not several:
        return chosen, []
    first, second, *_ = several[0]
    what = f"is used, and not {second}; {len(several)} images have such namesakes"
    fix = "move images that are not meant out of the root"
    return chosen, [Problem(first, what, fix, fatal=False)]


def faults_of(values: pd.Series, what: str, fix: str) -> Faults:
    """The same fault of several rows.

    Args:
        values: Of the rows concerned, by row number.
        what: What is wrong, with `{}` in place of the value.
        fix: How to fix it.
    """
    return {
        number: (what.format(value), fix)
        for number, value in zip(values.index, values, strict=True)
    }


def repeated_rows(keys: pd.Series, content: pd.Series) -> Faults:
    """Rows that name something again; of rows that agree, the first is valid.

    Args:
        keys: What each row names, by row number.
        content: What it says of it.
    """
    faults: Faults = {}
    named = keys[[not is_missing(key) for key in keys]]
    for key, same in named[named.duplicated(keep=False)].groupby(named):
        first, *others = same.index
        if content[same.index].nunique(dropna=False) == 1:
            faults |= dict.fromkeys(others, (f"repeats row {first}", "remove one of them"))
        else:
            what, fix = f"says something else of '{key}' than row", "keep the row that is right"
            faults[first] = (f"{what} {others[0]}", fix)
            faults |= dict.fromkeys(others, (f"{what} {first}", fix))
    return faults


def sound_rows(
    rows: pd.DataFrame, place: str, checks: Iterable[Faults]
) -> tuple[pd.DataFrame, list[Problem]]:
    """The rows that passed all checks, renumbered; and the problems of the others, row by row.

    Args:
        rows: Indexed by row number.
        place: The table that they come from.
        checks: What each check found.
    """
    found = [(number, fault) for check in checks for number, fault in check.items()]
    found.sort(key=lambda pair: pair[0])
    problems = [Problem(row_name(number, place), *fault) for number, fault in found]
    return rows.drop(index=list({number for number, _ in found})).reset_index(drop=True), problems


def _distance(name: str) -> tuple[int, str]:
    """Sorts names by their distance from the root."""
    return name.count("/"), name
