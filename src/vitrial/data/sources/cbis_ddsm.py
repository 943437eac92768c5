"""CBIS-DDSM: Lee, Gimenez, Hoogi, Miyake, Gorovoy, Rubin, Scientific Data 4:170177, 2017."""

from __future__ import annotations

import os
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import ClassVar, Literal

import numpy as np
import pandas as pd

from vitrial.data.about import About
from vitrial.data.io.by_stem import find_table
from vitrial.data.io.decode import require_dicom
from vitrial.data.io.files import Files, suffix_of
from vitrial.data.io.masks import SEPARATOR, is_resized
from vitrial.data.io.quiet import quiet
from vitrial.data.io.table import is_missing, read_table, require_columns, row_name
from vitrial.data.manifest import Dataset
from vitrial.errors import Problem, VitrialError
from vitrial.events import counted
from vitrial.protocol.data import DataSection
from vitrial.protocol.section import AbsolutePath

CLASSES = {"mass": ("none", "mass"), "pathology": ("benign", "malignant")}
POSITIVE = {"mass": "mass", "pathology": "MALIGNANT"}
PATHOLOGIES = ("BENIGN_WITHOUT_CALLBACK", "BENIGN", "MALIGNANT")
"""From the least to the worst."""
TABLES = {
    f"{kind}_case_description_{part}_set.csv": (abnormality, part)
    for kind, abnormality in (("mass", "mass"), ("calc", "calcification"))
    for part in ("train", "test")
}
COLUMNS = {
    "patient id": "group",
    "breast density": "density",
    "left or right breast": "laterality",
    "image view": "view",
    "assessment": "assessment",
    "pathology": "pathology",
    "subtlety": "subtlety",
    "image file path": "full",
    "cropped image file path": "crop",
    "ROI mask file path": "roi",
}
"""Of the tables, with blanks for underscores, and what they are called here."""
PATHS = ("full", "crop", "roi")
MAMMOGRAM = ["group", "laterality", "view"]
"""Whose mammogram, of what."""
METADATA = (
    "density",
    "laterality",
    "view",
    "subtlety",
    "assessment",
    "abnormality",
    "pathology",
)
SUFFIXES = frozenset({".dcm", ".dicom"})
TAGS = ("SeriesInstanceUID", "Rows", "Columns")
GET = "get it from https://www.cancerimagingarchive.net/collection/cbis-ddsm/"
ABOUT = About(
    title="CBIS-DDSM: film mammograms with masses or calcifications",
    license="CC BY 3.0",
    where=(
        "https://doi.org/10.7937/K9/TCIA.2016.7O02S9CY (The Cancer Imaging Archive, collection "
        "CBIS-DDSM, about 163 GB); reading it needs vitrial[dicom]"
    ),
    layout=(
        f"{', '.join(TABLES)}, and the DICOM files below any folders: as the tables name them, or "
        "as TCIA's downloaders do. Nothing is renamed or moved."
    ),
    size=(
        "3,103 full mammograms of 1,566 patients: 1,231 for training and 361 for test in the "
        "tables of masses, 1,227 and 284 in those of calcifications. By the task `mass` 1,663 "
        "show a mass and 1,440 none; by `pathology` 1,391 are malignant and 1,712 benign"
    ),
    citation=(
        "R. S. Lee, F. Gimenez, A. Hoogi, K. K. Miyake, M. Gorovoy, D. L. Rubin: A curated "
        "mammography data set for use in computer-aided detection and diagnosis research. "
        "Scientific Data 4:170177, 2017."
    ),
)


class CbisDdsmData(DataSection):
    """CBIS-DDSM (Lee et al., Sci. Data 2017): 3,103 full mammograms; groups are patients.

    Attributes:
        task: `mass` (a mass on this mammogram, or none) or `pathology` (malignant, or not).
        official_split: Use the official test images, less those of 31 patients who are in the
            official training set, too; validation is drawn from the others.
    """

    source: Literal["cbis_ddsm"]
    root: AbsolutePath
    task: Literal["mass", "pathology"] = "mass"
    official_split: bool = False

    first_key: ClassVar[str | None] = "task"
    requires: ClassVar[tuple[str, str] | None] = ("dicom", "pydicom")
    known_classes: ClassVar[bool] = True


DATA = CbisDdsmData


@dataclass(frozen=True)
class _File:
    """A DICOM file, and its rows and columns: zeros where its header cannot be read."""

    name: str
    size: tuple[int, int]


