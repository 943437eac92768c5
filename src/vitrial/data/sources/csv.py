"""Images listed in a table."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import ClassVar, Literal

import pandas as pd
from pydantic import Field

from vitrial.data.about import About
from vitrial.data.io.files import Files
from vitrial.data.io.hidden_names import hide_names
from vitrial.data.io.table import is_missing, read_table, require_columns, row_name
from vitrial.data.manifest import SPLIT_NAMES, Dataset, in_order, own_name
from vitrial.data.names import clean, likeness
from vitrial.errors import Problem, VitrialError
from vitrial.protocol.data import Clashing, DataSection
from vitrial.protocol.section import AbsolutePath

ABOUT = About(
    title="CSV: images of your own, listed in a table",
    license="your own",
    where="your own images",
    layout=(
        "A table in UTF-8, one row an image, with columns for the image's path (relative to the "
        "table's folder) and its class; if wanted, for its patient or lesion, its split (train, "
        "val or test) and the path of its mask. Other columns are kept."
    ),
    size="as many images and classes as the table names",
)
LISTED = 8
"""Rows or files named in one sentence at most."""

Fault = tuple[str, str]
"""What is wrong with a row, and how to fix it."""


class CsvData(DataSection):
    """A table of images: `table` lies in `root` (a folder or a .zip), image paths relative to it.

    Attributes:
        table: The CSV's path below `root`.
        image: Column of image paths, relative to the table's own folder.
        label: Column of class names.
        group: Column of patients or lesions; images of a group never straddle splits.
        split: Column saying train, val or test.
        mask: Column of lesion mask paths.
    """

    source: Literal["csv"]
    root: AbsolutePath
    table: str = Field(examples=["labels.csv"])
    image: str = "image"
    label: str = "label"
    group: str | None = None
    split: str | None = None
    mask: str | None = None

    first_key: ClassVar[str | None] = "table"

    def clashes(self) -> Iterator[Clashing]:
        """Columns that are named twice."""
        roles: dict[str, str] = {}
        for role in ("image", "label", "group", "split", "mask"):
            column = getattr(self, role)
            if column in roles:
                yield (
                    f"column '{column}' is already the one of {roles[column]}",
                    (
                        role,
                        roles[column],
                    ),
                )
            elif column is not None:
                roles[column] = role


DATA = CsvData


def load(data: CsvData) -> Dataset:
    """List the images of a table, one row an image.

    Paths are relative to the table's folder. Labels, groups and all other columns stay texts as
    they are written, without blanks around them. Images without a group are groups of their own.

    Raises:
        VitrialError: The table cannot be read or lacks a column.
    """
    files = Files(data.root)
    table, problems = read_table(_content(files, data.table), data.table)
    rows = _named(table, data)
    classes = in_order(label for label in rows["label"] if not is_missing(label))
    if rows.empty:
        problems.append(Problem(data.table, "has no row of an image", "add rows below its header"))
    faults = _repeats(rows)
    if data.classes is not None:
        # Images of other classes are not used, whether they exist or not; those of labels that
        # look like a class are asked about.
        wanted = {likeness(name) for name in data.classes}
        known = {label for label in classes if likeness(label) in wanted}
        rows = rows.loc[[is_missing(label) or label in known for label in rows["label"]]]
    images = Images(files, posixpath.dirname(data.table))
    splits = rows["split"] if "split" in rows else [None] * len(rows)
    cells = zip(rows.index, rows["image"], rows["label"], splits, strict=True)
    for number, image, label, split in cells:
        if found := [*_row_faults(image, label, split, images)]:
            faults.setdefault(number, []).extend(found)
    problems += [
        Problem(row_name(number, data.table), *fault)
        for number in sorted(faults)
        for fault in faults[number]
    ]
    sound = rows.drop(index=rows.index.intersection(list(faults)))
    manifest, notes = _tidy(sound, images, data)
    name = PurePosixPath(data.table).stem
    manifest = manifest.reset_index(drop=True)
    return hide_names(Dataset(name, manifest, classes, files, [*problems, *notes]))


class Images:
    """Finds the files that a table in a folder names."""

    def __init__(self, files: Files, folder: str) -> None:
        self.files, self.folder = files, folder
        self._by_stem: dict[str, str] | None = None

    def path(self, text: str) -> str:
        """The path below the root."""
        return posixpath.normpath(posixpath.join(self.folder, text))

    def fault(self, text: str) -> Fault | None:
        """Why a path cannot be used, and how to fix it."""
        if is_missing(text):
            return "names no file", "fill in the path, or remove the row"
        if text.startswith("/") or re.match(r"[A-Za-z]:", text):
            return f"has the absolute path '{text}'", "write it relative to the table's folder"
        if ".." in text.split("/"):
            fix = "put the table into a folder above its images, and write the path from there"
            return f"has a path with '..', '{text}'", fix
        try:
            self.files.stamp(self.path(text))
        except VitrialError as error:
            return f"names '{text}', which cannot be used: {error}", "correct the path or the file"
        except OSError:
            what = f"names '{text}', which does not exist{self._hint(text)}"
            return what, "correct the path, or add the file"
        return None

    def _hint(self, text: str) -> str:
        if self._by_stem is None:
            names = self.files.names()
            self._by_stem = {_stem(name): name for name in reversed(names)}
        like = self._by_stem.get(_stem(text))
        return f": there is '{posixpath.relpath(like, self.folder or '.')}'" if like else ""


def _stem(name: str) -> str:
    """What a file's name has in common with one in other case, of another suffix or Unicode."""
    return clean(posixpath.splitext(posixpath.basename(name))[0]).lower()


