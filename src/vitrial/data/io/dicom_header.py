"""What a DICOM header says of an image, apart from what it says of the person."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import BinaryIO

import pydicom
from pydicom.datadict import dictionary_VR, keyword_dict
from pydicom.dataset import Dataset
from pydicom.uid import MediaStorageDirectoryStorage

from vitrial.data.io.decode import is_dicom
from vitrial.data.io.decoded import DecodeError
from vitrial.data.io.dicom_size import PREAMBLE, refuse_inflated
from vitrial.data.io.dicom_terms import IDENTIFYING, OLDEST, listed
from vitrial.data.io.files import Files
from vitrial.data.io.quiet import quiet
from vitrial.errors import VitrialError
from vitrial.events import counted
from vitrial.spelling import did_you_mean

METADATA = {
    "modality": "Modality",
    "sex": "PatientSex",
    "body_part": "BodyPartExamined",
    "view_position": "ViewPosition",
    "laterality": "ImageLaterality",
    "manufacturer": "Manufacturer",
}
"""Columns of the manifest, and where their values come from; `age` besides."""
OTHERS = (
    "SpecificCharacterSet",
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "PatientID",
    "PatientAge",
    "Laterality",
    "Rows",
    "Columns",
)
YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}


@dataclass(frozen=True)
class Header:
    """A header's part that a data set needs.

    Attributes:
        instance: SOPInstanceUID; empty where absent, as all texts.
        series: SeriesInstanceUID.
        study: StudyInstanceUID.
        metadata: Values of the manifest's further columns: terms of the standard (see
            `dicom_terms`), `age` in years, which is NaN where unknown and 90 from 90 on, and
            the columns asked for, as the header has them.
        is_image: Whether there are rows and columns of pixels.
        patient: PatientID; never to be shown or written.
    """

    instance: str
    series: str
    study: str
    metadata: dict[str, str | float]
    is_image: bool
    patient: str = field(repr=False)


def read_header(file: BinaryIO, columns: Sequence[str] = ()) -> Header | None:
    """Read a file's header; its pixels are left alone.

    Args:
        file: Open at its start.
        columns: Keywords of further elements that are wanted.

    Returns:
        None for what is no DICOM file, and for a DICOMDIR, which lists others.

    Raises:
        DecodeError: The header is damaged.
    """
    if not is_dicom(file.read(PREAMBLE)):
        return None
    file.seek(0)
    tags = [*METADATA.values(), *OTHERS, *columns]
    with quiet():
        try:
            refuse_inflated(file)
            found = pydicom.dcmread(file, stop_before_pixels=True, force=True, specific_tags=tags)
            meta = found.file_meta.get("MediaStorageSOPClassUID")
            is_list = meta == MediaStorageDirectoryStorage
            return None if is_list else _header(found, columns)
        except (DecodeError, MemoryError):
            raise
        except Exception as error:  # pydicom's sentences may quote the header
            what = f"has a DICOM header that cannot be read ({type(error).__name__})"
            raise DecodeError(what, "export or download it again") from None


def read_headers(
    files: Files, names: Sequence[str], columns: Sequence[str] = ()
) -> tuple[dict[str, Header], dict[str, tuple[str, str]]]:
    """The headers of all DICOM files among some, and why others cannot be read, by name."""

    def read(name: str) -> Header | tuple[str, str] | None:
        try:
            with files.open(name) as file:
                return read_header(file, columns)
        except DecodeError as error:
            return error.what, error.fix
        except (OSError, VitrialError):
            return "cannot be read", "check it, or remove it from the folder"

    headers, unreadable = {}, {}
    with ThreadPoolExecutor(min(32, (os.cpu_count() or 1) + 2)) as pool:
        outcomes = zip(names, pool.map(read, names), strict=True)
        for name, outcome in counted(outcomes, "Reading headers", len(names)):
            if isinstance(outcome, Header):
                headers[name] = outcome
            elif outcome is not None:
                unreadable[name] = outcome
    return headers, unreadable


def check_columns(columns: Sequence[str]) -> None:
    """Refuse columns that no element gives, or that name a person.

    Raises:
        VitrialError: Names the first such column.
    """
    for keyword in columns:
        if keyword not in keyword_dict:
            raise VitrialError(
                f"data.columns: DICOM has no element '{keyword}'"
                f"{did_you_mean(keyword, keyword_dict)}"
            )
        if keyword in IDENTIFYING or dictionary_VR(keyword) in ("PN", "SQ"):
            raise VitrialError(
                f"data.columns: {keyword} names a person, or is no single value: remove it."
            )


def _header(found: pydicom.FileDataset, columns: Sequence[str]) -> Header:
    metadata: dict[str, str | float] = {
        name: listed(keyword, _text(found, keyword)) for name, keyword in METADATA.items()
    }
    metadata["laterality"] = metadata["laterality"] or listed(
        "ImageLaterality", _text(found, "Laterality")
    )
    metadata["age"] = _years(_text(found, "PatientAge"))
    metadata |= {keyword: _text(found, keyword) for keyword in columns}
    return Header(
        instance=_text(found, "SOPInstanceUID"),
        series=_text(found, "SeriesInstanceUID"),
        study=_text(found, "StudyInstanceUID"),
        metadata=metadata,
        is_image="Rows" in found and "Columns" in found,
        patient=_text(found, "PatientID"),
    )


def _text(found: Dataset, keyword: str) -> str:
    """A value as text; empty where it is absent or damaged."""
    try:
        value = found.get(keyword)
    except Exception:  # one damaged value leaves the others
        return ""
    if value is None:
        return ""
    many = isinstance(value, pydicom.multival.MultiValue)
    return "\\".join(map(str, value)) if many else str(value).strip("\0 ")


def _years(age: str) -> float:
    """An age such as 045Y or 006M in years (PS3.5, 6.2, AS); the highest are one."""
    match = re.fullmatch(r"(\d{1,3})([DWMY])", age)
    return min(int(match[1]) * YEARS[match[2]], OLDEST) if match else math.nan
