"""A folder of DICOM files, with labels from a table."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, ClassVar, Literal

import pandas as pd
from pydantic import Field

from vitrial.data.about import About
from vitrial.data.io.decode import require_dicom
from vitrial.data.io.files import Files
from vitrial.data.io.hidden_names import HiddenNames, name_by_uid, pseudonyms
from vitrial.data.io.table import is_missing, read_table, require_columns, row_name
from vitrial.data.manifest import SPLIT_NAMES, Dataset, in_order
from vitrial.errors import Problem, VitrialError
from vitrial.protocol.data import DataSection
from vitrial.protocol.section import AbsolutePath

if TYPE_CHECKING:
    from vitrial.data.io.dicom_header import Header

ABOUT = About(
    title="DICOM: a folder of DICOM files of your own, with labels from a table",
    license="your own",
    where="your own files, such as an export of a PACS; reading them needs vitrial[dicom]",
    layout=(
        "DICOM files anywhere below root, whatever they are called, zipped or not, and a CSV whose "
        "key column holds their SOPInstanceUID, SeriesInstanceUID, PatientID or file name"
    ),
    size="as many images and classes as the table names",
)
IDENTITIES = ("SOPInstanceUID", "SeriesInstanceUID", "PatientID", "file name")
"""What a table may name images by."""


class DicomData(DataSection):
    """A folder of DICOM files; labels from a table below `root`; groups are patients.

    Attributes:
        table: The CSV's path below `root`.
        key: Column that names the image: by its SOPInstanceUID, SeriesInstanceUID, PatientID or
            file name, whichever its values are found among.
        label: Column of class names.
        split: Column saying train, val or test.
        columns: Further elements of the headers to keep, by keyword, such as `KVP`: as they are.
    """

    source: Literal["dicom"]
    root: AbsolutePath
    table: str = Field(examples=["labels.csv"])
    key: str = "image"
    label: str = "label"
    split: str | None = None
    columns: list[str] = Field(default_factory=list)

    first_key: ClassVar[str | None] = "table"
    requires: ClassVar[tuple[str, str] | None] = ("dicom", "pydicom")


DATA = DicomData


def load(data: DicomData) -> Dataset:
    """List the images that a table names, by whichever identity its key column holds.

    Every DICOM file below the root is found by its content, and its header is read. Patients are
    numbered anew: `group` is such as `patient-0001` (see `pseudonyms`). Images go by a digest of
    their SOPInstanceUID (see `shown_names`): no name, id or birth date of a header is kept, and no
    part of a path. The further columns are `modality`, `sex`, `age` in years (90 from 90 on),
    `body_part`, `view_position`, `laterality` and `manufacturer`; they are empty, or NaN, where
    unknown, and `other` where a value is on no list (see `dicom_terms`). `data.columns` adds
    elements as the headers have them.

    Raises:
        VitrialError: The table cannot be read, lacks a column or names no image or both of two
            sets of images; `data.columns` asks for what is no element or names a person; or what
            reads DICOM files is not installed.
    """
    require_dicom()
    from vitrial.data.io.dicom_header import check_columns, read_headers

    check_columns(data.columns)
    files = Files(data.root)
    names = _names(files)
    headers, unreadable = read_headers(files, names, data.columns)
    shown = name_by_uid(names, {name: header.instance for name, header in headers.items()})
    images = {name: header for name, header in headers.items() if header.is_image}
    if not images:
        raise VitrialError(f"{files.root} holds no DICOM image: correct data.root.")
    table, problems = read_table(_content(files, data.table), data.table)
    require_columns(table, filter(None, (data.key, data.label, data.split)), data.table)
    classes = in_order(label for label in table[data.label] if not is_missing(label))
    if data.classes is not None:
        table = table[[is_missing(label) or label in data.classes for label in table[data.label]]]
    identity, named = _named(table, images, files, data)
    rows, faults = _rows(table, identity, named, data)
    problems += faults
    manifest, notes = _manifest(rows, images, shown)
    notes += _notes(headers, images, rows, identity, data)
    notes += [
        Problem(shown[name], what, fix, fatal=False) for name, (what, fix) in unreadable.items()
    ]
    reader = HiddenNames(files, shown)
    return Dataset(PurePosixPath(data.table).stem, manifest, classes, reader, problems + notes)


def _names(files: Files) -> list[str]:
    try:
        return files.names()
    except VitrialError:  # its sentence holds a path below the root
        raise VitrialError(
            f"A folder, a link or a .zip file below {files.root} cannot be read: `vitrial data "
            f"names {files.root} --out NAMES.csv` says which."
        ) from None


def _content(files: Files, table: str) -> bytes:
    try:
        return files.read(table)
    except OSError as error:
        raise VitrialError(f"data.table: {error} below {files.root}.") from error


def _named(
    table: pd.DataFrame, images: dict[str, Header], files: Files, data: DicomData
) -> tuple[str, dict[str, list[str]]]:
    """What the key column names images by, and the images that each of its values names."""
    keys = {key for key in table[data.key] if not is_missing(key)}
    by: dict[str, dict[str, list[str]]] = {identity: defaultdict(list) for identity in IDENTITIES}
    folder = PurePosixPath(data.table).parent
    for name, header in images.items():
        path = PurePosixPath(name)
        near = path.relative_to(folder) if path.is_relative_to(folder) else path
        texts = (
            {header.instance},
            {header.series},
            {header.patient},
            {name, str(near), path.name, path.stem},
        )
        for identity, values in zip(IDENTITIES, texts, strict=True):
            for value in values & keys:
                by[identity][value].append(name)
    most = max(len(found) for found in by.values())
    where = f"column {data.key} of {data.table}"
    if not most:
        raise VitrialError(
            f"None of the {len(keys)} values in {where} is a SOPInstanceUID, SeriesInstanceUID, "
            f"PatientID or file name of the {len(images)} DICOM images below {files.root}: name "
            "the right column with data.key."
        )
    best = [identity for identity in IDENTITIES if len(by[identity]) == most]
    if any(by[identity] != by[best[0]] for identity in best):
        raise VitrialError(
            f"{most} values in {where} are found as {' and as '.join(best)}, of different images: "
            "make a column that names images in one way, and name it with data.key."
        )
    return best[0], by[best[0]]


def _rows(
    table: pd.DataFrame, identity: str, named: dict[str, list[str]], data: DicomData
) -> tuple[pd.DataFrame, list[Problem]]:
    """Columns image, label and perhaps split, one row an image; and the rows that cannot be used.

    Problems name rows by number alone: a key may be a PatientID.
    """
    faults: dict[int, tuple[str, str]] = {}
    rows = []
    for number, row in zip(table.index, table.to_dict("records"), strict=True):
        key, label = row[data.key], row[data.label]
        split = SPLIT_NAMES.get(row[data.split].lower()) if data.split else ""
        names = named.get(key, [])
        if is_missing(key):
            faults[number] = (f"has nothing in column {data.key}", "fill it in, or remove the row")
        elif not names:
            fix = "add the file, correct the cell or remove the row"
            faults[number] = (f"names no DICOM image by its {identity}", fix)
        elif identity == "file name" and len(names) > 1:
            faults[number] = (f"names {len(names)} files", "write their paths below the root")
        elif is_missing(label):
            faults[number] = ("has no label", "fill it in, or remove the row")
        elif split is None:
            faults[number] = (f"has no split in column {data.split}", "write train, val or test")
        else:
            rows += [(number, name, label, split) for name in names]
    listed = pd.DataFrame(rows, columns=["number", "image", "label", "split"])
    faults |= _repeats(listed)
    listed = listed[~listed["number"].isin(faults)].drop(columns="number")
    problems = [Problem(row_name(n, data.table), *faults[n]) for n in sorted(faults)]
    return (listed if data.split else listed.drop(columns="split")), problems


def _repeats(listed: pd.DataFrame) -> dict[int, tuple[str, str]]:
    """Rows that name an image which another row names; of rows that agree, the first is used."""
    faults: dict[int, tuple[str, str]] = {}
    for _, same in listed[listed.duplicated("image", keep=False)].groupby("image"):
        first, *others = same["number"].tolist()
        if len(same[["label", "split"]].drop_duplicates()) > 1:
            for number in (first, *others):
                other = next(n for n in (first, *others) if n != number)
                what = f"gives the same image another label or split than row {other}"
                faults[number] = (what, "keep the row that is right")
        else:
            for number in others:
                faults.setdefault(number, (f"repeats row {first}", "remove one of them"))
    return faults


def _manifest(
    rows: pd.DataFrame, images: dict[str, Header], shown: dict[str, str]
) -> tuple[pd.DataFrame, list[Problem]]:
    """The manifest, and a note on images that do not say whose they are."""
    patients = pseudonyms((h.patient for h in images.values() if h.patient), "patient")
    studies = pseudonyms((h.study for h in images.values() if not h.patient and h.study), "study")
    headers = [images[name] for name in rows["image"]]
    manifest = rows.assign(image=rows["image"].map(shown)).reset_index(drop=True)
    manifest["group"] = [
        patients.get(header.patient) or studies.get(header.study) or name
        for header, name in zip(headers, manifest["image"], strict=True)
    ]
    for column in headers[0].metadata if headers else ():
        manifest[column] = [header.metadata[column] for header in headers]
    kinds = Counter("study" if h.study else "image" for h in headers if not h.patient)
    notes = [
        Problem(
            "PatientID",
            f"is empty in {count} images; each {kind} of these is a group of its own",
            "fill it in, so that no patient comes into two splits",
            fatal=False,
        )
        for kind, count in kinds.items()
    ]
    return manifest, notes


def _notes(
    headers: dict[str, Header],
    images: dict[str, Header],
    rows: pd.DataFrame,
    identity: str,
    data: DicomData,
) -> list[Problem]:
    """How the table was understood, and what of the folder is not used."""
    notes = [(f"column {data.key}", f"names images by their {identity}", "nothing")]
    if unnamed := len(images) - rows["image"].nunique():
        what = f"has no row for {unnamed} of {len(images)} DICOM images"
        notes.append((data.table, what, "add rows for them if they are wanted"))
    if others := len(headers) - len(images):
        what = f"hold no image in {others} cases: reports, plans and the like"
        notes.append(("DICOM files", what, "nothing"))
    return [Problem(*text, fatal=False) for text in notes]
