"""Names of DICOM files that tell nothing of patients: in no output is a path below the data's root.

A list of forbidden names cannot be complete, for a folder spells a name as it likes. So where a
data set holds DICOM, every file of it goes by another name, pictures beside DICOM files too. What
the user writes (the root, the table, class names, a table's own columns) stays as it is.
"""

from __future__ import annotations

import csv
import errno
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pandas as pd

from vitrial.atomic import replacing
from vitrial.data.io.decode import SUFFIXES, is_dicom, require_dicom
from vitrial.data.io.files import Files, suffix_of
from vitrial.data.io.masks import SEPARATOR
from vitrial.data.manifest import Dataset
from vitrial.errors import Problem, VitrialError

Value = TypeVar("Value")


class HiddenNames:
    """Reads files by the names that they are shown under; errors do not tell their own.

    Args:
        files: The files.
        shown: The name that each is shown under, by its own.
    """

    def __init__(self, files: Files, shown: Mapping[str, str]) -> None:
        self.files = files
        self._own = {other: name for name, other in shown.items()}

    def read(self, name: str) -> bytes:
        """As `Files.read`."""
        return self._by_own_name(self.files.read, name)

    def stamp(self, name: str) -> str:
        """As `Files.stamp`."""
        return self._by_own_name(self.files.stamp, name)

    def _by_own_name(self, method: Callable[[str], Value], name: str) -> Value:
        try:
            return method(self._own[name])
        except (KeyError, OSError, VitrialError):  # their sentences hold the file's own name
            raise OSError(errno.EIO, "it is gone, damaged or not allowed to be read") from None


def hide_names(dataset: Dataset, names: Sequence[str] = ()) -> Dataset:
    """A data set whose files go by other names if any image or mask of it is a DICOM file.

    The columns `image` and `mask` are changed, and the groups, which are numbered (those that are
    an image of its own have its name); so are problems, in which texts in quotation marks are of
    the user's files. Class names and other columns are the user's own, and stay.

    Args:
        dataset: With a `Files` as its reader.
        names: All files that matter; those below the root if left out.

    Raises:
        VitrialError: There are DICOM files, and what reads them is not installed.
    """
    files, manifest = dataset.reader, dataset.manifest
    if not isinstance(files, Files):
        raise TypeError(f"expected Files, got {type(files).__name__}")
    several = manifest["mask"].dropna().tolist() if "mask" in manifest else []
    used = [*manifest["image"], *(part for mask in several for part in mask.split(SEPARATOR))]
    # Problems name files that are not used, too.
    reported = [problem.where for problem in dataset.problems]
    if not any(is_dicom(files.start(name)) for name in dict.fromkeys([*used, *reported])):
        return dataset
    shown = shown_names(files, names or sorted({*files.names(), *used}))
    hidden = manifest.assign(image=manifest["image"].map(shown))
    if "mask" in manifest:
        masks = [_masks_shown(mask, shown) for mask in manifest["mask"]]
        hidden["mask"] = pd.Series(masks, index=manifest.index, dtype=object)
    if "group" in manifest:
        alone = manifest["group"] == manifest["image"]
        numbers = pseudonyms(manifest.loc[~alone, "group"], "group")
        hidden["group"] = hidden["image"].where(alone, manifest["group"].map(numbers))
    places = shown | {name: f"folder-{i}" for i, name in enumerate(files.folders(), start=1)}
    problems = [_without_names(problem, places) for problem in dataset.problems]
    return replace(dataset, manifest=hidden, reader=HiddenNames(files, shown), problems=problems)


def shown_names(files: Files, names: Sequence[str]) -> dict[str, str]:
    """The name that each of some files is shown under, by its own.

    A DICOM image goes by a digest of its SOPInstanceUID, wherever it lies; a second one with the
    same by `-2` besides. Files without one are numbered.

    Raises:
        VitrialError: What reads DICOM files is not installed.
    """
    require_dicom()
    from vitrial.data.io.dicom_header import read_headers

    headers, _ = read_headers(files, names)
    return name_by_uid(names, {name: header.instance for name, header in headers.items()})


def name_by_uid(names: Iterable[str], uids: Mapping[str, str]) -> dict[str, str]:
    """See `shown_names`: names by their own, given the SOPInstanceUID of those that have one."""
    times: Counter[str] = Counter()
    shown = {}
    for name in sorted(names):
        uid = uids.get(name, "")
        stem = f"image-{hashlib.sha256(uid.encode()).hexdigest()[:16]}" if uid else "file"
        times[stem] += 1
        number = f"-{times[stem]}" if times[stem] > 1 or not uid else ""
        # What stands after another dot may be a part of the name.
        suffix = suffix_of(name) if suffix_of(name) in SUFFIXES else ""
        shown[name] = f"{stem}{number}{suffix}"
    return shown


def pseudonyms(values: Iterable[str], kind: str) -> dict[str, str]:
    """Number what must not be named: `patient-0001` and so on.

    The numbers follow the order of the values' digests, so that the same set has the same
    pseudonyms on every machine. Unlike a digest, a number cannot be searched for a short id. The
    pixels and other columns may still tell who it is: this is no anonymization.
    """
    ordered = sorted(set(values), key=lambda value: hashlib.sha256(value.encode()).hexdigest())
    digits = max(4, len(str(len(ordered))))
    return {value: f"{kind}-{i:0{digits}}" for i, value in enumerate(ordered, start=1)}


def write_names(root: Path, path: Path) -> int:
    """Write the way back from the names shown to the files: a CSV with `shown` and `file`.

    Args:
        root: The data's root.
        path: The CSV, which must not be there yet. It tells who the patients are.

    Returns:
        The number of files.

    Raises:
        VitrialError: The CSV is there already, or something below the root cannot be listed.
    """
    if path.exists():
        raise VitrialError(f"{path} is there already: name another file.")
    files = Files(root)
    shown = shown_names(files, files.names())
    with (
        replacing(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["shown", "file"])
        writer.writerows(sorted((other, name) for name, other in shown.items()))
    return len(shown)


def _masks_shown(mask: str | None, shown: Mapping[str, str]) -> str | None:
    return mask and SEPARATOR.join(shown[part] for part in mask.split(SEPARATOR))


def _without_names(problem: Problem, places: Mapping[str, str]) -> Problem:
    """A problem in which files go by other names, and what is quoted is left out."""

    def unquoted(text: str) -> str:
        # From the first mark to the last: a name may hold one, such as O'Malley.
        return re.sub(r"'.*'", "…", text, flags=re.DOTALL)

    where = places.get(problem.where) or unquoted(problem.where)
    return replace(problem, where=where, what=unquoted(problem.what), fix=unquoted(problem.fix))
