"""What a DICOM header says of an image, apart from what it says of the person."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import BinaryIO

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import MediaStorageDirectoryStorage

from vitrial.data.decode import DecodeError, is_dicom
from vitrial.data.dicom_size import PREAMBLE, refuse_inflated
from vitrial.data.quiet import quiet

PRIVATE = ("PatientName", "PatientID", "OtherPatientIDs", "PatientBirthDate")
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
    "PatientAge",
    "Laterality",
    "Rows",
    "Columns",
)
YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}
SHORTEST = 4
"""Characters of a name, id or date below which it is found anywhere by chance."""


@dataclass(frozen=True)
class Header:
    """A header's part that a data set needs.

    Attributes:
        instance: SOPInstanceUID; empty where absent, as all texts.
        series: SeriesInstanceUID.
        study: StudyInstanceUID.
        metadata: Values of the manifest's further columns: texts, and `age` in years, which is
            NaN where unknown.
        is_image: Whether there are rows and columns of pixels.
        patient: PatientID; never to be shown or written.
        private: Name (whole and in parts), id and birth date, as `plain` has them; likewise.
    """

    instance: str
    series: str
    study: str
    metadata: dict[str, str | float]
    is_image: bool
    patient: str = field(repr=False)
    private: frozenset[str] = field(repr=False)


def read_header(file: BinaryIO) -> Header | None:
    """Read a file's header; its pixels are left alone.

    Args:
        file: Open at its start.

    Returns:
        None for what is no DICOM file, and for a DICOMDIR, which lists others.

    Raises:
        DecodeError: The header is damaged.
    """
    if not is_dicom(file.read(PREAMBLE)):
        return None
    file.seek(0)
    tags = [*PRIVATE, *METADATA.values(), *OTHERS]
    with quiet():
        try:
            refuse_inflated(file)
            found = pydicom.dcmread(file, stop_before_pixels=True, force=True, specific_tags=tags)
            meta = found.file_meta.get("MediaStorageSOPClassUID")
            return None if meta == MediaStorageDirectoryStorage else _header(found)
        except (DecodeError, MemoryError):
            raise
        except Exception as error:  # pydicom's sentences may quote the header
            what = f"has a DICOM header that cannot be read ({type(error).__name__})"
            raise DecodeError(what, "export or download it again") from None


def plain(text: str) -> str:
    """A text without case, blanks and punctuation."""
    return "".join(c for c in text.casefold() if c.isalnum())


class Disguise:
    """Names of files that tell nothing of patients.

    A name stays as it is unless a part of it holds the name, id or birth date of any patient, or
    the whole those of its own. A disguised name is a digest of the name and the image's UID: long
    and drawn at random, that keeps the name from being found by trying.

    Args:
        headers: Of all files of a data set, by name.
    """

    def __init__(self, headers: dict[str, Header]) -> None:
        self._headers = headers
        self._private = frozenset().union(*(header.private for header in headers.values()))
        self._lengths = sorted({len(text) for text in self._private})
        self._part_reveals = cache(self.reveals)

    def reveals(self, text: str) -> bool:
        """Whether a text holds what identifies any of the patients."""
        text = plain(text)
        return any(
            text[start : start + length] in self._private
            for length in self._lengths
            for start in range(len(text) - length + 1)
        )

    def name(self, name: str) -> str:
        """The name under which a file may be shown and written."""
        header = self._headers.get(name)
        own = header.private if header else ()
        whole = plain(name)
        if not any(map(self._part_reveals, name.split("/"))) and not any(t in whole for t in own):
            return name
        secret = f"{header.instance if header else ''} {name}"
        return (
            f"image-{hashlib.sha256(secret.encode(errors='surrogateescape')).hexdigest()[:16]}.dcm"
        )


def pseudonyms(values: Iterable[str], kind: str) -> dict[str, str]:
    """Number what must not be named: `patient-0001` and so on.

    The numbers follow the order of the values' digests, so that the same set has the same
    pseudonyms on every machine. Unlike a digest, a number cannot be searched for a short id. The
    pixels and other columns may still tell who it is: this is no anonymisation.
    """
    ordered = sorted(set(values), key=lambda value: hashlib.sha256(value.encode()).hexdigest())
    digits = max(4, len(str(len(ordered))))
    return {value: f"{kind}-{i:0{digits}}" for i, value in enumerate(ordered, start=1)}


def _header(found: pydicom.FileDataset) -> Header:
    private = _private(found)
    metadata: dict[str, str | float] = {name: _text(found, METADATA[name]) for name in METADATA}
    metadata["laterality"] = metadata["laterality"] or _text(found, "Laterality")
    for name, value in metadata.items():
        if any(text in plain(str(value)) for text in private):
            metadata[name] = ""
    metadata["age"] = _years(_text(found, "PatientAge"))
    return Header(
        instance=_text(found, "SOPInstanceUID"),
        series=_text(found, "SeriesInstanceUID"),
        study=_text(found, "StudyInstanceUID"),
        metadata=metadata,
        is_image="Rows" in found and "Columns" in found,
        patient=_text(found, "PatientID"),
        private=private,
    )


def _private(found: Dataset) -> frozenset[str]:
    texts = [_text(found, keyword) for keyword in PRIVATE]
    parts = [part for text in texts for part in re.split(r"[\^=\\,;\s]+", text)]
    return frozenset(p for text in (*texts, *parts) if len(p := plain(text)) >= SHORTEST)


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
    """An age such as 045Y or 006M in years (PS3.5, 6.2, AS)."""
    match = re.fullmatch(r"(\d{1,3})([DWMY])", age)
    return int(match[1]) * YEARS[match[2]] if match else math.nan