def load(data: CbisDdsmData) -> Dataset:
    """List the 3,103 full mammograms, wherever below the root they lie.

    Files are found by the SeriesInstanceUID that the tables name: in the path, else in the header.
    An abnormality's cropped image and mask mostly share a series, and which is which the tables
    do not say reliably: the mask is the file of the full mammogram's rows and columns, else the
    largest of at least half its pixels.

    Of 71 mammograms there are two copies, one in the tables of masses, one in those of
    calcifications. Labels are a mammogram's: a copy is `mass`, or `malignant`, if any abnormality
    of either copy is. `abnormality` (mass or calcification, by the table), `pathology` (the
    worst), `subtlety` (the least), `assessment` (the highest; both are float, NaN where unknown)
    and `mask` are a copy's own. `density`, `laterality` and `view` are texts.

    Groups are patients. With `official_split`, images are train or test, and validation is drawn
    from train by the protocol's fractions; the test images of 31 patients who are in train, too,
    count as train.

    Raises:
        VitrialError: A table or all images are missing, or pydicom is not installed.
    """
    require_dicom()
    files = Files(data.root)
    names = files.names()
    rows, problems = _abnormalities(files, names)
    images, notes = _mammograms(rows, data)
    wanted = {uid for path in PATHS for uid in rows[path] if uid}
    found, unreadable = _files_by_series(files, names, wanted)
    # The one file of its series; whatever else somebody put there is smaller.
    full = {uid: max(found[uid], key=_pixels) for uid in images.index if uid in found}
    if not full:
        raise VitrialError(f"{files.root} holds no mammogram that the tables name: {GET}.")
    images["image"] = pd.Series({uid: file.name for uid, file in full.items()}, dtype=object)
    masks, without = _masks(rows[rows["full"].isin(full)], found, full)
    images["mask"] = pd.Series([masks.get(uid) for uid in images.index], images.index, dtype=object)
    absent = images[images["image"].isna()]
    problems += [
        Problem(where, f"names the mammogram {case}, which is not found", GET)
        for where, case in zip(absent["where"], absent["case"], strict=True)
    ]
    manifest = images[images["image"].notna()].reset_index(drop=True)[
        ["image", "label", "group", *(["split"] if data.official_split else []), *METADATA, "mask"]
    ]
    problems += [*unreadable, *without, *notes]
    return Dataset("cbis_ddsm", manifest, list(CLASSES[data.task]), files, problems)


def _abnormalities(files: Files, names: list[str]) -> tuple[pd.DataFrame, list[Problem]]:
    """The sound rows of the four tables, and the problems of the others.

    Of paths the series is left, and of the full mammogram's besides the first folder, `case`.
    """
    there = {PurePosixPath(name).name for name in names}
    if absent := [table for table in TABLES if table not in there]:
        raise VitrialError(f"{files.root} lacks {', '.join(absent)}: put all 4 tables there.")
    tables, problems = [], []
    for name, (abnormality, part) in TABLES.items():
        place = find_table(files, names, (name,))
        table, unfit = read_table(files.read(place), place)
        table.columns = table.columns.str.replace("_", " ")
        require_columns(table, COLUMNS, place)
        where = [row_name(number, place) for number in table.index]
        table = table[[*COLUMNS]].rename(columns=COLUMNS)
        tables.append(table.assign(abnormality=abnormality, split=part, where=where))
        problems += unfit
    rows = pd.concat(tables, ignore_index=True)
    for path in PATHS:
        parts = [text.strip(' "\r\n').split("/") for text in rows[path]]
        if path == "full":
            rows["case"] = [folder for folder, *_ in parts]
        rows[path] = ["".join(several[-2:-1]) for several in parts]
    for score in ("subtlety", "assessment"):
        rows[score] = pd.to_numeric(rows[score], errors="coerce").astype(np.float64)
    faulty, faults = _faults(rows)
    of_mammogram = [rows[key] for key in MAMMOGRAM]
    return rows[~faulty.groupby(of_mammogram).transform("any")], [*problems, *faults]


def _faults(rows: pd.DataFrame) -> tuple[pd.Series, list[Problem]]:
    """Which rows cannot be used, and why."""
    whose = rows.groupby("full")[MAMMOGRAM].transform("nunique")
    faults = {
        "names no patient, breast or view": rows[MAMMOGRAM].map(is_missing).any(axis=1),
        "has an unknown pathology": ~rows["pathology"].isin(PATHOLOGIES),
        "names no series of a mammogram": rows["full"] == "",
        "names a mammogram that other rows give another patient, breast or view": (
            (rows["full"] != "") & (whose > 1).any(axis=1)
        ),
    }
    fix = "download the table again; until then all rows of this mammogram are left out"
    faulty = pd.concat(faults.values(), axis=1).any(axis=1)
    return faulty, [
        Problem(where, what, fix)
        for what, concerned in faults.items()
        for where in rows.loc[concerned, "where"]
    ]