def _content(files: Files, table: str) -> bytes:
    try:
        return files.read(table)
    except OSError as error:
        tables = files.names(frozenset({".csv", ".tsv", ".tab", ".txt"}))
        there = f"tables there are {_listing(tables)}" if tables else "it holds no table"
        raise VitrialError(f"data.table: {error} below {files.root}; {there}.") from error


def _named(table: pd.DataFrame, data: CsvData) -> pd.DataFrame:
    """The table with a manifest's column names, and slashes in its paths."""
    keys = ("image", "label", "group", "split", "mask")
    columns = {key: name for key in keys if (name := getattr(data, key)) is not None}
    require_columns(table, columns.values(), data.table)
    rows = pd.DataFrame({key: table[name] for key, name in columns.items()})
    for name in table.columns:
        if name not in columns.values():
            rows[own_name(name)] = table[name]
    for key in {"label", "group"} & set(columns):
        rows[key] = rows[key].map(clean)
    for key in {"image", "mask"} & set(columns):
        rows[key] = rows[key].str.replace("\\", "/")
    return rows


def _repeats(rows: pd.DataFrame) -> dict[int, list[Fault]]:
    """Rows whose image is in another row too; of rows that agree, the first is used."""
    faults: dict[int, list[Fault]] = {}
    decisive = [key for key in ("label", "group", "split") if key in rows]
    paths = rows["image"].map(lambda path: "" if is_missing(path) else posixpath.normpath(path))
    again = rows[(paths != "") & paths.duplicated(keep=False)]
    for path, same in again.groupby(paths[again.index]):
        contrary = " and ".join(key for key in decisive if same[key].nunique() > 1)
        for number in same.index if contrary else same.index[1:]:
            others = _listing(str(row) for row in same.index if row != number)
            if contrary:
                what = f"gives '{path!s}' another {contrary} than row {others}"
                faults[number] = [(what, "keep the row that is right")]
            else:
                faults[number] = [(f"repeats row {same.index[0]}", "remove one of them")]
    return faults


def _row_faults(image: str, label: str, split: str | None, images: Images) -> Iterator[Fault]:
    """What is wrong with a row by itself; its split is None where the table gives none."""
    if fault := images.fault(image):
        yield fault
    if is_missing(label):
        yield "has no label", "fill it in, or remove the row"
    if split is not None and split.lower() not in SPLIT_NAMES:
        yield f"has the split '{split}'", "write train, val or test"


def _tidy(rows: pd.DataFrame, images: Images, data: CsvData) -> tuple[pd.DataFrame, list[Problem]]:
    """Sound rows as a manifest, and notes on groups and masks that are missing."""
    notes = []
    manifest = rows.copy()
    manifest["image"] = rows["image"].map(images.path)
    single = rows["group"].map(is_missing) if data.group else pd.Series(True, index=rows.index)
    manifest["group"] = rows["group"].mask(single) if data.group else manifest["image"]
    manifest["group"] = manifest["group"].fillna(manifest["image"])
    if data.group and single.any():
        what = f"is empty in {single.sum()} rows; each of these images is a group of its own"
        fix = "fill it in, so that no patient or lesion comes into two splits"
        notes.append(Problem(f"column {data.group}", what, fix, fatal=False))
    if data.split:
        manifest["split"] = rows["split"].str.lower().map(SPLIT_NAMES)
    if data.mask:
        faults = {text: images.fault(text) for text in rows["mask"].unique()}
        masks = [None if faults[text] else images.path(text) for text in rows["mask"]]
        manifest["mask"] = pd.Series(masks, index=rows.index, dtype=object)
        notes += [
            Problem(f"mask '{text}'", f"is not used: it {fault[0]}", fault[1], fatal=False)
            for text, fault in faults.items()
            if fault and not is_missing(text)
        ]
    return manifest, notes


def _listing(names: Iterable[str]) -> str:
    """Some names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
