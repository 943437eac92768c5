"""ISIC 2019, the training data of the challenge: HAM10000, BCN_20000 and MSK together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

import numpy as np
import pandas as pd

from vitrial.data.about import About
from vitrial.data.io.by_stem import (
    faults_of,
    find_images,
    find_table,
    repeated_rows,
    sound_rows,
)
from vitrial.data.io.files import Files
from vitrial.data.io.table import is_missing, read_table, require_columns
from vitrial.data.manifest import Dataset
from vitrial.errors import Problem, VitrialError
from vitrial.protocol.data import DataSection
from vitrial.protocol.section import AbsolutePath

CLASSES = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC")
UNKNOWN = "UNK"
"""The challenge's ninth class, of which there are no training images."""
CELLS = (*CLASSES, UNKNOWN)
TRUTH = "ISIC_2019_Training_GroundTruth.csv"
METADATA = "ISIC_2019_Training_Metadata.csv"
COLUMNS = ("image", "age_approx", "anatom_site_general", "lesion_id", "sex")
DOWNSAMPLED = "_downsampled"
"""Ends the names of 2,074 images; some copies of the download have them without it."""
ABOUT = About(
    title="ISIC 2019: dermoscopy of skin lesions, 8 diagnoses",
    license="CC BY-NC 4.0",
    where="https://challenge.isic-archive.com/data/#2019 (the training data)",
    layout=(
        "ISIC_2019_Training_Input.zip, or unpacked: ISIC_2019_Training_Input/*.jpg; "
        "ISIC_2019_Training_GroundTruth.csv and ISIC_2019_Training_Metadata.csv. Nothing is "
        "renamed or moved."
    ),
    size=(
        "25,331 images in 8 classes; 23,247 of them show 11,847 lesions, of the other 2,084 the "
        "lesion is unknown; the challenge's ninth class, UNK, has no training images"
    ),
    classes=CLASSES,
    citation=(
        "P. Tschandl et al.: The HAM10000 dataset. Scientific Data 5:180161, 2018. "
        "N. C. F. Codella et al.: Skin lesion analysis toward melanoma detection. ISBI 2018, "
        "arXiv:1710.05006. M. Combalia et al.: BCN20000: dermoscopic lesions in the wild. "
        "arXiv:1908.02288, 2019."
    ),
)


class Isic2019Data(DataSection):
    """ISIC 2019: 25,331 dermoscopy images, 8 diagnoses; groups are lesions."""

    source: Literal["isic2019"]
    root: AbsolutePath

    known_classes: ClassVar[bool] = True

    def unordered(self) -> str:
        """Its classes."""
        return "diagnoses"


DATA = Isic2019Data


def load(data: Isic2019Data) -> Dataset:
    """List the 25,331 training images, wherever below the root they lie, zipped or not.

    Groups are lesions; an image whose lesion is unknown is a group of its own. `age` is a float
    in years, NaN where unknown; `sex` and `site` are texts, empty where unknown.

    Raises:
        VitrialError: A table or all images are missing.
    """
    files = Files(data.root)
    names = files.names()
    truth, place, problems = _table(files, names, TRUTH, ("image", *CELLS))
    metadata, more = _metadata(files, names)
    key = _key(truth["image"])
    by_stem, notes = find_images(names, [*key, *(key + DOWNSAMPLED)])
    if not by_stem:
        raise VitrialError(
            f"{files.root} holds no image that {place} names: put ISIC_2019_Training_Input there, "
            "as a folder or a .zip."
        )
    image = key.map(by_stem).fillna((key + DOWNSAMPLED).map(by_stem))
    label = _diagnoses(truth)
    named, fix = truth["image"], "download the table again"
    checks = (
        faults_of(named[image.isna()], "names '{}', which is not found", "add the image"),
        faults_of(
            _cells(truth[label.isna()]), "names none of the 8 diagnoses, or several: {}", fix
        ),
        # Its lesion is unknown, so another image of it might come into another split.
        faults_of(named[~key.isin(metadata.index)], f"names '{{}}', not in {METADATA}", fix),
        repeated_rows(key, label),
    )
    rows = pd.DataFrame({"image": image, "label": label})
    rows = rows.join(metadata.reindex(key).set_index(key.index))
    manifest, faulty = sound_rows(rows, place, checks)
    notes += _separate_lesions(manifest)
    problems = [*problems, *more, *faulty, *notes]
    return Dataset("isic2019", manifest, list(CLASSES), files, problems)


def _table(
    files: Files, names: list[str], name: str, columns: Iterable[str]
) -> tuple[pd.DataFrame, str, list[Problem]]:
    """A table of the download, where it lies, and its rows that cannot be read."""
    place = find_table(files, names, (name,))
    table, problems = read_table(files.read(place), place)
    require_columns(table, columns, place)
    return table, place, problems


def _metadata(files: Files, names: list[str]) -> tuple[pd.DataFrame, list[Problem]]:
    """Columns group, age, sex and site by the images' keys, and the rows that cannot be used."""
    table, place, problems = _table(files, names, METADATA, COLUMNS)
    rows = pd.DataFrame(
        {
            "key": _key(table["image"]),
            "group": table["lesion_id"],
            "age": pd.to_numeric(table["age_approx"], errors="coerce").astype(np.float64),
            "sex": table["sex"],
            "site": table["anatom_site_general"],
        }
    )
    content = pd.Series(list(rows.drop(columns="key").itertuples(index=False)), index=rows.index)
    nameless = rows["key"][[is_missing(key) for key in rows["key"]]]
    checks = (
        faults_of(nameless, "names no image", "download the table again"),
        repeated_rows(rows["key"], content),
    )
    sound, faulty = sound_rows(rows, place, checks)
    return sound.set_index("key"), [*problems, *faulty]


def _separate_lesions(manifest: pd.DataFrame) -> list[Problem]:
    """Make each image without a lesion a group of its own, and note how many there are."""
    single = np.array([is_missing(lesion) for lesion in manifest["group"]], dtype=bool)
    manifest["group"] = manifest["group"].mask(single, manifest["image"])
    if not single.any():
        return []
    what = f"is empty for {single.sum()} images; each of them is a group of its own"
    return [Problem("column lesion_id", what, "nothing: it is not known", fatal=False)]


def _key(images: pd.Series) -> pd.Series:
    """What an image is called in all copies of the download."""
    return images.str.removesuffix(DOWNSAMPLED)


def _diagnoses(truth: pd.DataFrame) -> pd.Series:
    """The class of each row, missing where the row is not one-hot or its class has no images."""
    cells = truth[[*CELLS]].apply(pd.to_numeric, errors="coerce").to_numpy()
    one_hot = ((cells == 1).sum(axis=1) == 1) & ((cells == 0).sum(axis=1) == len(CELLS) - 1)
    label = pd.Series(np.array(CELLS)[(cells == 1).argmax(axis=1)], index=truth.index)
    return label.where(one_hot & (label != UNKNOWN))


def _cells(truth: pd.DataFrame) -> pd.Series:
    """The diagnoses of rows as they are written, without zeros."""
    rows = [
        " ".join(f"{name}={row[name]}" for name in CELLS if row[name] not in ("0", "0.0"))
        for row in truth.to_dict("records")
    ]
    return pd.Series([text or "all are 0" for text in rows], index=truth.index, dtype=object)
