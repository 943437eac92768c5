"""A data set as a table of images, and the means to read them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

import pandas as pd

from vitrial.errors import Problem

SPLIT_NAMES = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
"""What folders and tables call the splits, in lower case."""

INTERNAL = frozenset(
    {"image", "label", "group", "split", "mask", "row", "target", "sha256", "labeled"}
)
"""Columns that mean something in a manifest, here or once it is prepared. A table's own columns of
these names are kept as `table:NAME`."""

FEWEST_GROUPS = 3
"""Groups without which a class cannot be in train, val and test at once."""


class Reader(Protocol):
    """Reads a data set's files by name; safe to call from several threads."""

    def read(self, name: str) -> bytes:
        """The content of a file."""
        ...

    def stamp(self, name: str) -> str:
        """A short text that changes when the file's content may have changed."""
        ...


@dataclass(frozen=True)
class Dataset:
    """A data set.

    Attributes:
        name: Names the data set.
        manifest: One row an image, with a RangeIndex: `image` (path for the reader), `label`
            (class name), `group` (patient or lesion), perhaps `split` (train, val or test) and
            `mask` (None, or paths joined by `|`: the mask is their union), and any other columns.
        classes: Class names; a class's index is its place here.
        reader: Reads images and masks.
        problems: Rows that cannot be used; they are not in the manifest.
        has_files: Whether the images are files of the user's. Where the reader makes them up from
            arrays, a drawing or a table's cells, their length and suffix say nothing of the data.
    """

    name: str
    manifest: pd.DataFrame
    classes: list[str]
    reader: Reader
    problems: list[Problem] = field(default_factory=list)
    has_files: bool = True


def own_name(column: str) -> str:
    """What a column of the user's table is called in a manifest."""
    return f"table:{column}" if column.rpartition("table:")[2] in INTERNAL else column


def in_order(labels: Iterable[str]) -> list[str]:
    """Distinct class names sorted, with numbers in them by value: grade 2 before grade 10."""

    def pieces(label: str) -> list[str | int]:
        return [int(p) if p.isdecimal() else p for p in re.split(r"(\d+)", label)]

    return sorted(set(labels), key=pieces)