def _mammograms(rows: pd.DataFrame, data: CbisDdsmData) -> tuple[pd.DataFrame, list[Problem]]:
    """One row a copy of a mammogram, indexed by its series, and notes; files come later."""
    key = "abnormality" if data.task == "mass" else "pathology"
    of_mammogram = [rows[name] for name in MAMMOGRAM]
    positive = (rows[key] == POSITIVE[data.task]).groupby(of_mammogram).transform("any")
    of_copy = rows.groupby("full")
    rank = rows["pathology"].map(PATHOLOGIES.index).groupby(rows["full"]).transform("max")
    rows = rows.assign(
        label=[CLASSES[data.task][index] for index in positive.astype(int)],
        pathology=[PATHOLOGIES[index] for index in rank],
        subtlety=of_copy["subtlety"].transform("min"),
        assessment=of_copy["assessment"].transform("max"),
    )
    images = rows.drop_duplicates("full").set_index("full")
    notes = []
    if copies := int(images.duplicated(MAMMOGRAM).sum()):
        what = f"name {copies} mammograms twice: the label of both copies is that of all rows"
        notes.append(
            Problem("the tables of masses and calcifications", what, "nothing", fatal=False)
        )
    if data.official_split:
        trained = images["group"].isin(images.loc[images["split"] == "train", "group"])
        moved = trained & (images["split"] == "test")
        images["split"] = images["split"].mask(moved, "train")
        if moved.any():
            what = (
                f"has {moved.sum()} test images of {images.loc[moved, 'group'].nunique()} patients "
                "who are in train, too; these images are used in train"
            )
            notes.append(Problem("the official split", what, "nothing", fatal=False))
    return images, notes


def _files_by_series(
    files: Files, names: list[str], wanted: set[str]
) -> tuple[dict[str, list[_File]], list[Problem]]:
    """The DICOM files of each series, and notes on headers that cannot be read.

    Headers are read of files below a folder named after a series, for their sizes; of all others
    only if there are series without such a folder.
    """
    series = {
        name: next((part for part in name.split("/") if part in wanted), "")
        for name in names
        if suffix_of(name) in SUFFIXES
    }
    if wanted <= set(series.values()):
        series = {name: uid for name, uid in series.items() if uid}
    with ThreadPoolExecutor(min(32, (os.cpu_count() or 1) + 2)) as pool:
        read = zip(series, pool.map(lambda name: _read_header(files, name), series), strict=True)
        headers = dict(counted(read, "Reading headers", len(series)))
    found: defaultdict[str, list[_File]] = defaultdict(list)
    for name, header in headers.items():
        uid, size = header or ("", (0, 0))
        if (uid := series[name] or uid) in wanted:
            found[uid].append(_File(name, size))
    what = "has a DICOM header that cannot be read"
    unreadable = [
        Problem(name, what, "download it again", fatal=False)
        for name, header in headers.items()
        if header is None
    ]
    return dict(found), unreadable


def _read_header(files: Files, name: str) -> tuple[str, tuple[int, int]] | None:
    """A file's series, and its rows and columns; None if they cannot be read."""
    import pydicom

    from vitrial.data.io.dicom_size import refuse_inflated

    try:
        with quiet(), files.open(name) as file:
            refuse_inflated(file)
            header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=[*TAGS])
            return str(header.SeriesInstanceUID), (int(header.Rows), int(header.Columns))
    except MemoryError:
        raise
    except Exception:  # a damaged header can make pydicom raise almost anything
        return None


def _masks(
    rows: pd.DataFrame, found: dict[str, list[_File]], full: dict[str, _File]
) -> tuple[dict[str, str], list[Problem]]:
    """The masks of each mammogram joined by `|`, by its series; and notes on those missing."""
    masks: defaultdict[str, list[str]] = defaultdict(list)
    missing = []
    for uid, roi, crop, where in zip(
        *(rows[c] for c in ("full", "roi", "crop", "where")), strict=True
    ):
        candidates = [file for series in {roi, crop} for file in found.get(series, [])]
        if mask := _mask(sorted(candidates, key=lambda file: file.name), full[uid]):
            masks[uid].append(mask)
        else:
            missing.append(where)
    joined = {uid: SEPARATOR.join(dict.fromkeys(several)) for uid, several in masks.items()}
    what, fix = (
        "names a mask that is not found in the mammogram's shape; it is left out",
        f"if wanted, {GET}",
    )
    if not masks:
        return joined, [Problem("ROI masks", "are not found", fix, fatal=False)]
    return joined, [Problem(where, what, fix, fatal=False) for where in missing]


def _mask(candidates: list[_File], full: _File) -> str | None:
    """Which of an abnormality's files is the mask of the full mammogram, by size."""
    if not candidates or not _pixels(full):
        return None
    likeliest = max(candidates, key=lambda file: (file.size == full.size, _pixels(file)))
    # Some of the collection's masks are not of their mammogram's shape.
    fits = is_resized(likeliest.size, full.size) and 2 * _pixels(likeliest) >= _pixels(full)
    return likeliest.name if fits else None


def _pixels(file: _File) -> int:
    return file.size[0] * file.size[1]
